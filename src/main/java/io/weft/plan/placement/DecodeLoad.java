package io.weft.plan.placement;

/**
 * A typical decode step.
 *
 * @param sequences number of sequences in the step
 * @param contextTokens cached tokens of each sequence
 * @param chunkTokens staged tokens of a chunk
 */
public record DecodeLoad(int sequences, int contextTokens, int chunkTokens) {
    public DecodeLoad {
        if (sequences < 1 || contextTokens < 1 || chunkTokens < 1) {
            throw new IllegalArgumentException(
                    "load is %d sequences of %d tokens in chunks of %d tokens, all must be at least 1"
                            .formatted(sequences, contextTokens, chunkTokens));
        }
    }

    /** The cached tokens of all sequences. */
    public long totalTokens() {
        return (long) sequences * contextTokens;
    }

    /** The tokens of one copy, which are those of one sequence in one chunk. */
    public int copyTokens() {
        return Math.min(contextTokens, chunkTokens);
    }
}
