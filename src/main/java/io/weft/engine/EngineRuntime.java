package io.weft.engine;

import io.weft.cache.KvCache;
import io.weft.pipeline.StepPipeline;
import io.weft.plan.PlacementPolicy;
import io.weft.plan.StepPlanner;

/**
 * A loaded model, ready to run steps.
 *
 * @param model what it is
 * @param cache of its sequences
 * @param pipeline runs steps
 * @param planner plans them
 * @param placement where blocks go
 * @param resources closed, with all memory, when the engine stops
 */
public record EngineRuntime(
        ServedModel model,
        KvCache cache,
        StepPipeline pipeline,
        StepPlanner planner,
        PlacementPolicy placement,
        Runnable resources)
        implements AutoCloseable {

    @Override
    public void close() {
        resources.run();
    }
}
