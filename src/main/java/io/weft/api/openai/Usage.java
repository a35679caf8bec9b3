package io.weft.api.openai;

import com.fasterxml.jackson.annotation.JsonGetter;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
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
 * @param completionTokensDetails what drafts have made of it
 */
@RegisterForReflection
@JsonNaming(SnakeCaseStrategy.class)
record Usage(
        int promptTokens,
        int completionTokens,
        PromptTokensDetails promptTokensDetails,
        CompletionTokensDetails completionTokensDetails,

        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Explained weft) {
    /** @param cachedTokens tokens of the prompts that no step had to compute */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record PromptTokensDetails(int cachedTokens) {}

    /**
     * The drafted tokens that steps have checked, of which those that were right are a part of the completions.
     *
     * @param acceptedPredictionTokens that were right
     * @param rejectedPredictionTokens that were not
     */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record CompletionTokensDetails(int acceptedPredictionTokens, int rejectedPredictionTokens) {}

    /**
     * The cached tokens of all choices, by how the steps used them, and those of the prompts that were cached already,
     * by where they were found. A pass over a choice's tokens makes a token, and one more for each accepted draft.
     */
    @RegisterForReflection
    @JsonNaming(SnakeCaseStrategy.class)
    record Explained(
            long residentTokens,
            long transferredTokens,
            long recomputedTokens,
            int foundOnDeviceTokens,
            int foundOnHostTokens,
            int foundOnDiskTokens,
            int draftedTokens,
            int acceptedTokens,
            @JsonProperty("tokens_a_pass") double tokensAPass) {
        static Explained of(CachedTokens tokens, PrefixHit hit, int drafted, int accepted, int passes) {
            return new Explained(
                    tokens.resident(),
                    tokens.transferred(),
                    tokens.recomputed(),
                    hit.deviceTokens(),
                    hit.hostTokens(),
                    hit.diskTokens(),
                    drafted,
                    accepted,
                    passes == 0 ? 1 : (double) (passes + accepted) / passes);
        }
    }

    /** Counts what a response has used so far. One thread at a time. */
    static final class Tally {
        private final GenerationFields fields;
        private final int promptTokens;
        private int completionTokens;
        private int passes;
        private int draftedTokens;
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
                case Delta.Token token -> {
                    completionTokens++;
                    if (token.pass().index() == 0) {
                        passes++;
                        draftedTokens += token.pass().drafted();
                    }
                }
                case Delta.End end -> {
                    end.token().ifPresent(this::add);
                    cached = cached.plus(end.cached());
                }
                case Delta.PromptScored scored -> {}
            }
        }

        Usage usage() {
            int accepted = completionTokens - passes;
            return new Usage(
                    promptTokens,
                    completionTokens,
                    new PromptTokensDetails(hit.tokens()),
                    new CompletionTokensDetails(accepted, draftedTokens - accepted),
                    fields.explains() ? Explained.of(cached, hit, draftedTokens, accepted, passes) : null);
        }
    }

    @JsonGetter
    int totalTokens() {
        return promptTokens + completionTokens;
    }
}
