package io.weft.observe;

import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.StepTokens;
import java.time.Instant;

/**
 * A step that was timed.
 *
 * @param number number of the step since the start of the service, from 1
 * @param endedAt when the logits were on the host
 * @param sequences sequences in the batch
 * @param rows new tokens of the batch
 * @param linkBytes of cached tokens that crossed to the device
 * @param tokens cached tokens, by how they were used
 * @param foundTokens tokens of prompts that begin in the step, and were cached before
 * @param wallNanos time from planning to logits on the host
 * @param predicted the simulator's timeline, with the profile of that time
 * @param measured the measured timeline of the same stages
 */
public record ObservedStep(
        long number,
        Instant endedAt,
        int sequences,
        int rows,
        long linkBytes,
        StepTokens tokens,
        int foundTokens,
        long wallNanos,
        Timeline predicted,
        Timeline measured) {}
