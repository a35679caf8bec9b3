package io.weft.engine;

import io.weft.cache.KvCache;
import io.weft.model.CacheForm;
import io.weft.pipeline.StepPipeline;
import io.weft.plan.StepPlanner;
import java.util.List;

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
        Placement placement,
        Runnable resources)
        implements AutoCloseable {

    /** Where blocks go. */
    @FunctionalInterface
    public interface Placement {
        /**
         * Forms that a block may be given, the best first.
         *
         * @param block its index in the sequence
         * @param promptTokens tokens of the sequence's prompt
         */
        List<CacheForm> preferences(int block, int promptTokens);
    }

    @Override
    public void close() {
        resources.run();
    }
}
