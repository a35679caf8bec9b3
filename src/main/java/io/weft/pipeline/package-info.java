/**
 * Runs a step as planned: every stage of the plan is issued on the stream of its lane, joined by events, without
 * waiting on the host.
 *
 * <p>{@link io.weft.pipeline.StepPipeline} holds the streams and the workspace, {@link io.weft.pipeline.Step} is one
 * step as Mutiny types, {@link io.weft.pipeline.StepGraphs} keeps the steps that are launched as a whole. One thread
 * issues steps, one after the other. Never here: decisions; only the plan is run.
 */
@NullMarked
package io.weft.pipeline;

import org.jspecify.annotations.NullMarked;
