package io.weft.device.cpu;

import static io.weft.device.cpu.CpuLinear.PANEL;

import io.weft.device.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/** Brings weights from files, in whatever element type, into fp32 device memory. */
final class WeightPacker {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int BF16_SHIFT = 16;

    private WeightPacker() {}

    /** Widens a tensor to dense fp32 at {@code to}. */
    static void widen(TensorView tensor, long to) {
        long elements = tensor.data().byteSize() / tensor.type().bytes();
        MemorySegment data = tensor.data();
        for (long i = 0; i < elements; i++) {
            Memory.setFloat(to + i * Float.BYTES, element(tensor, data, i));
        }
    }

    static void clear(long to, int elements) {
        for (int i = 0; i < elements; i++) {
            Memory.setFloat(to + (long) i * Float.BYTES, 0);
        }
    }

    /** Writes rows into panels, and the bias behind them. */
    static void pack(CpuLinear linear, List<TensorView> parts, List<TensorView> bias) {
        int depth = linear.inFeatures();
        int feature = 0;
        for (TensorView part : parts) {
            for (int row = 0; row < part.rows(); row++, feature++) {
                packRow(linear, feature, part, (long) row * depth);
            }
        }
        for (; feature < linear.panelCount() * PANEL; feature++) {
            long to = element(linear, feature, 0);
            for (int k = 0; k < depth; k++) {
                Memory.setFloat(to + (long) k * PANEL * Float.BYTES, 0);
            }
        }
        clear(linear.bias(), linear.panelCount() * PANEL);
        long to = linear.bias();
        for (TensorView part : bias) {
            widen(part, to);
            to += (long) part.rows() * Float.BYTES;
        }
    }

    private static void packRow(CpuLinear linear, int feature, TensorView part, long firstElement) {
        long to = element(linear, feature, 0);
        for (int k = 0; k < linear.inFeatures(); k++) {
            Memory.setFloat(to + (long) k * PANEL * Float.BYTES, element(part, part.data(), firstElement + k));
        }
    }

    /** Where weight (feature, k) stands. */
    private static long element(CpuLinear linear, int feature, int k) {
        return linear.panel(feature / PANEL) + ((long) k * PANEL + feature % PANEL) * Float.BYTES;
    }

    private static float element(TensorView tensor, MemorySegment data, long index) {
        return switch (tensor.type()) {
            case F32 -> data.get(FLOAT, index * Float.BYTES);
            case F16 -> Float.float16ToFloat(data.get(SHORT, index * Short.BYTES));
            case BF16 -> Float.intBitsToFloat(data.get(SHORT, index * Short.BYTES) << BF16_SHIFT);
        };
    }
}
