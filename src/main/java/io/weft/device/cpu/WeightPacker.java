package io.weft.device.cpu;

import static io.weft.device.cpu.CpuLinear.PANEL;

import io.weft.device.QuantisedTensor;
import io.weft.device.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Copies weights from files, of any element type, into fp32 device memory. */
final class WeightPacker {
    private WeightPacker() {}

    /** Widens a tensor to dense fp32 at {@code to}. */
    static void widen(Tensor tensor, long to) {
        if (tensor instanceof QuantisedTensor quantised) {
            MemorySegment target = Memory.segment(to, tensor.elements() * Float.BYTES);
            quantised.dequantise(0, quantised.rows(), target);
            return;
        }
        long elements = tensor.elements();
        for (long i = 0; i < elements; i++) {
            Memory.setFloat(to + i * Float.BYTES, tensor.element(i));
        }
    }

    static void clear(long to, int elements) {
        for (int i = 0; i < elements; i++) {
            Memory.setFloat(to + (long) i * Float.BYTES, 0);
        }
    }

    /** Writes rows into panels, or as codes, and the bias after them. */
    static void pack(CpuLinear linear, List<? extends Tensor> parts, List<? extends Tensor> bias) {
        linear.codes().ifPresentOrElse(codes -> codes.load(parts), () -> packPanels(linear, parts));
        clear(linear.bias(), linear.panelCount() * PANEL);
        long to = linear.bias();
        for (Tensor part : bias) {
            widen(part, to);
            to += (long) part.rows() * Float.BYTES;
        }
    }

    private static void packPanels(CpuLinear linear, List<? extends Tensor> parts) {
        int depth = linear.inFeatures();
        float[] decoded = new float[depth];
        int feature = 0;
        for (Tensor part : parts) {
            for (int row = 0; row < part.rows(); row++, feature++) {
                if (part instanceof QuantisedTensor quantised) {
                    quantised.dequantise(row, 1, MemorySegment.ofArray(decoded));
                    packRow(linear, feature, decoded);
                } else {
                    packRow(linear, feature, part, (long) row * depth);
                }
            }
        }
        for (; feature < linear.panelCount() * PANEL; feature++) {
            long to = element(linear, feature, 0);
            for (int k = 0; k < depth; k++) {
                Memory.setFloat(to + (long) k * PANEL * Float.BYTES, 0);
            }
        }
    }

    private static void packRow(CpuLinear linear, int feature, float[] values) {
        long to = element(linear, feature, 0);
        for (int k = 0; k < values.length; k++) {
            Memory.setFloat(to + (long) k * PANEL * Float.BYTES, values[k]);
        }
    }

    private static void packRow(CpuLinear linear, int feature, Tensor part, long firstElement) {
        long to = element(linear, feature, 0);
        for (int k = 0; k < linear.inFeatures(); k++) {
            Memory.setFloat(to + (long) k * PANEL * Float.BYTES, part.element(firstElement + k));
        }
    }

    /** The address of weight (feature, k). */
    private static long element(CpuLinear linear, int feature, int k) {
        return linear.panel(feature / PANEL) + ((long) k * PANEL + feature % PANEL) * Float.BYTES;
    }
}
