/**
 * What a step does: {@link io.weft.plan.step.StepPlanner} turns the shape of a step (which sequences, which blocks in
 * which form) into a {@link io.weft.plan.step.StepPlan}: chunks and a list of
 * {@linkplain io.weft.plan.step.PlannedStage stages} by lane. The pipeline issues that list, the simulator plays it.
 */
@NullMarked
package io.weft.plan.step;

import org.jspecify.annotations.NullMarked;
