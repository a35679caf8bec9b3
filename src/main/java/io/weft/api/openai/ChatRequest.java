package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.ApiError;
import io.weft.engine.GenerationRequest;
import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotEmpty;
import jakarta.validation.constraints.NotNull;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/** Body of {@code POST /v1/chat/completions}. */
@JsonNaming(SnakeCaseStrategy.class)
record ChatRequest(
        @NotEmpty List<@NotNull @Valid ChatMessage> messages,
        @Nullable Boolean logprobs,

        @Nullable @Min(0) @Max(GenerationRequest.MAX_LOGPROBS)
        Integer topLogprobs,

        @Nullable Map<String, Object> chatTemplateKwargs,
        @Nullable @Schema(implementation = Object[].class) JsonNode tools,
        @Nullable @Schema(hidden = true) JsonNode functions,
        @Nullable @Schema(hidden = true) JsonNode modalities,
        @Nullable @Schema(hidden = true) JsonNode chatTemplate,
        @JsonUnwrapped UnsupportedFields unsupported,
        @JsonUnwrapped @Valid GenerationFields fields) {

    void check() {
        fields.check();
        unsupported.check();
        OptionalLong asked = fields.askedTokens();
        if (asked.isPresent() && asked.getAsLong() == 0) {
            throw ApiError.badField("max_tokens", "max_tokens is 0, must be at least 1.")
                    .exception();
        }
        if (topLogprobs != null && topLogprobs > 0 && !Boolean.TRUE.equals(logprobs)) {
            throw ApiError.badField(
                            "top_logprobs", "top_logprobs is " + topLogprobs + ", which needs logprobs to be true.")
                    .exception();
        }
        if (tools != null && !tools.isNull() && !tools.isEmpty()) {
            throw ApiError.badField(
                            "tools",
                            "tools has %d elements, must be empty: calling tools is not supported."
                                    .formatted(tools.size()))
                    .exception();
        }
        UnsupportedFields.requireOff("functions", functions);
        UnsupportedFields.requireOff("chat_template", chatTemplate);
        checkModalities();
    }

    private void checkModalities() {
        boolean text = modalities != null
                && modalities.size() == 1
                && modalities.path(0).asText().equals("text");
        if (!text) {
            UnsupportedFields.requireOff("modalities", modalities);
        }
    }

    /** The conversation in the form that templates read. */
    List<Map<String, Object>> conversation() {
        return ChatMessage.conversation(messages);
    }

    Map<String, Object> templateVariables() {
        return chatTemplateKwargs == null ? Map.of() : chatTemplateKwargs;
    }

    /** The number of alternatives to report with each token. */
    OptionalInt alternatives() {
        return Boolean.TRUE.equals(logprobs)
                ? OptionalInt.of(topLogprobs == null ? 0 : topLogprobs)
                : OptionalInt.empty();
    }
}
