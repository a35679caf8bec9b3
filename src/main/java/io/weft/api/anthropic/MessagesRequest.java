package io.weft.api.anthropic;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Body of {@code POST /v1/messages} and {@code /v1/messages/count_tokens}. Null means absent.
 *
 * @param maxTokens needed for a message, not for a count
 * @param outputFormat an older place of {@code outputConfig.format}
 * @param compaction asks for a summary instead of an answer
 * @param thread asks for a conversation to be stored, or to be continued from there
 * @param further fields that may be a chat's
 */
@JsonNaming(SnakeCaseStrategy.class)
record MessagesRequest(
        @Nullable String model,
        @Nullable @Min(1) Long maxTokens,
        @NotNull @Schema(implementation = Object[].class) Object messages,
        @Nullable @Schema(implementation = Object.class) Object system,
        @Nullable @DecimalMin("0") @DecimalMax("1") Double temperature,

        @Nullable @DecimalMin(value = "0", inclusive = false) @DecimalMax("1")
        Double topP,

        @Nullable @Size(max = STOPS_MOST) List<String> stopSequences,
        @Nullable Boolean stream,
        @Nullable @Schema(implementation = Object[].class) Object tools,
        @Nullable @Schema(implementation = Object.class) Object toolChoice,
        @Nullable @Schema(implementation = Object.class) Object thinking,
        @Nullable @Schema(implementation = Object.class) Object outputConfig,
        @Nullable @Schema(implementation = Object.class) Object outputFormat,
        @Nullable @Schema(hidden = true) Object container,
        @Nullable @Schema(hidden = true) Object contextManagement,
        @Nullable @Schema(hidden = true) Object mcpServers,
        @Nullable @Schema(hidden = true) Object compaction,
        @Nullable @Schema(implementation = Object.class) Object thread,
        @JsonAnySetter @Nullable @Schema(hidden = true) Map<String, Object> further) {
    /** As many as in a chat. */
    private static final int STOPS_MOST = 256;
}
