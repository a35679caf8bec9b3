package io.weft.observe;

import io.weft.plan.step.StepTokens;

/**
 * Sums over all steps since the start.
 *
 * @param steps number of steps
 * @param wallNanos time of all steps
 * @param linkBytes of cached tokens that crossed to the device
 * @param promotedBytes bytes of blocks that were copied to the device for later steps
 * @param tokens cached tokens, counted anew in every step
 * @param foundTokens tokens of prompts that were cached before their requests
 * @param passes what steps have made in passes over sequences' tokens
 */
public record Totals(
        long steps,
        long wallNanos,
        long linkBytes,
        long promotedBytes,
        StepTokens tokens,
        long foundTokens,
        Passes passes) {
    /** The sums before the first step. */
    public static final Totals NONE = new Totals(0, 0, 0, 0, StepTokens.NONE, 0, Passes.NONE);

    /**
     * Passes over the tokens of one sequence that made a token, or some.
     *
     * @param count the passes
     * @param draftedTokens drafted tokens that they checked
     * @param acceptedTokens those that were right; each is one more token of its pass
     */
    public record Passes(long count, long draftedTokens, long acceptedTokens) {
        /** None. */
        public static final Passes NONE = new Passes(0, 0, 0);

        /** The tokens that a pass makes; 1 before the first. */
        public double tokensAPass() {
            return count == 0 ? 1 : (double) (count + acceptedTokens) / count;
        }

        Passes plus(Passes more) {
            return new Passes(
                    count + more.count, draftedTokens + more.draftedTokens, acceptedTokens + more.acceptedTokens);
        }
    }

    Totals plus(long nanos, long bytes, long upBytes, StepTokens more, int found, Passes made) {
        return new Totals(
                steps + 1,
                wallNanos + nanos,
                linkBytes + bytes,
                promotedBytes + upBytes,
                tokens.plus(more),
                foundTokens + found,
                passes.plus(made));
    }
}
