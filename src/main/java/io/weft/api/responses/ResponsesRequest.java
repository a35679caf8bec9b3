package io.weft.api.responses;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import java.util.List;
import java.util.Map;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Body of {@code POST /v1/responses}. Null means absent.
 *
 * @param store accepted and without effect: nothing is stored, as the response says
 * @param further fields that may be a chat's
 */
@JsonNaming(SnakeCaseStrategy.class)
record ResponsesRequest(
        @Nullable String model,
        @NotNull @Schema(implementation = Object.class) Object input,
        @Nullable String instructions,
        @Nullable @Min(1) Long maxOutputTokens,
        @Nullable @DecimalMin("0") @DecimalMax("2") Double temperature,

        @Nullable @DecimalMin(value = "0", inclusive = false) @DecimalMax("1")
        Double topP,

        @Nullable Boolean stream,
        @Nullable @Schema(implementation = Object[].class) Object tools,
        @Nullable @Schema(implementation = Object.class) Object toolChoice,
        @Nullable Boolean parallelToolCalls,
        @Nullable @Schema(implementation = Object.class) Object text,
        @Nullable @Schema(implementation = Object.class) Object reasoning,
        @Nullable @Schema(implementation = Object.class) Object metadata,
        @Nullable List<String> include,
        @Nullable String truncation,
        @Nullable Integer topLogprobs,
        @Nullable Boolean store,
        @Nullable Boolean background,
        @Nullable @Schema(hidden = true) Object previousResponseId,
        @Nullable @Schema(hidden = true) Object conversation,
        @Nullable @Schema(hidden = true) Object prompt,
        @Nullable @Schema(hidden = true) Object contextManagement,
        @Nullable @Schema(hidden = true) Object moderation,
        @JsonAnySetter @Nullable @Schema(hidden = true) Map<String, Object> further) {}
