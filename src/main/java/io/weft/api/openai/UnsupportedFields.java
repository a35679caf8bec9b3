package io.weft.api.openai;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.ApiError;
import java.util.Collection;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Fields of completions and chats that other servers support and Weft does not, although they would change the text: a
 * client that sends one must not mistake the response for what it asked for. Null means absent.
 */
@JsonNaming(SnakeCaseStrategy.class)
record UnsupportedFields(
        @Nullable @Schema(hidden = true) Object minTokens,
        @Nullable @Schema(hidden = true) Object stopTokenIds,
        @Nullable @Schema(hidden = true) Object allowedTokenIds,
        @Nullable @Schema(hidden = true) Object badWords,
        @Nullable @Schema(hidden = true) Object includeStopStrInOutput) {

    /** Checks that each field is absent or off. */
    void check() {
        requireOff("min_tokens", minTokens);
        requireOff("stop_token_ids", stopTokenIds);
        requireOff("allowed_token_ids", allowedTokenIds);
        requireOff("bad_words", badWords);
        requireOff("include_stop_str_in_output", includeStopStrInOutput);
    }

    /** Checks that a field is absent or has a value that asks for nothing: null, false, 0, or an empty one. */
    static void requireOff(String field, @Nullable Object value) {
        if (!isOff(value)) {
            throw ApiError.badField(
                            field, "%s is %s, must be left out: it is not supported.".formatted(field, shown(value)))
                    .exception();
        }
    }

    private static boolean isOff(@Nullable Object value) {
        return switch (value) {
            case null -> true;
            case Boolean is -> !is;
            case Number number -> number.doubleValue() == 0;
            case String text -> text.isEmpty();
            case Collection<?> list -> list.isEmpty();
            case Map<?, ?> object -> object.isEmpty();
            default -> false;
        };
    }

    private static String shown(@Nullable Object value) {
        return switch (value) {
            case Collection<?> list -> "a list of " + list.size();
            case Map<?, ?> object -> "an object of " + object.size();
            case String text -> '"' + ApiError.shortened(text) + '"';
            case null, default -> ApiError.shortened(String.valueOf(value));
        };
    }
}
