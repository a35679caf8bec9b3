package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonGetter;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.weft.engine.CachedTokens;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of a response; a prompt counts once, however many choices it has.
 *
 * @param weft where the tokens of all choices were cached, if requested
 */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record Usage(
        int promptTokens,
        int completionTokens,

        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Explained weft) {
    /** The cached tokens of all choices, by how the steps used them. */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Explained(long residentTokens, long transferredTokens, long recomputedTokens) {
        static Explained of(CachedTokens tokens) {
            return new Explained(tokens.resident(), tokens.transferred(), tokens.recomputed());
        }
    }

    /** Counts what a response has used so far. One thread at a time. */
    static final class Tally {
        private final GenerationFields fields;
        private final int promptTokens;
        private int completionTokens;
        private CachedTokens cached = CachedTokens.NONE;

        /**
         * @param fields the fields that select what usage reports
         * @param promptTokens tokens of all prompts
         */
        Tally(GenerationFields fields, int promptTokens) {
            this.fields = fields;
            this.promptTokens = promptTokens;
        }

        void add(Delta delta) {
            switch (delta) {
                case Delta.Token token -> completionTokens++;
                case Delta.End end -> {
                    end.token().ifPresent(this::add);
                    cached = cached.plus(end.cached());
                }
                case Delta.PromptScored scored -> {}
            }
        }

        Usage usage() {
            return new Usage(promptTokens, completionTokens, fields.explains() ? Explained.of(cached) : null);
        }
    }

    @JsonGetter
    int totalTokens() {
        return promptTokens + completionTokens;
    }
}
