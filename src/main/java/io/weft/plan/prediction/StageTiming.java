package io.weft.plan.prediction;

import io.weft.plan.step.PlannedStage;

/**
 * The measured or predicted time of a stage.
 *
 * @param planned the stage
 * @param startNanos start, from the start of the step; negative if the step before began it
 * @param endNanos end, from the start of the step
 */
public record StageTiming(PlannedStage planned, long startNanos, long endNanos) {
    /** The duration of the stage. */
    public long nanos() {
        return endNanos - startNanos;
    }
}
