package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.TextNode;
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

    /** The content of a message that has none: JSON's null, not left out. */
    static final JsonNode NO_CONTENT = NullNode.getInstance();

    /**
     * The assistant's message; in a delta, its new part.
     *
     * @param content a text; JSON's null in a whole message of calls alone
     * @param reasoningContent thoughts before the content
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    @JsonNaming(SnakeCaseStrategy.class)
    record Message(
            @Nullable String role,
            @Nullable @Schema(implementation = String.class) JsonNode content,
            @Nullable String reasoningContent,
            @Nullable List<ToolCall> toolCalls) {
        /** A part of the content. */
        static Message content(String text) {
            return new Message(null, TextNode.valueOf(text), null, null);
        }
    }

    /**
     * A call of a tool; in a delta, its new part.
     *
     * @param index of the call in the message; in a delta alone
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record ToolCall(
            @Nullable Integer index,
            @Nullable String id,
            @Nullable String type,
            CalledFunction function) {}

    /**
     * The function that is called.
     *
     * @param arguments JSON, as the model wrote it
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record CalledFunction(@Nullable String name, String arguments) {}

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
