package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.ApiError;
import io.weft.engine.GenerationRequest;
import io.weft.text.ChatTemplate;
import io.weft.text.Tokenizer.SpecialTokens;
import io.weft.text.tools.OutputFormats;
import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotEmpty;
import jakarta.validation.constraints.Size;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/** Body of {@code POST /v1/chat/completions}. */
@JsonNaming(SnakeCaseStrategy.class)
record ChatRequest(
        @NotEmpty @Size(max = ChatMessage.MESSAGES_MOST) List<ChatMessage> messages,
        @Nullable Boolean logprobs,

        @Nullable @Min(0) @Max(GenerationRequest.MAX_LOGPROBS)
        Integer topLogprobs,

        @Nullable Map<String, Object> chatTemplateKwargs,
        @Nullable @Schema(implementation = Object[].class) Object documents,
        @Nullable String reasoningEffort,
        @Nullable Boolean addGenerationPrompt,
        @Nullable Boolean continueFinalMessage,
        @Nullable Boolean echo,
        @Nullable Boolean addSpecialTokens,
        @Nullable @Schema(hidden = true) Object modalities,
        @Nullable @Schema(hidden = true) Object chatTemplate,
        @JsonUnwrapped OutputFields output,
        @JsonUnwrapped @Valid ToolFields toolFields,
        @JsonUnwrapped UnsupportedFields unsupported,
        @JsonUnwrapped @Valid GenerationFields fields) {

    void check() {
        fields.check();
        unsupported.check();
        toolFields.check();
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
        UnsupportedFields.requireOff("chat_template", chatTemplate);
        checkModalities();
    }

    private void checkModalities() {
        if (!List.of("text").equals(modalities)) {
            UnsupportedFields.requireOff("modalities", modalities);
        }
    }

    /** The conversation in the form that templates read. */
    List<Map<String, Object>> conversation(OutputFormats formats) {
        List<Map<String, Object>> conversation = ChatMessage.conversation(messages, formats);
        toolFields.tell(conversation, formats);
        return conversation;
    }

    Map<String, Object> templateVariables() {
        Map<String, Object> variables = new LinkedHashMap<>();
        if (documents != null) {
            variables.put("documents", documents);
        }
        if (reasoningEffort != null) {
            variables.put("reasoning_effort", reasoningEffort);
        }
        if (chatTemplateKwargs != null) {
            variables.putAll(chatTemplateKwargs);
        }
        variables.putAll(toolFields.variables());
        return variables;
    }

    ChatTemplate.Ending ending() {
        return ChatPrompt.ending(addGenerationPrompt, continueFinalMessage);
    }

    /** What an echo repeats: the final message, if it is the assistant's. */
    Optional<String> echoed(List<Map<String, Object>> conversation) {
        Map<String, Object> last = conversation.getLast();
        return Boolean.TRUE.equals(echo) && "assistant".equals(last.get("role"))
                ? Optional.of(Objects.toString(last.get("content"), ""))
                : Optional.empty();
    }

    /** Templates write special tokens themselves. */
    SpecialTokens addedTokens() {
        return Boolean.TRUE.equals(addSpecialTokens) ? SpecialTokens.WITH : SpecialTokens.WITHOUT;
    }

    /** The number of alternatives to report with each token. */
    OptionalInt alternatives() {
        return Boolean.TRUE.equals(logprobs)
                ? OptionalInt.of(topLogprobs == null ? 0 : topLogprobs)
                : OptionalInt.empty();
    }
}
