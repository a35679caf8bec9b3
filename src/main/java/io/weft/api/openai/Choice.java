package io.weft.api.openai;

import io.weft.engine.GenerationRequest;
import io.weft.text.Tokenizer.SpecialTokens;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * One of the completions that a request asks for.
 *
 * @param index index in the response
 * @param request request to the engine
 * @param echo the prompt's text, if the response repeats it
 * @param stops strings that end it
 * @param shown whether special tokens are shown in its text
 * @param marks contents of special tokens that are shown in any case
 * @param trace trace of the whole request
 */
record Choice(
        int index,
        GenerationRequest request,
        Optional<String> echo,
        Stops stops,
        SpecialTokens shown,
        Set<String> marks,
        RequestTrace trace) {

    /** Whether a stop string is the end of the text. */
    enum StopText {
        SHOWN,
        HIDDEN
    }

    /**
     * Strings that end a choice.
     *
     * @param text whether the text includes the one that ended it, or the token
     */
    record Stops(List<String> strings, StopText text) {
        static final Stops NONE = new Stops(List.of(), StopText.HIDDEN);

        Stops {
            strings = List.copyOf(strings);
        }
    }
}
