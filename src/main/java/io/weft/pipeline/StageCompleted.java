package io.weft.pipeline;

import io.weft.plan.prediction.StageTiming;

/**
 * A stage has run.
 *
 * @param timing which, and when
 */
public record StageCompleted(StageTiming timing) {}
