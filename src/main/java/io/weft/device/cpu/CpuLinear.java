package io.weft.device.cpu;

import io.weft.device.Linear;
import io.weft.device.LinearShape;
import java.util.Optional;

/**
 * Weights of a product. Those in codes become panels of fp32 whenever a product reads them; the others are panels: (⌈N
 * / panel⌉, K, panel) fp32, where a panel is two vectors of output features and missing ones are 0. A micro-kernel then
 * reads weights in the order of memory, and each output element is one chain of fused multiply-adds over k.
 *
 * @param outFeatures N
 * @param inFeatures K
 * @param panels address of the panels; 0 for weights in codes
 * @param codes quantised weights
 * @param bias address of (⌈N / panel⌉ · panel) fp32; zeros without a bias
 * @param bytes bytes of panels or codes, and bias
 */
record CpuLinear(int outFeatures, int inFeatures, long panels, Optional<CpuCodes> codes, long bias, long bytes)
        implements Linear {
    /** Output features of a panel. */
    static final int PANEL = 2 * Memory.LANES;

    /** A matrix of a shape at an address, with {@link #bytes(LinearShape)} bytes from there on. */
    static CpuLinear at(LinearShape shape, long address) {
        long panelBytes = (long) padded(shape) * shape.inFeatures() * Float.BYTES;
        return new CpuLinear(
                shape.outFeatures(), shape.inFeatures(), address, Optional.empty(), address + panelBytes, bytes(shape));
    }

    /** Bytes of panels and bias. */
    static long bytes(LinearShape shape) {
        return (long) padded(shape) * (shape.inFeatures() + 1) * Float.BYTES;
    }

    private static int padded(LinearShape shape) {
        return Math.ceilDiv(shape.outFeatures(), PANEL) * PANEL;
    }

    int panelCount() {
        return Math.ceilDiv(outFeatures, PANEL);
    }

    long panel(int panel) {
        return panels + panel * panelBytes();
    }

    long panelBytes() {
        return (long) inFeatures * PANEL * Float.BYTES;
    }
}
