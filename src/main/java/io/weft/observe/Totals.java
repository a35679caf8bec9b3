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
 */
public record Totals(
        long steps, long wallNanos, long linkBytes, long promotedBytes, StepTokens tokens, long foundTokens) {
    /** The sums before the first step. */
    public static final Totals NONE = new Totals(0, 0, 0, 0, StepTokens.NONE, 0);

    Totals plus(long nanos, long bytes, long upBytes, StepTokens more, int found) {
        return new Totals(
                steps + 1,
                wallNanos + nanos,
                linkBytes + bytes,
                promotedBytes + upBytes,
                tokens.plus(more),
                foundTokens + found);
    }
}
