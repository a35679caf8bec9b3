package io.weft.observe;

import io.weft.plan.StepTokens;

/**
 * Sums over all steps since the start.
 *
 * @param steps how many
 * @param wallNanos of all
 * @param linkBytes of cached tokens that crossed to the device
 * @param tokens cached ones, counted anew in every step
 */
public record Totals(long steps, long wallNanos, long linkBytes, StepTokens tokens) {
    /** Before the first step. */
    public static final Totals NONE = new Totals(0, 0, 0, StepTokens.NONE);

    Totals plus(long nanos, long bytes, StepTokens more) {
        return new Totals(steps + 1, wallNanos + nanos, linkBytes + bytes, tokens.plus(more));
    }
}
