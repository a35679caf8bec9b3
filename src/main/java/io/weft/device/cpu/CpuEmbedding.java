package io.weft.device.cpu;

import io.weft.device.Embedding;

/**
 * @param vocabulary rows of {@code tokens}
 * @param tokens address of (vocabulary, width) fp32
 * @param positions address of (positions, width) fp32; 0 without learned positions
 */
record CpuEmbedding(int width, int vocabulary, long tokens, long positions, int positionOffset, float scale, long bytes)
        implements Embedding {}
