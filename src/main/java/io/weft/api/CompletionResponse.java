package io.weft.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Answer of {@code /v1/completions}, whole or a chunk of a stream.
 *
 * @param usage left out if null; a stream that tells it at its end has JSON's null before
 */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record CompletionResponse(
        String id,
        String object,
        long created,
        String model,
        List<Part> choices,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable JsonNode usage) {

    /** A choice, or what came of it. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Part(
            int index,
            String text,
            @Nullable Logprobs logprobs,
            @Nullable String finishReason,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            List<Integer> promptTokenIds,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            List<Integer> tokenIds,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            List<@Nullable Map<String, PromptLogprob>> promptLogprobs) {}

    /**
     * Log-probabilities, one entry for each token in each list.
     *
     * @param textOffset characters before the token
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Logprobs(
            List<String> tokens,
            List<@Nullable Float> tokenLogprobs,
            List<@Nullable Map<String, Float>> topLogprobs,
            List<Integer> textOffset) {}

    /**
     * Log-probability of a token of the prompt.
     *
     * @param rank 1 for the likeliest; null if it is not among those that were asked for
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record PromptLogprob(float logprob, @Nullable Integer rank, String decodedToken) {}
}
