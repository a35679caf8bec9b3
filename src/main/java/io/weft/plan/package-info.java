/**
 * What a step does, and what it costs: pure functions over records.
 *
 * <p>{@link io.weft.plan.StepPlanner} turns the shape of a step (which sequences, which blocks in which form) into a
 * {@link io.weft.plan.StepPlan}: chunks and a list of {@linkplain io.weft.plan.PlannedStage stages} on three lanes. The
 * pipeline issues that list, the simulator plays it. Nothing here touches a device, a clock or a thread, and everything
 * may be called from any thread.
 */
@NullMarked
package io.weft.plan;

import org.jspecify.annotations.NullMarked;
