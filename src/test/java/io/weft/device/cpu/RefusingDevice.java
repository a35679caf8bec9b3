package io.weft.device.cpu;

import io.weft.device.BlockCode;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.DeviceBuffer;
import io.weft.device.ForwardingDevice;
import io.weft.device.Kernels;
import io.weft.device.Stream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.OptionalDouble;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** A CPU device on which some blocks do not fit their codes, in some layers, whatever their values are. */
public final class RefusingDevice extends ForwardingDevice {
    private static final byte GARBAGE = 0x5a;

    private final CpuDevice device;
    private final double share;
    private final Random random;
    private final Kernels kernels;

    /** @param share of the blocks that do not fit, in a layer */
    public RefusingDevice(long bytes, double share, long seed) {
        this(new CpuDevice(new CpuOptions(bytes, bytes, OptionalDouble.empty(), 2)), share, seed);
    }

    private RefusingDevice(CpuDevice device, double share, long seed) {
        super(device);
        this.device = device;
        this.share = share;
        this.random = new Random(seed);
        this.kernels = (Kernels)
                Proxy.newProxyInstance(Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, this::runKernel);
    }

    private @Nullable Object runKernel(Object proxy, Method method, Object[] arguments) throws Throwable {
        try {
            method.invoke(device.kernels(), arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
        if (method.getName().equals("encodeBlocks")) {
            long bytes = ((BlockCode) arguments[1]).bytes((BlockValues) arguments[2]);
            BlockPlaces codes = (BlockPlaces) arguments[4];
            DeviceBuffer misfits = (DeviceBuffer) arguments[5];
            int blocks = (int) arguments[6];
            ((CpuStream) (Stream) arguments[0]).issue(() -> refuse(bytes, codes, misfits, blocks));
        }
        return null;
    }

    /** What does not fit has codes that mean nothing. */
    private void refuse(long bytes, BlockPlaces codes, DeviceBuffer misfits, int blocks) {
        for (int i = 0; i < blocks; i++) {
            if (random.nextDouble() < share) {
                long at =
                        codes.base().address() + Memory.getLong(codes.offsets().address() + (long) i * Long.BYTES);
                Memory.segment(at, bytes).fill(GARBAGE);
                Memory.setInt(misfits.address() + (long) i * Integer.BYTES, 1);
            }
        }
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }
}
