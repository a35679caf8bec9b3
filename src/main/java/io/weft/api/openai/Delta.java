package io.weft.api.openai;

import io.weft.engine.CachedTokens;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationEvent.TokenScore;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What one of a response's choices comes to, in order. */
sealed interface Delta {
    /** Which choice. */
    Choice choice();

    /** The prompt's tokens but the first were scored. */
    record PromptScored(Choice choice, List<TokenScore> scores) implements Delta {}

    /**
     * A token.
     *
     * @param text that is certain now; may be empty, and belong to earlier tokens
     */
    record Token(Choice choice, String text, int token, Optional<TokenScore> score) implements Delta {}

    /**
     * The end.
     *
     * @param text that was held back
     * @param reason why; a stop string counts as an end token does
     * @param cached where its tokens were cached
     */
    record End(Choice choice, String text, FinishReason reason, CachedTokens cached) implements Delta {
        /** Why, in the API's words. */
        String finishReason() {
            return reason.name().toLowerCase(Locale.ROOT);
        }
    }

    /** Nothing follows. Only there to end a stream before the engine does. */
    record Closed(Choice choice) implements Delta {}
}
