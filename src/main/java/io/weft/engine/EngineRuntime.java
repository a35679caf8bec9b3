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
 * @param model description of the model
 * @param cache cache of the sequences
 * @param pipeline runs steps
 * @param planning supplies the planning in force, between two steps
 * @param observer receives every step
 * @param resources resources with all memory, closed when the engine stops
 */
public record EngineRuntime(
        ServedModel model,
        KvCache cache,
        StepPipeline pipeline,
        Supplier<Planning> planning,
        StepObserver observer,
        Runnable resources)
        implements AutoCloseable {
    /** A runtime with fixed planning and without an observer. */
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
