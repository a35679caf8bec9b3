package io.weft.engine;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** An event of a request. Events arrive in order. */
public sealed interface GenerationEvent {
    /**
     * The request left the queue for the batch; always the first event.
     *
     * @param queued time in the queue
     * @param hit tokens of the prompt that were cached already, so that no step computes them
     * @param homes homes of its cached tokens
     */
    record Admitted(Duration queued, PrefixHit hit, CachedTokens.Homes homes) implements GenerationEvent {}

    /**
     * Log-probabilities of the prompt's tokens, each given the tokens before it; the first token has none and is left
     * out.
     *
     * @param scores one entry for each prompt token but the first
     */
    record PromptScored(List<TokenScore> scores) implements GenerationEvent {
        public PromptScored {
            scores = List.copyOf(scores);
        }
    }

    /**
     * A token.
     *
     * @param token its id
     * @param score present if log-probabilities were asked for
     * @param pass the pass that has made it
     */
    record Generated(int token, Optional<TokenScore> score, Pass pass) implements GenerationEvent {
        /** A token of a pass without drafts. */
        public Generated(int token, Optional<TokenScore> score) {
            this(token, score, Pass.PLAIN);
        }
    }

    /**
     * What a token has from the pass over the cache that has made it: a pass makes one token, and one more for each
     * drafted token that is right.
     *
     * @param drafted tokens that the pass checked
     * @param index of the token among those of the pass, at most {@code drafted}
     */
    record Pass(int drafted, int index) {
        /** The only token of a pass without drafts. */
        public static final Pass PLAIN = new Pass(0, 0);

        public Pass {
            if (index < 0 || index > drafted) {
                throw new IllegalArgumentException(
                        "token " + index + " of a pass that checked " + drafted + " drafted tokens");
            }
        }
    }

    /**
     * The end.
     *
     * @param reason why
     * @param usage tokens of the request
     */
    record Finished(FinishReason reason, Usage usage) implements GenerationEvent {}

    /** Why a completion ended. */
    enum FinishReason {
        /** The model produced an end token; it was the last {@link Generated}. */
        STOP,
        /** The limit of new tokens or of the context was reached. */
        LENGTH
    }

    /**
     * Tokens of a request.
     *
     * @param promptTokens tokens of the prompt
     * @param completionTokens generated tokens, including an end token
     */
    record Usage(int promptTokens, int completionTokens) {}

    /**
     * How likely a token was, before temperature, penalties and bias.
     *
     * @param token its id
     * @param logprob natural logarithm of its probability
     * @param alternatives the most likely tokens, best first, as many as were asked for
     */
    record TokenScore(int token, float logprob, List<Alternative> alternatives) {
        public TokenScore {
            alternatives = List.copyOf(alternatives);
        }
    }

    /** A token that could have been chosen. */
    record Alternative(int token, float logprob) {}
}
