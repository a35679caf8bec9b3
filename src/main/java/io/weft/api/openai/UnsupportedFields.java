package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.ApiError;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Fields of completions and chats that other servers support and Weft does not, although they would change the text: a
 * client that sends one must not mistake the response for what it asked for. Null means absent.
 */
@JsonNaming(SnakeCaseStrategy.class)
record UnsupportedFields(
        @Nullable @Schema(implementation = Object.class) JsonNode responseFormat,
        @Nullable @Schema(hidden = true) JsonNode guidedJson,
        @Nullable @Schema(hidden = true) JsonNode guidedChoice,
        @Nullable @Schema(hidden = true) JsonNode guidedRegex,
        @Nullable @Schema(hidden = true) JsonNode guidedGrammar,
        @Nullable @Schema(hidden = true) JsonNode minTokens,
        @Nullable @Schema(hidden = true) JsonNode stopTokenIds,
        @Nullable @Schema(hidden = true) JsonNode allowedTokenIds,
        @Nullable @Schema(hidden = true) JsonNode badWords,
        @Nullable @Schema(hidden = true) JsonNode includeStopStrInOutput) {

    /** Checks that each field is absent or off. */
    void check() {
        checkFormat();
        requireOff("guided_json", guidedJson);
        requireOff("guided_choice", guidedChoice);
        requireOff("guided_regex", guidedRegex);
        requireOff("guided_grammar", guidedGrammar);
        requireOff("min_tokens", minTokens);
        requireOff("stop_token_ids", stopTokenIds);
        requireOff("allowed_token_ids", allowedTokenIds);
        requireOff("bad_words", badWords);
        requireOff("include_stop_str_in_output", includeStopStrInOutput);
    }

    private void checkFormat() {
        if (responseFormat == null || !responseFormat.isObject() || responseFormat.isEmpty()) {
            requireOff("response_format", responseFormat);
            return;
        }
        String type = responseFormat.path("type").asText();
        if (!type.equals("text")) {
            throw ApiError.badField(
                            "response_format",
                            "response_format.type is \"" + ApiError.shortened(type) + "\", must be \"text\".")
                    .exception();
        }
    }

    /** Checks that a field is absent or has a value that asks for nothing: null, false, 0, or an empty one. */
    static void requireOff(String field, @Nullable JsonNode value) {
        if (value != null && !isOff(value)) {
            throw ApiError.badField(
                            field, "%s is %s, must be left out: it is not supported.".formatted(field, shown(value)))
                    .exception();
        }
    }

    private static boolean isOff(JsonNode value) {
        return switch (value.getNodeType()) {
            case NULL, MISSING -> true;
            case BOOLEAN -> !value.booleanValue();
            case NUMBER -> value.doubleValue() == 0;
            case STRING -> value.textValue().isEmpty();
            case ARRAY, OBJECT -> value.isEmpty();
            case BINARY, POJO -> false;
        };
    }

    private static String shown(JsonNode value) {
        return switch (value.getNodeType()) {
            case ARRAY -> "a list of " + value.size();
            case OBJECT -> "an object of " + value.size();
            case STRING -> '"' + ApiError.shortened(value.textValue()) + '"';
            default -> ApiError.shortened(value.asText());
        };
    }
}
