package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonGetter;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.quarkus.runtime.annotations.RegisterForReflection;
import io.weft.engine.CachedTokens;
import io.weft.engine.PrefixHit;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of a response; a prompt counts once, however many choices it has.
 *
 * @param weft where the tokens of all choices were cached, if requested
 * @param promptTokensDetails what of the prompts was cached already
 */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record Usage(
        int promptTokens,
        int completionTokens,
        PromptTokensDetails promptTokensDetails,

        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Explained weft) {
    /** @param cachedTokens tokens of the prompts that no step had to compute */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record PromptTokensDetails(int cachedTokens) {}

    /**
     * The cached tokens of all choices, by how the steps used them, and those of the prompts that were cached already,
     * by where they were found.
     */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Explained(
            long residentTokens,
            long transferredTokens,
            long recomputedTokens,
            int foundOnDeviceTokens,
            int foundOnHostTokens,
            int foundOnDiskTokens) {
        static Explained of(CachedTokens tokens, PrefixHit hit) {
            return new Explained(
                    tokens.resident(),
                    tokens.transferred(),
                    tokens.recomputed(),
                    hit.deviceTokens(),
                    hit.hostTokens(),
                    hit.diskTokens());
        }
    }

    /** Counts what a response has used so far. One thread at a time. */
    static final class Tally {
        private final GenerationFields fields;
        private final int promptTokens;
        private int completionTokens;
        private CachedTokens cached = CachedTokens.NONE;
        private PrefixHit hit = PrefixHit.NONE;

        /**
         * @param fields the fields that select what usage reports
         * @param promptTokens tokens of all prompts
         */
        Tally(GenerationFields fields, int promptTokens) {
            this.fields = fields;
            this.promptTokens = promptTokens;
        }

        /** A choice has left the queue. A prompt's first choice counts: later ones may find what it has computed. */
        void admitted(Choice choice, PrefixHit found) {
            if (choice.index() % fields.choicesPerPrompt() == 0) {
                hit = hit.plus(found);
            }
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
            return new Usage(
                    promptTokens,
                    completionTokens,
                    new PromptTokensDetails(hit.tokens()),
                    fields.explains() ? Explained.of(cached, hit) : null);
        }
    }

    @JsonGetter
    int totalTokens() {
        return promptTokens + completionTokens;
    }
}
