package io.weft.engine;

import java.time.Instant;
import java.util.Set;

/**
 * The model that an engine serves.
 *
 * @param id name in the API
 * @param created when it was loaded
 * @param contextTokens tokens that prompt and completion may have together
 * @param vocabularySize token ids are below this
 * @param endTokens token ids that end a completion
 * @param defaults sampling settings for what a request leaves open
 */
public record ServedModel(
        String id,
        Instant created,
        int contextTokens,
        int vocabularySize,
        Set<Integer> endTokens,
        SamplingDefaults defaults) {
    public ServedModel {
        endTokens = Set.copyOf(endTokens);
    }

    /**
     * Settings for what a request leaves open, from {@code generation_config.json}; 1, 1 and 0 where that is silent.
     *
     * @param temperature 0 means greedy
     * @param topP probability mass that is kept
     * @param topK candidates that are kept; 0 keeps all
     */
    public record SamplingDefaults(double temperature, double topP, int topK) {}
}
