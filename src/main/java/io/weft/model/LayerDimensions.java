package io.weft.model;

/**
 * The sizes of one layer.
 *
 * @param heads H: query heads
 * @param keyValueHeads KVH: heads of K and V; divides {@code heads}
 * @param headSize HD: elements of a head
 * @param window tokens that a query sees at most, itself included; {@link #NO_WINDOW} if it sees all
 * @param source what K and V are made of
 * @param feedForward sizes of the feed-forward network
 */
public record LayerDimensions(
        int heads,
        int keyValueHeads,
        int headSize,
        int window,
        KeyValueSource source,
        FeedForwardDimensions feedForward) {
    /** The window of a layer that sees all tokens. */
    public static final int NO_WINDOW = Integer.MAX_VALUE;
    /** Square and sum, factor and gain, rotation. */
    private static final int NORM_AND_ROTATION_FLOPS = 7;

    public LayerDimensions {
        ModelDimensions.requirePositive("heads", heads);
        ModelDimensions.requirePositive("keyValueHeads", keyValueHeads);
        ModelDimensions.requirePositive("headSize", headSize);
        ModelDimensions.requirePositive("window", window);
        if (heads % keyValueHeads != 0) {
            throw new IllegalArgumentException(
                    "keyValueHeads is " + keyValueHeads + ", must divide the number of heads, " + heads);
        }
    }

    /** A layer whose K and V have projections of their own. */
    public LayerDimensions(int heads, int keyValueHeads, int headSize, int window, FeedForwardDimensions feedForward) {
        this(heads, keyValueHeads, headSize, window, KeyValueSource.ACTIVATION, feedForward);
    }

    /** Whether a query sees the newest tokens alone. */
    public boolean hasWindow() {
        return window != NO_WINDOW;
    }

    /** The same layer in sequences of at most {@code tokens} tokens, in which a longer window hides nothing. */
    public LayerDimensions within(int tokens) {
        return window < tokens
                ? this
                : new LayerDimensions(heads, keyValueHeads, headSize, NO_WINDOW, source, feedForward);
    }

    /**
     * Pairs of a row and a token that it sees: Σ of min(position + 1, window) over {@code rows} rows that follow
     * {@code cachedTokens} tokens.
     */
    public static long rowTokens(int cachedTokens, int rows, int window) {
        long first = cachedTokens + 1L;
        long growing = Math.clamp(window - first, 0, rows);
        return growing * first + growing * (growing - 1) / 2 + (rows - growing) * window;
    }

    /** Elements of a row of queries: H·HD. */
    public int queryWidth() {
        return heads * headSize;
    }

    /** Elements of one token's K and V: 2·KVH·HD. */
    public int keyValueWidth() {
        return 2 * keyValueHeads * headSize;
    }

    /** Elements that the projections make of a token: K and V, or one that they share. */
    public int projectedWidth() {
        return switch (source) {
            case ACTIVATION -> keyValueWidth();
            case SHARED_PROJECTION -> keyValueWidth() / 2;
        };
    }

    /** Elements of one token's source of K and V. */
    public int sourceWidth(int hiddenSize) {
        return switch (source) {
            case ACTIVATION -> hiddenSize;
            case SHARED_PROJECTION -> projectedWidth();
        };
    }

    /** Bytes of the running state of a row's attention: acc (HD), m and l of each head, fp32. */
    public int attentionStateBytes() {
        return heads * (headSize + 2) * Float.BYTES;
    }

    /** Elements of all weight matrices. */
    public long weights(int hiddenSize) {
        return attentionWeights(hiddenSize) + feedForward.weights(hiddenSize);
    }

    /** Elements of the weight matrices that one row reads: of experts, those that it chooses. */
    public long weightsOfRow(int hiddenSize) {
        return attentionWeights(hiddenSize) + feedForward.weightsOfRow(hiddenSize);
    }

    private long attentionWeights(int hiddenSize) {
        return (long) hiddenSize * (2L * queryWidth() + projectedWidth());
    }

    /** Floating-point operations that make K and V of one token's source: 4·D·KVH·HD, or some for each element. */
    public long recomputeFlopsPerToken(int hiddenSize) {
        return switch (source) {
            case ACTIVATION -> 2L * hiddenSize * keyValueWidth();
            case SHARED_PROJECTION -> (long) NORM_AND_ROTATION_FLOPS * keyValueWidth();
        };
    }
}
