package io.weft.device;

/**
 * The parameters of attention that are fixed for the whole run.
 *
 * @param heads query heads (H)
 * @param keyValueHeads heads of K and V (KVH); divides {@code heads}; query head h reads K/V head {@code h / (heads /
 *     keyValueHeads)}
 * @param headSize elements of a head (HD)
 * @param scale factor on q·k, usually 1/√HD
 * @param scoreCap bound of the scores: a score s becomes {@code scoreCap · tanh(s / scoreCap)}; 0 for none
 * @param window tokens a query sees at most, itself included; {@link Integer#MAX_VALUE} without a sliding window
 * @param blockTokens tokens of a cache block
 * @param cellTokens tokens of a cell of the fixed grid to which partial results belong; a multiple of
 *     {@code blockTokens}
 */
public record AttentionShape(
        int heads,
        int keyValueHeads,
        int headSize,
        float scale,
        float scoreCap,
        int window,
        int blockTokens,
        int cellTokens) {
    public AttentionShape {
        if (heads < 1 || keyValueHeads < 1 || heads % keyValueHeads != 0) {
            throw new IllegalArgumentException(
                    "keyValueHeads is " + keyValueHeads + ", must be positive and divide heads, " + heads);
        }
        if (!(scoreCap >= 0) || scoreCap == Float.POSITIVE_INFINITY) {
            throw new IllegalArgumentException("scoreCap is " + scoreCap + ", must be a number from 0 on");
        }
        if (blockTokens < 1 || cellTokens < 1 || cellTokens % blockTokens != 0) {
            throw new IllegalArgumentException(
                    "cellTokens is " + cellTokens + ", must be a positive multiple of blockTokens, " + blockTokens);
        }
    }

    /** The first token that a row at a position sees. */
    public int firstVisible(int position) {
        return window > position ? 0 : position - window + 1;
    }

    /** Elements of one token's K and V together: its row in a block is {@code [K (KVH, HD) | V (KVH, HD)]}. */
    public int keyValueWidth() {
        return 2 * keyValueHeads * headSize;
    }

    /** Elements of one row of queries, (H, HD). */
    public int queryWidth() {
        return heads * headSize;
    }

    /** Bytes of the running state of one row: per head {@code acc (HD), m, l}, fp32. */
    public long stateBytesPerRow() {
        return (long) heads * (headSize + 2) * Float.BYTES;
    }
}
