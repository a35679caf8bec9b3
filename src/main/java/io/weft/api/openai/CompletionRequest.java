package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.ApiError;
import io.weft.engine.GenerationRequest;
import io.weft.text.Tokenizer.SpecialTokens;
import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** Body of {@code POST /v1/completions}. */
@JsonNaming(SnakeCaseStrategy.class)
record CompletionRequest(
        @NotNull PromptInput prompt,
        @Nullable Boolean echo,

        @Nullable @Min(0) @Max(GenerationRequest.MAX_LOGPROBS)
        Integer logprobs,

        @Nullable String suffix,
        @Nullable Boolean addSpecialTokens,
        @Nullable Boolean parseSpecial,
        @JsonUnwrapped OutputFields output,
        @JsonUnwrapped UnsupportedFields unsupported,
        @JsonUnwrapped @Valid GenerationFields fields) {

    void check() {
        fields.check();
        unsupported.check();
        if (suffix != null && !suffix.isEmpty()) {
            throw ApiError.badField("suffix", "suffix is given, but text cannot be inserted before it.")
                    .exception();
        }
    }

    boolean echoes() {
        return Boolean.TRUE.equals(echo);
    }

    TextReading reading() {
        return TextReading.of(addSpecialTokens, parseSpecial);
    }

    /** Whether the echo shows the prompt's special tokens; those that were added to a text are not shown. */
    SpecialTokens echoedTokens() {
        return switch (prompt) {
            case PromptInput.Texts texts -> SpecialTokens.WITHOUT;
            case PromptInput.Tokens tokens -> fields.shownTokens();
        };
    }

    /** The number of alternatives to report with each token. */
    OptionalInt alternatives() {
        return GenerationFields.optional(logprobs);
    }

    /** The number of alternatives to find for each token of the prompt, requested for themselves or for the echo. */
    OptionalInt promptAlternatives() {
        if (!echoes() || logprobs == null) {
            return GenerationFields.optional(fields.promptLogprobs());
        }
        return OptionalInt.of(fields.promptLogprobs() == null ? logprobs : Math.max(logprobs, fields.promptLogprobs()));
    }
}
