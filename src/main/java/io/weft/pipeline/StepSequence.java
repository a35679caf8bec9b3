package io.weft.pipeline;

import io.weft.cache.CacheSequence;
import java.util.List;

/**
 * One sequence's part in a step.
 *
 * @param cache its cached tokens; {@linkplain CacheSequence#open opened} for the new ones
 * @param newTokens token ids to run, at the positions behind the cached ones
 * @param logits rows whose logits are wanted
 */
public record StepSequence(CacheSequence cache, List<Integer> newTokens, LogitRows logits) {
    public StepSequence {
        newTokens = List.copyOf(newTokens);
        if (newTokens.isEmpty()) {
            throw new IllegalArgumentException("a sequence in a step needs at least one new token");
        }
    }

    /** Which of a sequence's new rows produce logits. */
    public enum LogitRows {
        /** None: more of the prompt follows. */
        NONE,
        /** The last one, to sample the next token. */
        LAST,
        /** All, to score the prompt. */
        ALL;

        /** How many of {@code rows} rows. */
        public int count(int rows) {
            return switch (this) {
                case NONE -> 0;
                case LAST -> 1;
                case ALL -> rows;
            };
        }
    }
}
