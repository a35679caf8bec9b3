package io.weft.device.cuda;

import io.weft.device.AttentionSinks;

/** @param logits address of (heads) fp32 */
record CudaAttentionSinks(int heads, long logits) implements AttentionSinks {}
