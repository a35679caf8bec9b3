package io.weft.pipeline;

import io.weft.plan.prediction.StageTiming;

/**
 * Reports that a stage has run.
 *
 * @param timing the stage and its times
 */
public record StageCompleted(StageTiming timing) {}
