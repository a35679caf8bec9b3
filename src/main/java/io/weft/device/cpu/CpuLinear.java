package io.weft.device.cpu;

import io.weft.device.Linear;
import io.weft.device.LinearShape;
import io.weft.device.WeightEncoding;
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

    /**
     * A matrix at an address, with the bytes that {@link #bytes(LinearShape, Optional)} says from there on.
     *
     * @param encoding of weights in codes
     */
    static CpuLinear at(LinearShape shape, Optional<WeightEncoding> encoding, long address) {
        int n = shape.outFeatures();
        int k = shape.inFeatures();
        return new CpuLinear(
                n,
                k,
                encoding.isPresent() ? 0 : address,
                encoding.map(codes -> new CpuCodes(codes, n, k, address)),
                address + weightBytes(shape, encoding),
                bytes(shape, encoding));
    }

    /** Bytes of panels or codes, and bias. */
    static long bytes(LinearShape shape, Optional<WeightEncoding> encoding) {
        return weightBytes(shape, encoding) + (long) padded(shape) * Float.BYTES;
    }

    private static long weightBytes(LinearShape shape, Optional<WeightEncoding> encoding) {
        return encoding.map(codes -> CpuCodes.bytes(shape.outFeatures(), shape.inFeatures(), codes))
                .orElseGet(() -> (long) padded(shape) * shape.inFeatures() * Float.BYTES);
    }

    private static int padded(LinearShape shape) {
        return Math.ceilDiv(shape.outFeatures(), PANEL) * PANEL;
    }

    @Override
    public Optional<WeightEncoding> encoding() {
        return codes.map(CpuCodes::encoding);
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
