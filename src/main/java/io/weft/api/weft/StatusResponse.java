package io.weft.api.weft;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.model.CacheForm;
import io.weft.model.CachePolicy;
import io.weft.observe.ObservedStep;
import io.weft.observe.Totals;
import io.weft.plan.step.Lane;
import io.weft.plan.step.StepTokens;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The service now, and sums since its start. Who asks twice can divide differences by the time between.
 *
 * @param requests state, requests and what they have cached
 * @param model the served name
 * @param cacheEncoding how full blocks are stored; null while the model loads
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
        Optional<String> cacheEncoding,
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
            Map<String, Long> tokensByForm) {
        static Requests none(String state, String detail) {
            return new Requests(state, Optional.of(detail), 0, 0, 0, 0, byForm(StepTokens.NONE, CachePolicy.EXACT));
        }
    }

    /** Cached tokens by the name of the form in which they lie, for all forms of the policy. */
    static Map<String, Long> byForm(StepTokens tokens, CachePolicy policy) {
        Map<String, Long> byForm = new LinkedHashMap<>();
        for (CacheForm form : policy.forms()) {
            byForm.put(form.label(), tokens.of(form));
        }
        return byForm;
    }

    /**
     * Sums over all steps; cached tokens are counted anew in every step. A pass over the tokens of a sequence makes a
     * token, and one more for each drafted one that is accepted.
     */
    @JsonNaming(SnakeCaseStrategy.class)
    record Steps(
            long count,
            double millis,
            long linkBytes,
            long promotedBytes,
            long residentTokens,
            long transferredTokens,
            long recomputedTokens,
            long foundTokens,
            long passes,
            long draftedTokens,
            long acceptedTokens,
            @JsonProperty("tokens_a_pass") double tokensAPass) {
        static Steps of(Totals totals) {
            return new Steps(
                    totals.steps(),
                    totals.wallNanos() / 1e6,
                    totals.linkBytes(),
                    totals.promotedBytes(),
                    totals.tokens().resident(),
                    totals.tokens().transferred(),
                    totals.tokens().recomputed(),
                    totals.foundTokens(),
                    totals.passes().count(),
                    totals.passes().draftedTokens(),
                    totals.passes().acceptedTokens(),
                    totals.passes().tokensAPass());
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
