package io.weft.engine;

import io.weft.plan.step.StepMemory;
import io.weft.text.constraint.Constraint;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A request to generate tokens.
 *
 * @param promptTokens at least one token id
 * @param maxNewTokens the most completion tokens; 0 only scores the prompt
 * @param sampling parameters that choose tokens
 * @param endTokens whether the model's end tokens end the completion
 * @param logprobs number of alternatives to report with each generated token, 0 to {@link #MAX_LOGPROBS}; empty for no
 *     log-probabilities
 * @param promptLogprobs the same for the prompt's tokens
 * @param terms whose request it is, and how long it may take
 * @param stops further tokens that end the completion, and from when on
 * @param constraint what the completion must be; its end ends the completion, whatever {@code endTokens} is
 * @param predictedTokens what the completion is likely to be, in part at least: drafts may begin with it. It changes no
 *     token
 */
public record GenerationRequest(
        List<Integer> promptTokens,
        int maxNewTokens,
        SamplingParameters sampling,
        EndTokens endTokens,
        OptionalInt logprobs,
        OptionalInt promptLogprobs,
        RequestTerms terms,
        StopTokens stops,
        Optional<Constraint> constraint,
        List<Integer> predictedTokens) {
    /** The most alternatives that a request may ask for. */
    public static final int MAX_LOGPROBS = 20;

    /** The effect of an end token. */
    public enum EndTokens {
        STOP,
        IGNORE
    }

    /**
     * Tokens that end a completion, beside the model's end tokens.
     *
     * @param tokens token ids, at most {@link #TOKENS_MOST}
     * @param minTokens completion tokens before which no token that would end it is chosen
     */
    public record StopTokens(Set<Integer> tokens, int minTokens) {
        /** The most of them. */
        public static final int TOKENS_MOST = StepMemory.BARRED_TOKENS / 2;

        /** None, from the first token on. */
        public static final StopTokens NONE = new StopTokens(Set.of(), 0);

        public StopTokens {
            tokens = Set.copyOf(tokens);
            if (tokens.size() > TOKENS_MOST) {
                throw new IllegalArgumentException(
                        "stop_token_ids are " + tokens.size() + ", must be at most " + TOKENS_MOST);
            }
            if (minTokens < 0) {
                throw new IllegalArgumentException("min_tokens is " + minTokens + ", must be at least 0");
            }
        }
    }

    /** A request with the usual terms. */
    public GenerationRequest(
            List<Integer> promptTokens,
            int maxNewTokens,
            SamplingParameters sampling,
            EndTokens endTokens,
            OptionalInt logprobs,
            OptionalInt promptLogprobs) {
        this(promptTokens, maxNewTokens, sampling, endTokens, logprobs, promptLogprobs, RequestTerms.USUAL);
    }

    /** A request without a constraint that only the model's end tokens end. */
    public GenerationRequest(
            List<Integer> promptTokens,
            int maxNewTokens,
            SamplingParameters sampling,
            EndTokens endTokens,
            OptionalInt logprobs,
            OptionalInt promptLogprobs,
            RequestTerms terms) {
        this(
                promptTokens,
                maxNewTokens,
                sampling,
                endTokens,
                logprobs,
                promptLogprobs,
                terms,
                StopTokens.NONE,
                Optional.empty());
    }

    /** A request of whose completion nothing is predicted. */
    public GenerationRequest(
            List<Integer> promptTokens,
            int maxNewTokens,
            SamplingParameters sampling,
            EndTokens endTokens,
            OptionalInt logprobs,
            OptionalInt promptLogprobs,
            RequestTerms terms,
            StopTokens stops,
            Optional<Constraint> constraint) {
        this(
                promptTokens,
                maxNewTokens,
                sampling,
                endTokens,
                logprobs,
                promptLogprobs,
                terms,
                stops,
                constraint,
                List.of());
    }

    /** The tokens that end the completion. */
    public Set<Integer> endingTokens(ServedModel model) {
        Set<Integer> ending = new HashSet<>(stops.tokens());
        if (endTokens == EndTokens.STOP || constraint.isPresent()) {
            ending.addAll(model.endTokens());
        }
        return Set.copyOf(ending);
    }

    public GenerationRequest {
        promptTokens = List.copyOf(promptTokens);
        predictedTokens = List.copyOf(predictedTokens);
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
