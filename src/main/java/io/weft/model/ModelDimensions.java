package io.weft.model;

/**
 * The sizes of a decoder-only transformer; all that the planner knows of a model.
 *
 * @param layers L
 * @param hiddenSize D: elements of the residual stream, and of the input of the K and V projections
 * @param heads H: query heads
 * @param keyValueHeads KVH: heads of K and V; divides {@code heads}
 * @param headSize HD: elements of a head
 * @param feedForwardSize elements of the feed-forward network's inner layer
 * @param feedForward how many matrices the feed-forward network has
 * @param vocabularySize rows of the token embedding
 * @param maxPositions tokens a sequence may have
 */
public record ModelDimensions(
        int layers,
        int hiddenSize,
        int heads,
        int keyValueHeads,
        int headSize,
        int feedForwardSize,
        FeedForwardKind feedForward,
        int vocabularySize,
        int maxPositions) {
    /** How many matrices the feed-forward network has. */
    public enum FeedForwardKind {
        /** Up and down. */
        PLAIN,
        /** Gate, up and down. */
        GATED
    }

    public ModelDimensions {
        requirePositive("layers", layers);
        requirePositive("hiddenSize", hiddenSize);
        requirePositive("heads", heads);
        requirePositive("keyValueHeads", keyValueHeads);
        requirePositive("headSize", headSize);
        requirePositive("feedForwardSize", feedForwardSize);
        requirePositive("vocabularySize", vocabularySize);
        requirePositive("maxPositions", maxPositions);
        if (heads % keyValueHeads != 0) {
            throw new IllegalArgumentException(
                    "keyValueHeads is " + keyValueHeads + ", must divide the number of heads, " + heads);
        }
    }

    private static void requirePositive(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " is " + value + ", must be at least 1");
        }
    }

    /** Elements of a row of queries: H·HD. */
    public int queryWidth() {
        return heads * headSize;
    }

    /** Elements of one token's K and V in one layer: 2·KVH·HD. */
    public int keyValueWidth() {
        return 2 * keyValueHeads * headSize;
    }

    /** Elements of a row that the feed-forward network's first product makes: F, with a gate 2F. */
    public int feedForwardInWidth() {
        return switch (feedForward) {
            case PLAIN -> feedForwardSize;
            case GATED -> 2 * feedForwardSize;
        };
    }

    /** Floating-point operations that recompute one token's K and V in one layer: 4·D·KVH·HD. */
    public long recomputeFlopsPerToken() {
        return 2L * hiddenSize * keyValueWidth();
    }

    /** Elements of all weight matrices of one layer. */
    public long weightsPerLayer() {
        long matrices = switch (feedForward) {
            case PLAIN -> 2;
            case GATED -> 3;
        };
        return (long) hiddenSize * (2L * queryWidth() + keyValueWidth()) + matrices * hiddenSize * feedForwardSize;
    }
}
