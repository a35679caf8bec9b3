package io.weft.device.cuda;

import io.weft.device.Embedding;

/**
 * @param vocabulary rows of {@code tokens}
 * @param tokens address of (vocabulary, width), in the device's element type
 * @param positions address of (positionRows, width); 0 without learned positions
 */
record CudaEmbedding(
        int width,
        int vocabulary,
        long tokens,
        long positions,
        int positionRows,
        int positionOffset,
        float scale,
        long bytes)
        implements Embedding {}
