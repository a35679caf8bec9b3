package io.weft.device.cpu;

import io.weft.device.Linear;

/**
 * Weights in panels: (⌈N / panel⌉, K, panel) fp32, where a panel is two vectors of output features and missing ones are
 * 0. A micro-kernel then reads weights in the order of memory, and each output element is one chain of fused
 * multiply-adds over k.
 *
 * @param outFeatures N
 * @param inFeatures K
 * @param panels address of the panels
 * @param bias address of (⌈N / panel⌉ · panel) fp32; zeros without a bias
 * @param bytes bytes of panels and bias
 */
record CpuLinear(int outFeatures, int inFeatures, long panels, long bias, long bytes) implements Linear {
    /** Output features of a panel. */
    static final int PANEL = 2 * Memory.LANES;

    int panelCount() {
        return Math.ceilDiv(outFeatures, PANEL);
    }

    long panel(int panel) {
        return panels + (long) panel * inFeatures * PANEL * Float.BYTES;
    }
}
