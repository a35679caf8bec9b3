package io.weft.engine;

import io.weft.cache.KvCache;
import io.weft.pipeline.StepPipeline;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.placement.Planning;
import io.weft.plan.step.StepPlanner;
import java.util.function.Supplier;

/**
 * A loaded model, ready to run steps.
 *
 * @param model what it is
 * @param cache of its sequences
 * @param pipeline runs steps
 * @param planning the planning in force; asked for between two steps
 * @param observer told of every step
 * @param resources closed, with all memory, when the engine stops
 */
public record EngineRuntime(
        ServedModel model,
        KvCache cache,
        StepPipeline pipeline,
        Supplier<Planning> planning,
        StepObserver observer,
        Runnable resources)
        implements AutoCloseable {
    /** Always plans the same way, and is observed by nobody. */
    public EngineRuntime(
            ServedModel model,
            KvCache cache,
            StepPipeline pipeline,
            StepPlanner planner,
            PlacementPolicy placement,
            Runnable resources) {
        this(model, cache, pipeline, always(Planning.fixed(planner, placement)), StepObserver.NONE, resources);
    }

    private static Supplier<Planning> always(Planning planning) {
        return () -> planning;
    }

    @Override
    public void close() {
        resources.run();
    }
}
