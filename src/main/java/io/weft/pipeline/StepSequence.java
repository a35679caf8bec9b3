package io.weft.pipeline;

import io.weft.cache.CacheSequence;
import java.util.List;

/**
 * One sequence's part in a step.
 *
 * @param cache its cached tokens; {@linkplain CacheSequence#open opened} for the new ones
 * @param newTokens token ids to run, at the positions after the cached ones
 * @param drafted the last of these, which were guessed: the token before each of them chooses which is accepted
 * @param logits rows whose logits go to the host
 * @param choices how tokens are chosen from the last rows, as many as there are choices; with drafts from their rows
 *     and from the one before them
 */
public record StepSequence(
        CacheSequence cache, List<Integer> newTokens, int drafted, LogitRows logits, List<TokenChoice> choices) {
    public StepSequence {
        newTokens = List.copyOf(newTokens);
        choices = List.copyOf(choices);
        if (newTokens.isEmpty()) {
            throw new IllegalArgumentException("a sequence in a step needs at least one new token");
        }
        if (drafted < 0 || choices.size() > newTokens.size() || (drafted > 0 && choices.size() != drafted + 1)) {
            throw new IllegalArgumentException(
                    "%d new tokens, of which %d are drafted, with %d choices; there is one for each drafted token and the one before"
                            .formatted(newTokens.size(), drafted, choices.size()));
        }
    }

    /** The number of its last rows whose logits go to the host. */
    public int logitRows() {
        return switch (logits) {
            case NONE -> 0;
            case CHOOSING -> choices.size();
            case ALL -> newTokens.size();
        };
    }

    /** The number of its last rows with logits at all. */
    public int headRows() {
        return Math.max(logitRows(), choices.size());
    }

    /** The new rows of a sequence whose logits go to the host. */
    public enum LogitRows {
        /** None. */
        NONE,
        /** Those from which a token is chosen, to score it. */
        CHOOSING,
        /** All, to score the prompt. */
        ALL
    }
}
