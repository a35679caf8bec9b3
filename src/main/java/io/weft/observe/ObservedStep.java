package io.weft.observe;

import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.StepTokens;
import java.time.Instant;

/**
 * A step that was timed.
 *
 * @param number counted from the start of the service, from 1
 * @param endedAt when its logits were on the host
 * @param sequences in its batch
 * @param rows new tokens of its batch
 * @param linkBytes of cached tokens that crossed to the device
 * @param tokens cached ones, by what was done with them
 * @param wallNanos from planning to logits on the host
 * @param predicted the simulator's timeline, by the profile at that time
 * @param measured the same stages
 */
public record ObservedStep(
        long number,
        Instant endedAt,
        int sequences,
        int rows,
        long linkBytes,
        StepTokens tokens,
        long wallNanos,
        Timeline predicted,
        Timeline measured) {}
