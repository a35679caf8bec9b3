package io.weft.engine;

import io.weft.pipeline.StageCompleted;
import io.weft.pipeline.Step;
import io.weft.pipeline.StepBatch;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.StepResult;
import io.weft.pipeline.StepSequence;
import io.weft.plan.placement.Planning;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.StepPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * Runs steps: composes a step, plans it, waits for its tokens, hands these to their requests, and notifies the
 * observer. Keeps no state between steps; runs on the engine's thread.
 */
final class StepRunner {
    private final StepPipeline pipeline;
    private final Supplier<Planning> planning;
    private final StepObserver observer;

    /** @param planning the planning in force */
    StepRunner(StepPipeline pipeline, Supplier<Planning> planning, StepObserver observer) {
        this.pipeline = pipeline;
        this.planning = planning;
        this.observer = observer;
    }

    /** A request and its part of a step. */
    private record Part(ActiveRequest request, StepSequence sequence) {}

    /**
     * Runs one step.
     *
     * @param running admitted requests, at least one of which has tokens to run
     */
    void step(List<ActiveRequest> running) {
        List<Part> parts = compose(running, pipeline.limits());
        StepBatch batch = new StepBatch(parts.stream().map(Part::sequence).toList());
        long startedNanos = System.nanoTime();
        StepPlan plan = planning.get().planner().plan(batch.shape());
        Step step = pipeline.step(batch, plan);
        Optional<CompletableFuture<List<StageTiming>>> timings =
                observer.timesNextStep() ? Optional.of(timings(step)) : Optional.empty();
        StepResult result = step.result().await().indefinitely();
        long nanos = System.nanoTime() - startedNanos;
        for (int i = 0; i < parts.size(); i++) {
            parts.get(i).request().advance(parts.get(i).sequence(), result, i);
        }
        // The tokens are out. The next step reuses the events, so they must be read before.
        observer.stepped(plan, nanos, timings.map(CompletableFuture::join).map(Timeline::inPlanOrder));
    }

    private static CompletableFuture<List<StageTiming>> timings(Step step) {
        return step.stages().map(StageCompleted::timing).collect().asList().subscribeAsCompletionStage();
    }

    /** One row for every decoding request, then pieces of prompts, oldest first, in the rows that are left. */
    private static List<Part> compose(List<ActiveRequest> running, StepLimits limits) {
        List<Part> parts = new ArrayList<>();
        int rows = limits.rows();
        int logitRows = limits.logitRows();
        for (ActiveRequest request : running) {
            if (request.isDecoding()) {
                parts.add(new Part(request, request.next(1, 1)));
                rows--;
                logitRows--;
            }
        }
        for (ActiveRequest request : running) {
            if (!request.isDecoding() && rows > 0 && logitRows > 0) {
                StepSequence piece = request.next(rows, logitRows);
                parts.add(new Part(request, piece));
                rows -= piece.newTokens().size();
                logitRows -= piece.headRows();
            }
        }
        return parts;
    }
}
