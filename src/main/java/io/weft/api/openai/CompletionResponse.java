package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Response of {@code /v1/completions}: whole, or a chunk of a stream.
 *
 * @param usage omitted if null; a stream that reports it at its end has JSON's null before
 */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record CompletionResponse(
        String id,
        String object,
        long created,
        String model,
        List<Part> choices,

        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable @Schema(implementation = Usage.class)
        JsonNode usage) {

    /** A choice, or its new part. */
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
     * @param textOffset number of characters before each token
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Logprobs(
            List<String> tokens,
            List<@Nullable Float> tokenLogprobs,
            List<@Nullable Map<String, Float>> topLogprobs,
            List<Integer> textOffset) {

        /** Appends those of the tokens that follow. */
        Logprobs then(Logprobs next) {
            return new Logprobs(
                    both(tokens, next.tokens),
                    both(tokenLogprobs, next.tokenLogprobs),
                    both(topLogprobs, next.topLogprobs),
                    both(textOffset, next.textOffset));
        }

        private static <T extends @Nullable Object> List<T> both(List<T> first, List<T> second) {
            List<T> all = new ArrayList<>(first);
            all.addAll(second);
            return all;
        }
    }

    /**
     * Log-probability of a token of the prompt.
     *
     * @param rank 1 for the likeliest; null if the token is not among the requested ones
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record PromptLogprob(float logprob, @Nullable Integer rank, String decodedToken) {}
}
