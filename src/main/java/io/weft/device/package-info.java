/**
 * The machine a model runs on: memory, streams, events and kernels, the same interface for every device.
 *
 * <p>{@link io.weft.device.Device} provides device memory and (pinned) host memory from two budgets, ordered
 * {@linkplain io.weft.device.Stream streams} joined by {@linkplain io.weft.device.Event events}, and the
 * {@linkplain io.weft.device.Kernels kernels} of a transformer step. All of it is asynchronous: a call issues work on a
 * stream and returns; order across streams comes from events alone. Operations that repeat can be captured as a
 * {@linkplain io.weft.device.Graph graph}. {@code device.cpu} is the embedded reference, {@code device.cuda} is the
 * only place that knows CUDA.
 *
 * <p>Never here: what to run (that is {@code pipeline}) or why ({@code plan}). Only one thread at a time may issue to
 * streams.
 */
@NullMarked
package io.weft.device;

import org.jspecify.annotations.NullMarked;
