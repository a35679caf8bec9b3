package io.weft.device.cpu;

import io.weft.device.AttentionShape;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.Embedding;
import io.weft.device.ExpertWeights;
import io.weft.device.Experts;
import io.weft.device.ForwardingDevice;
import io.weft.device.HeadRows;
import io.weft.device.Kernels;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.Stream;
import io.weft.device.Tensor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * A CPU device that rounds weights and the result of each kernel to 16 bits, as a GPU stores them. It still keeps them
 * in fp32. Keys after rotation and what experts compute within are not rounded.
 */
public final class RoundingDevice extends ForwardingDevice {
    private static final int BF16_SHIFT = 16;

    private final CpuDevice device;
    private final ElementType type;
    private final Kernels kernels;

    public RoundingDevice(long bytes, ElementType type) {
        this(new CpuDevice(new CpuOptions(bytes, bytes, OptionalDouble.empty(), 2)), type);
    }

    private RoundingDevice(CpuDevice device, ElementType type) {
        super(device);
        this.device = device;
        this.type = type;
        this.kernels = (Kernels)
                Proxy.newProxyInstance(Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, this::runKernel);
    }

    private @Nullable Object runKernel(Object proxy, Method method, Object[] a) throws Throwable {
        try {
            method.invoke(device.kernels(), a);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
        Stream stream = (Stream) a[0];
        switch (method.getName()) {
            case "embed" -> round(stream, a[4], (long) ((Embedding) a[1]).width() * (int) a[5]);
            case "norm" -> round(stream, a[3], (long) ((Norm) a[1]).width() * (int) a[4]);
            case "normHeads" -> {
                HeadRows out = (HeadRows) a[3];
                long before = (long) ((int) a[6] - 1) * out.rowWidth();
                round(stream, out.memory(), before + (long) (int) a[4] * (int) a[5]);
            }
            case "addResidual" -> round(stream, a[1], (long) (int) a[6] * (int) a[7]);
            case "linear" -> round(stream, a[3], (long) ((Linear) a[1]).outFeatures() * (int) a[4]);
            case "linearPair" -> {
                round(stream, a[4], (long) ((Linear) a[1]).outFeatures() * (int) a[6]);
                round(stream, a[5], (long) ((Linear) a[2]).outFeatures() * (int) a[6]);
            }
            case "gatedLinear" -> round(stream, a[5], (long) ((Linear) a[1]).outFeatures() / 2 * (int) a[6]);
            case "gate" -> round(stream, a[3], (long) (int) a[4] * (int) a[5]);
            case "experts" ->
                round(stream, a[6], (long) ((Experts) a[1]).shape().width() * (int) a[7]);
            case "addGated" -> round(stream, a[3], (long) (int) a[4] * (int) a[5]);
            case "place" ->
                round(
                        stream,
                        a[3],
                        (long) ((AttentionShape) a[1]).heads() * ((AttentionShape) a[1]).headSize() * (int) a[9]);
            case "attend" -> round(stream, a[8], ((DeviceBuffer) a[8]).bytes() / Float.BYTES);
            case "capLogits" -> round(stream, a[1], (long) (int) a[4] * (int) a[5]);
            default -> {}
        }
        return null;
    }

    private void round(Stream stream, Object buffer, long count) {
        long address = ((DeviceBuffer) buffer).address();
        ((CpuStream) stream).issue(() -> round(address, count));
    }

    private void round(long address, long count) {
        for (long i = 0; i < count; i++) {
            long at = address + i * Float.BYTES;
            Memory.setFloat(at, rounded(Memory.getFloat(at)));
        }
    }

    private float rounded(float value) {
        return switch (type) {
            case F32 -> value;
            case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
            case BF16 -> {
                int bits = Float.floatToRawIntBits(value);
                int rounding = 0x7fff + ((bits >>> BF16_SHIFT) & 1);
                yield Float.isNaN(value) ? value : Float.intBitsToFloat((bits + rounding) >>> BF16_SHIFT << BF16_SHIFT);
            }
        };
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }

    @Override
    public Linear linear(String purpose, List<? extends Tensor> rows, List<? extends Tensor> bias) {
        CpuLinear linear = (CpuLinear) device.linear(purpose, rows, bias);
        roundWeights(linear);
        return linear;
    }

    private void roundWeights(CpuLinear linear) {
        if (linear.codes().isEmpty()) {
            round(linear.panels(), linear.bytes() / Float.BYTES);
        }
    }

    @Override
    public Experts experts(String purpose, List<ExpertWeights> experts) {
        CpuExperts loaded = (CpuExperts) device.experts(purpose, experts);
        loaded.gateUp().forEach(this::roundWeights);
        loaded.down().forEach(this::roundWeights);
        return loaded;
    }
}
