package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonGetter;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.weft.engine.CachedTokens;
import org.jspecify.annotations.Nullable;

/**
 * Tokens of a response; a prompt counts once, however many choices it has.
 *
 * @param weft on request, where all choices' tokens were cached
 */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record Usage(
        int promptTokens,
        int completionTokens,

        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Explained weft) {
    /** Cached tokens of all choices by what the steps did with them. */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Explained(long residentTokens, long transferredTokens, long recomputedTokens) {
        static Explained of(CachedTokens tokens) {
            return new Explained(tokens.resident(), tokens.transferred(), tokens.recomputed());
        }
    }

    /** The usage as {@code fields} ask for it. */
    static Usage of(GenerationFields fields, int promptTokens, int completionTokens, CachedTokens cached) {
        return new Usage(promptTokens, completionTokens, fields.explains() ? Explained.of(cached) : null);
    }

    @JsonGetter
    int totalTokens() {
        return promptTokens + completionTokens;
    }
}
