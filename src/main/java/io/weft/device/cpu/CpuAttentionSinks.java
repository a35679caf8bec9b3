package io.weft.device.cpu;

import io.weft.device.AttentionSinks;

/** @param logits address of (heads) fp32 */
record CpuAttentionSinks(int heads, long logits) implements AttentionSinks {
    /** The logit of a head. */
    float logit(int head) {
        return Memory.getFloat(logits + (long) head * Float.BYTES);
    }
}
