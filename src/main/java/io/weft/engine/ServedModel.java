package io.weft.engine;

import io.weft.plan.step.StepMemory;
import java.time.Instant;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The model that an engine serves.
 *
 * @param id name of the model in the API
 * @param created when the model was loaded
 * @param contextTokens the most tokens of prompt and completion together
 * @param vocabularySize number of token ids
 * @param endTokens token ids that end a completion
 * @param defaults sampling settings that a request does not give
 */
public record ServedModel(
        String id,
        Instant created,
        int contextTokens,
        int vocabularySize,
        Set<Integer> endTokens,
        SamplingDefaults defaults) {
    private static final int END_TOKENS_MOST = StepMemory.BARRED_TOKENS / 2;

    public ServedModel {
        endTokens = Set.copyOf(endTokens);
        if (endTokens.size() > END_TOKENS_MOST) {
            throw new IllegalArgumentException(
                    "the model has %d end tokens, must have at most %d".formatted(endTokens.size(), END_TOKENS_MOST));
        }
    }

    /**
     * Settings that a request does not give, from {@code generation_config.json}.
     *
     * @param temperature 0 means greedy
     * @param topP probability mass that is kept
     * @param topK candidates that are kept; 0 keeps all
     * @param minP tokens below this times the largest probability are dropped
     * @param repetitionPenalty divides or multiplies logits of tokens that were there
     * @param newTokens tokens of a completion
     * @param allTokens the most tokens of prompt and completion together
     */
    public record SamplingDefaults(
            double temperature,
            double topP,
            int topK,
            double minP,
            double repetitionPenalty,
            OptionalInt newTokens,
            OptionalInt allTokens) {
        /** Only these are set; what a model without {@code generation_config.json} has is 1, 1 and 0. */
        public SamplingDefaults(double temperature, double topP, int topK) {
            this(temperature, topP, topK, 0, 1, OptionalInt.empty(), OptionalInt.empty());
        }

        /** How tokens are chosen for a request that says no more than this. */
        public SamplingParameters sampling(OptionalDouble askedTemperature, long seed) {
            return new SamplingParameters(
                    askedTemperature.orElse(temperature), topP, topK, minP, 0, 0, repetitionPenalty, Map.of(), seed);
        }
    }
}
