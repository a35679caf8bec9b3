package io.weft.model;

/**
 * The sizes of a feed-forward network: one that all rows share, experts of which each row chooses some, or both.
 *
 * @param kind how many matrices a network has
 * @param size F: elements of the inner layer of the network that all rows share; 0 if there is none
 * @param experts E: experts; 0 if there are none
 * @param chosenExperts experts that a row chooses
 * @param expertSize elements of an expert's inner layer
 */
public record FeedForwardDimensions(Kind kind, int size, int experts, int chosenExperts, int expertSize) {
    private static final int ROWS_AT_ONCE = 512;
    /** For what does not depend on rows. */
    private static final long SCRATCH_BYTES = 64 << 10;

    /** How many matrices a network has. */
    public enum Kind {
        /** Up and down. */
        PLAIN(2),
        /** Gate, up and down. */
        GATED(3);

        private final int matrices;

        Kind(int matrices) {
            this.matrices = matrices;
        }
    }

    public FeedForwardDimensions {
        if (size < 0 || experts < 0 || size + experts < 1) {
            throw new IllegalArgumentException(
                    "size is " + size + " and experts " + experts + ", must not be negative, and one of them positive");
        }
        if (experts > 0 && (chosenExperts < 1 || chosenExperts > experts || expertSize < 1)) {
            throw new IllegalArgumentException("chosenExperts is %d and expertSize %d, must be 1 to %d, and positive"
                    .formatted(chosenExperts, expertSize, experts));
        }
    }

    /** A network that all rows share. */
    public static FeedForwardDimensions dense(Kind kind, int size) {
        return new FeedForwardDimensions(kind, size, 0, 0, 0);
    }

    /** Elements of a row that the shared network's first product makes: F, with a gate 2F. */
    public int inWidth() {
        return switch (kind) {
            case PLAIN -> size;
            case GATED -> 2 * size;
        };
    }

    /**
     * Bytes of scratch memory for experts, with which a step reads an expert once for at most {@value #ROWS_AT_ONCE}
     * rows.
     */
    public long scratchBytes(int hiddenSize, int rows) {
        if (experts == 0) {
            return 0;
        }
        long pairs = (long) Math.min(rows, ROWS_AT_ONCE) * chosenExperts;
        return SCRATCH_BYTES + pairs * (2L * hiddenSize + 3L * expertSize) * Float.BYTES;
    }

    /** Elements of the weight matrices that all rows read: the shared network and the router. */
    public long denseWeights(long hiddenSize) {
        return hiddenSize * ((long) kind.matrices * size + experts);
    }

    /** Elements of the weight matrices of one expert. */
    public long expertWeights(long hiddenSize) {
        return hiddenSize * kind.matrices * expertSize;
    }

    /** Elements of all weight matrices. */
    public long weights(long hiddenSize) {
        return denseWeights(hiddenSize) + experts * expertWeights(hiddenSize);
    }

    /** Elements of the weight matrices that one row reads. */
    public long weightsOfRow(long hiddenSize) {
        return denseWeights(hiddenSize) + chosenExperts * expertWeights(hiddenSize);
    }
}
