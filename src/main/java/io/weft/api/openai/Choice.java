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
 * @param stops strings that end the choice
 * @param shown whether special tokens are shown in its text
 * @param marks contents of special tokens that are shown in any case
 * @param trace trace of the whole request
 */
record Choice(
        int index,
        GenerationRequest request,
        Optional<String> echo,
        List<String> stops,
        SpecialTokens shown,
        Set<String> marks,
        RequestTrace trace) {}
