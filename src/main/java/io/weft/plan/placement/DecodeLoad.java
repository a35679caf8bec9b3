package io.weft.plan.placement;

/**
 * What a typical decode step holds.
 *
 * @param sequences in the step
 * @param contextTokens cached tokens of each
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

    /** Cached tokens of all sequences. */
    public long totalTokens() {
        return (long) sequences * contextTokens;
    }

    /** Tokens of one copy: of one sequence, in one chunk. */
    public int copyTokens() {
        return Math.min(contextTokens, chunkTokens);
    }
}
