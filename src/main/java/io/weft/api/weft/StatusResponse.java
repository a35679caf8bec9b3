package io.weft.api.weft;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.observe.ObservedStep;
import io.weft.observe.Totals;
import io.weft.plan.step.Lane;
import io.weft.plan.step.StepTokens;
import java.util.Optional;

/**
 * The service now, and sums since its start. Who asks twice can divide differences by the time between.
 *
 * @param requests state, requests and what they have cached
 * @param model the served name
 * @param chatTemplate whether the model has a template for chats
 * @param steps sums over all steps
 * @param lastTimedStep the last step that was timed; null before the first
 * @param promptTokens tokens of the prompts of all requests that have ended
 * @param generatedTokens generated tokens
 * @param queueTime requests that left the queue, and their time in it
 * @param firstToken first tokens, and the time to them
 * @param betweenTokens all other tokens, and the time since the one before
 */
@JsonNaming(SnakeCaseStrategy.class)
record StatusResponse(
        @JsonUnwrapped Requests requests,
        String model,
        boolean chatTemplate,
        Steps steps,
        Optional<TimedStep> lastTimedStep,
        long promptTokens,
        long generatedTokens,
        Latency queueTime,
        Latency firstToken,
        Latency betweenTokens) {
    /**
     * Requests of the engine; the numbers are 0 in a state that has none.
     *
     * @param state {@code starting}, {@code serving}, {@code draining} or {@code failed}
     * @param detail what it does at the start, or why it failed
     * @param running requests in the batch
     * @param waiting requests in the queue
     * @param seats the most requests in the batch
     * @param queueLimit the most requests in the queue
     * @param tokensByForm cached tokens of the running requests
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Requests(
            String state,
            Optional<String> detail,
            int running,
            int waiting,
            int seats,
            int queueLimit,
            TokensByForm tokensByForm) {
        static Requests none(String state, String detail) {
            return new Requests(state, Optional.of(detail), 0, 0, 0, 0, TokensByForm.of(StepTokens.NONE));
        }
    }

    /** Cached tokens by the form in which they lie. */
    @JsonNaming(SnakeCaseStrategy.class)
    record TokensByForm(long deviceKv, long deviceAct, long hostKv, long hostAct) {
        static TokensByForm of(StepTokens tokens) {
            return new TokensByForm(
                    tokens.deviceKeyValues(),
                    tokens.deviceActivations(),
                    tokens.hostKeyValues(),
                    tokens.hostActivations());
        }
    }

    /** Sums over all steps; cached tokens are counted anew in every step. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Steps(
            long count,
            double millis,
            long linkBytes,
            long promotedBytes,
            long residentTokens,
            long transferredTokens,
            long recomputedTokens,
            long foundTokens) {
        static Steps of(Totals totals) {
            return new Steps(
                    totals.steps(),
                    totals.wallNanos() / 1e6,
                    totals.linkBytes(),
                    totals.promotedBytes(),
                    totals.tokens().resident(),
                    totals.tokens().transferred(),
                    totals.tokens().recomputed(),
                    totals.foundTokens());
        }
    }

    /** A timed step, without its stages. */
    @JsonNaming(SnakeCaseStrategy.class)
    record TimedStep(
            long number,
            int sequences,
            int rows,
            double wallMillis,
            double predictedMillis,
            double measuredMillis,
            double linkBusyRatio,
            double computeBusyRatio) {
        static TimedStep of(ObservedStep step) {
            return new TimedStep(
                    step.number(),
                    step.sequences(),
                    step.rows(),
                    step.wallNanos() / 1e6,
                    step.predicted().totalNanos() / 1e6,
                    step.measured().totalNanos() / 1e6,
                    step.measured().busyRatio(Lane.LINK_IN),
                    step.measured().busyRatio(Lane.COMPUTE));
        }
    }

    /** How often something took how long altogether. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Latency(long count, double millis) {}
}
