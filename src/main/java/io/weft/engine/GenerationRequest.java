package io.weft.engine;

import java.util.List;
import java.util.OptionalInt;

/**
 * What to generate.
 *
 * @param promptTokens at least one token id
 * @param maxNewTokens completion tokens at most; 0 only scores the prompt
 * @param sampling how tokens are chosen
 * @param endTokens whether the model's end tokens end the completion
 * @param logprobs number of alternatives to report with each generated token, 0 to {@link #MAX_LOGPROBS}; empty for no
 *     log-probabilities
 * @param promptLogprobs the same for the prompt's tokens
 */
public record GenerationRequest(
        List<Integer> promptTokens,
        int maxNewTokens,
        SamplingParameters sampling,
        EndTokens endTokens,
        OptionalInt logprobs,
        OptionalInt promptLogprobs) {
    /** The most alternatives that may be asked for. */
    public static final int MAX_LOGPROBS = 20;

    /** What an end token does. */
    public enum EndTokens {
        STOP,
        IGNORE
    }

    public GenerationRequest {
        promptTokens = List.copyOf(promptTokens);
        if (promptTokens.isEmpty()) {
            throw new IllegalArgumentException("prompt has no tokens, must have at least 1");
        }
        if (maxNewTokens < 0) {
            throw new IllegalArgumentException("max_tokens is " + maxNewTokens + ", must be at least 0");
        }
        requireLogprobs("logprobs", logprobs);
        requireLogprobs("prompt_logprobs", promptLogprobs);
    }

    private static void requireLogprobs(String name, OptionalInt value) {
        if (value.isPresent() && (value.getAsInt() < 0 || value.getAsInt() > MAX_LOGPROBS)) {
            throw new IllegalArgumentException(
                    name + " is " + value.getAsInt() + ", must be from 0 to " + MAX_LOGPROBS);
        }
    }
}
