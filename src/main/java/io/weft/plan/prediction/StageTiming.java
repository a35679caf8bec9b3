package io.weft.plan.prediction;

import io.weft.plan.step.PlannedStage;

/**
 * When a stage ran, or is predicted to run.
 *
 * @param planned the stage
 * @param startNanos from the start of the step; negative if the step before began it
 * @param endNanos from the start of the step
 */
public record StageTiming(PlannedStage planned, long startNanos, long endNanos) {
    /** How long it took. */
    public long nanos() {
        return endNanos - startNanos;
    }
}
