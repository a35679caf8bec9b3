package io.weft.engine;

import io.weft.pipeline.StepLimits;
import java.time.Instant;
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
    private static final int END_TOKENS_MOST = StepLimits.BARRED_TOKENS / 2;

    public ServedModel {
        endTokens = Set.copyOf(endTokens);
        if (endTokens.size() > END_TOKENS_MOST) {
            throw new IllegalArgumentException(
                    "the model has %d end tokens, must have at most %d".formatted(endTokens.size(), END_TOKENS_MOST));
        }
    }

    /**
     * Sampling settings that a request does not give, from {@code generation_config.json}; 1, 1 and 0 if that has none.
     *
     * @param temperature 0 means greedy
     * @param topP probability mass that is kept
     * @param topK candidates that are kept; 0 keeps all
     */
    public record SamplingDefaults(double temperature, double topP, int topK) {}
}
