package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.weft.api.openai.CompletionResponse.PromptLogprob;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Response of {@code /v1/chat/completions}: whole, or a chunk of a stream.
 *
 * @param usage omitted if null; a stream that reports it at its end has JSON's null before
 */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record ChatResponse(
        String id,
        String object,
        long created,
        String model,
        List<Part> choices,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable List<@Nullable Map<String, PromptLogprob>> promptLogprobs,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable List<Integer> promptTokenIds,

        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable @Schema(implementation = Usage.class)
        JsonNode usage) {

    /**
     * A choice, or its new part.
     *
     * @param message message in a whole response
     * @param delta new part in a chunk
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Part(
            int index,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Message message,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Message delta,

            @Nullable Logprobs logprobs,
            @Nullable String finishReason,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            List<Integer> tokenIds) {}

    /** The assistant's message; in a delta, its new part. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Message(@Nullable String role, @Nullable String content) {}

    /** Log-probabilities of the content's tokens. */
    record Logprobs(List<TokenLogprob> content) {}

    /**
     * Log-probability of a token.
     *
     * @param bytes bytes of its text in UTF-8, perhaps part of a character
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record TokenLogprob(String token, float logprob, List<Integer> bytes, List<Alternative> topLogprobs) {}

    /** A token that could have been chosen. */
    record Alternative(String token, float logprob, List<Integer> bytes) {}
}
