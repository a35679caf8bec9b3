package io.weft.api.openai;

import io.weft.engine.CachedTokens;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.GenerationEvent.Pass;
import io.weft.engine.GenerationEvent.TokenScore;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** A part of the result of a response's choice. Parts arrive in order. */
sealed interface Delta {
    /** The choice. */
    Choice choice();

    /** All tokens of the prompt except the first were scored. */
    record PromptScored(Choice choice, List<TokenScore> scores) implements Delta {}

    /**
     * A token.
     *
     * @param text newly certain text; may be empty, and belong to earlier tokens
     * @param place code points of the choice's text before the token
     * @param pass the pass that has made it
     */
    record Token(Choice choice, String text, int token, Optional<TokenScore> score, int place, Pass pass)
            implements Delta {}

    /**
     * The end.
     *
     * @param token the last token, if it is known as such when it comes
     * @param text text that was held back, after that of the token
     * @param reason the reason; a stop string counts like an end token
     * @param stop the stop string, if one ended it
     * @param cached where the tokens were cached
     */
    record End(
            Choice choice,
            Optional<Token> token,
            String text,
            FinishReason reason,
            Optional<String> stop,
            CachedTokens cached)
            implements Delta {
        /** The text of the last token, and what was held back. */
        String wholeText() {
            return token.map(Token::text).orElse("") + text;
        }

        /** The reason in the API's words. */
        String finishReason() {
            return reason.name().toLowerCase(Locale.ROOT);
        }
    }
}
