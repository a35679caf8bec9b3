package io.weft.pipeline;

import io.weft.cache.CacheSequence;
import java.util.List;
import java.util.Optional;

/**
 * One sequence's part in a step.
 *
 * @param cache its cached tokens; {@linkplain CacheSequence#open opened} for the new ones
 * @param newTokens token ids to run, at the positions after the cached ones
 * @param logits rows whose logits go to the host
 * @param choice how a token is chosen from the last row; empty if none is
 */
public record StepSequence(
        CacheSequence cache, List<Integer> newTokens, LogitRows logits, Optional<TokenChoice> choice) {
    public StepSequence {
        newTokens = List.copyOf(newTokens);
        if (newTokens.isEmpty()) {
            throw new IllegalArgumentException("a sequence in a step needs at least one new token");
        }
    }

    /** The number of its last rows whose logits go to the host. */
    public int logitRows() {
        return logits.count(newTokens.size());
    }

    /** The number of its last rows with logits at all. */
    public int headRows() {
        return Math.max(logitRows(), choice.isPresent() ? 1 : 0);
    }

    /** The new rows of a sequence whose logits go to the host. */
    public enum LogitRows {
        /** None. */
        NONE,
        /** The last one, to score the chosen token. */
        LAST,
        /** All, to score the prompt. */
        ALL;

        /** The number of rows with logits, of {@code rows} rows. */
        public int count(int rows) {
            return switch (this) {
                case NONE -> 0;
                case LAST -> 1;
                case ALL -> rows;
            };
        }
    }
}
