package io.weft.api.weft;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.api.http.ApiError;
import io.weft.model.ModelPreset;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.plan.whatif.WhatIf;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.Size;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Body of {@code POST /weft/v1/plan}. An absent or null value is that of the service.
 *
 * @param further unknown fields, which are refused: a misspelt one would lead to a wrong figure
 */
@JsonNaming(SnakeCaseStrategy.class)
record PlanRequest(
        @Nullable String preset,
        @Nullable String hardware,
        @Nullable String cacheEncoding,
        @Nullable @Min(1) @Max(BATCH_MOST) Integer batch,
        @Nullable @Min(1) @Max(CONTEXT_TOKENS_MOST) Integer contextTokens,

        @Nullable @Min(1) @Max(PlanQuestion.MEMORY_BYTES_MOST)
        Long deviceMemoryBytes,

        @Nullable @Min(0) @Max(PlanQuestion.MEMORY_BYTES_MOST)
        Long hostMemoryBytes,

        @Nullable
        @DecimalMin(value = "0", inclusive = false)
        @DecimalMax("" + PlanQuestion.LINK_GIGABYTES_PER_SECOND_MOST)
        Double linkGbps,

        @Nullable @DecimalMin(value = "0", inclusive = false) @DecimalMax("" + PlanQuestion.TERAFLOPS_MOST)
        Double tflops,

        @Nullable @Size(max = 16) List<String> forms,
        @JsonAnySetter @Nullable Map<String, Object> further) {
    /** Bounds that keep the time of an answer below 50 ms. */
    static final int BATCH_MOST = 128;

    static final int CONTEXT_TOKENS_MOST = 131_072;
    static final int TOKENS_MOST = 1 << 19;

    private static final Set<String> FIELDS =
            Set.of("preset", "hardware", "cache_encoding", "batch", "tflops", "forms");

    /** The question, with missing values from the served model. */
    WhatIf about(WhatIf served) {
        requireKnownFields();
        int sequences = batch == null ? Math.min(served.batch(), BATCH_MOST) : batch;
        int most = Math.min(CONTEXT_TOKENS_MOST, TOKENS_MOST / sequences);
        int tokens = contextTokens == null ? Math.min(served.contextTokens(), most) : contextTokens;
        if (tokens > most) {
            throw ApiError.badField(
                            "context_tokens",
                            "context_tokens is %d, must be at most %d for a batch of %d."
                                    .formatted(tokens, most, sequences))
                    .exception();
        }
        return new PlanQuestion(
                        sequences,
                        tokens,
                        bytes(deviceMemoryBytes),
                        bytes(hostMemoryBytes),
                        rate(linkGbps, 1e9),
                        rate(tflops, 1e12),
                        forms == null ? List.of() : forms)
                .beside(
                        served,
                        Optional.ofNullable(preset).map(ModelPreset::of).map(ModelPreset::dimensions),
                        Optional.ofNullable(hardware),
                        Optional.ofNullable(cacheEncoding));
    }

    private void requireKnownFields() {
        if (further != null && !further.isEmpty()) {
            String name = ApiError.shortened(further.keySet().iterator().next());
            throw ApiError.badField(
                            name,
                            name + " is unknown, there are preset, hardware, cache_encoding, batch, context_tokens,"
                                    + " device_memory_bytes, host_memory_bytes, link_gbps, tflops and forms.")
                    .exception();
        }
    }

    /** The error for a question that contradicts itself. */
    static ApiError wrong(IllegalArgumentException failure) {
        String message = failure.getMessage() == null ? failure.toString() : failure.getMessage();
        String field = message.split(" ", 2)[0];
        return ApiError.invalid(400, message + ".", FIELDS.contains(field) ? field : null, null);
    }

    private static OptionalLong bytes(@Nullable Long value) {
        return value == null ? OptionalLong.empty() : OptionalLong.of(value);
    }

    private static OptionalDouble rate(@Nullable Double value, double unit) {
        return value == null ? OptionalDouble.empty() : OptionalDouble.of(value * unit);
    }
}
