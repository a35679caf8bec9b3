/**
 * Serves requests: admits them while the cache has room, batches them step by step, defines how their tokens are
 * chosen, and streams them.
 *
 * <p>{@link io.weft.engine.BatchingEngine} has the life cycle and the queue; {@code AdmissionControl} decides who gets
 * a place in the cache, and where; {@code StepRunner} composes and runs a step.
 *
 * <p>One thread owned by the engine runs the steps; requests come from any thread and their events leave on the
 * engine's thread. Requests join and leave between steps. The engine knows no text: tokens in, tokens out.
 */
@NullMarked
package io.weft.engine;

import org.jspecify.annotations.NullMarked;
