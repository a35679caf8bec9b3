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
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Runs steps: composes a step, plans it, waits for its tokens, hands these to their requests, and notifies the
 * observer. Runs on the engine's thread.
 *
 * <p>A failure belongs to whom it concerns. What goes wrong with one request ends that request, what goes wrong while a
 * step is planned ends its requests, and what goes wrong once the device has begun is the device's, and thrown.
 */
final class StepRunner {
    private static final System.Logger LOG = System.getLogger(StepRunner.class.getName());

    private final StepPipeline pipeline;
    private final Supplier<Planning> planning;
    private final StepObserver observer;
    private final Runnable eventsEmitted;
    private final Watchdog watchdog;
    private final LongSupplier clockNanos;
    private boolean observerHasFailed;

    /**
     * @param planning the planning in force
     * @param eventsEmitted runs once the events of a step were emitted
     */
    StepRunner(
            StepPipeline pipeline,
            Supplier<Planning> planning,
            StepObserver observer,
            Runnable eventsEmitted,
            Watchdog watchdog,
            LongSupplier clockNanos) {
        this.pipeline = pipeline;
        this.planning = planning;
        this.observer = observer;
        this.eventsEmitted = eventsEmitted;
        this.watchdog = watchdog;
        this.clockNanos = clockNanos;
    }

    /** A request and its part of a step. */
    private record Part(ActiveRequest request, StepSequence sequence) {}

    /** A planned step that is ready to be issued. */
    private record Planned(StepPlan plan, Step step) {}

    /**
     * Runs one step.
     *
     * @param running admitted requests, at least one of which has tokens to run
     * @throws EngineFailedException if the device fails
     */
    void step(List<ActiveRequest> running) {
        List<Part> parts = compose(running, pipeline.limits());
        if (parts.isEmpty()) {
            return;
        }
        StepBatch batch = new StepBatch(parts.stream().map(Part::sequence).toList());
        long startedNanos = System.nanoTime();
        Planning current = planning.get();
        Planned planned;
        try {
            StepPlan plan = current.planner().plan(batch.shape());
            planned = new Planned(plan, pipeline.step(batch, plan));
        } catch (RuntimeException e) {
            parts.forEach(part -> part.request().fail(e));
            return;
        }
        StepPlan plan = planned.plan();
        Optional<CompletableFuture<List<StageTiming>>> timings =
                observer.timesNextStep() ? Optional.of(timings(planned.step())) : Optional.empty();
        StepResult result =
                watched(current, plan, () -> planned.step().result().await().indefinitely());
        long nanos = System.nanoTime() - startedNanos;
        for (int i = 0; i < parts.size(); i++) {
            advance(parts.get(i), result, i);
        }
        eventsEmitted.run();
        // The tokens are out. The next step reuses the events, so they must be read before.
        Optional<Timeline> measured =
                timings.map(all -> watched(current, plan, all::join)).map(Timeline::inPlanOrder);
        try {
            observer.stepped(plan, nanos, measured);
        } catch (RuntimeException e) {
            // Once is enough: there are many steps a second.
            if (!observerHasFailed) {
                observerHasFailed = true;
                LOG.log(Level.ERROR, "a step was not observed", e);
            }
        }
    }

    private <T> T watched(Planning current, StepPlan plan, Supplier<T> onDevice) {
        watchdog.begins(() -> current.prediction().of(plan), pipeline::standing);
        try {
            T value = onDevice.get();
            watchdog.ended();
            return value;
        } catch (EngineFailedException e) {
            throw e;
        } catch (RuntimeException e) {
            watchdog.ended();
            throw EngineFailedException.of(e);
        }
    }

    private static void advance(Part part, StepResult result, int sequence) {
        try {
            part.request().advance(part.sequence(), result, sequence);
        } catch (RuntimeException e) {
            part.request().fail(e);
        }
    }

    private static CompletableFuture<List<StageTiming>> timings(Step step) {
        return step.stages().map(StageCompleted::timing).collect().asList().subscribeAsCompletionStage();
    }

    /**
     * One row for every decoding request, then pieces of prompts in the rows that are left. At least half of these are
     * the oldest prompt's; of the others the shortest is first. So a short prompt waits for no long one, and a long one
     * takes at most twice as long as alone.
     */
    private List<Part> compose(List<ActiveRequest> running, StepLimits limits) {
        List<Part> parts = new ArrayList<>();
        Rows left = new Rows(limits.rows(), limits.logitRows());
        List<ActiveRequest> prompts = new ArrayList<>();
        for (ActiveRequest request : running) {
            if (request.isDecoding()) {
                left = add(request, 1, left, parts);
            } else {
                prompts.add(request);
            }
        }
        if (prompts.isEmpty()) {
            return parts;
        }
        ActiveRequest oldest = prompts.removeFirst();
        prompts.sort(Comparator.comparingInt(ActiveRequest::promptTokensLeft));
        left = add(oldest, share(oldest, prompts, left.rows()), left, parts);
        for (ActiveRequest request : prompts) {
            left = add(request, left.rows(), left, parts);
        }
        return parts;
    }

    /**
     * The rows of the oldest prompt.
     *
     * @param others the other prompts, shortest first
     */
    private static int share(ActiveRequest oldest, List<ActiveRequest> others, int rows) {
        boolean isShortest = others.isEmpty()
                || oldest.promptTokensLeft() <= others.getFirst().promptTokensLeft();
        if (isShortest) {
            return rows;
        }
        long wanted = others.stream().mapToLong(ActiveRequest::promptTokensLeft).sum();
        return (int) Math.max(rows - wanted, Math.ceilDiv(rows, 2));
    }

    /**
     * Rows of a step that are not taken yet.
     *
     * @param rows all
     * @param logitRows those that may have logits
     */
    private record Rows(int rows, int logitRows) {}

    /** Adds a request's part of at most {@code rows} rows; returns what is left. */
    private Rows add(ActiveRequest request, int rows, Rows left, List<Part> parts) {
        int most = Math.min(rows, left.rows());
        if (most < 1 || left.logitRows() < 1) {
            return left;
        }
        try {
            StepSequence piece = request.next(most, left.logitRows(), clockNanos.getAsLong());
            parts.add(new Part(request, piece));
            return new Rows(left.rows() - piece.newTokens().size(), left.logitRows() - piece.headRows());
        } catch (RuntimeException e) {
            request.fail(e);
            return left;
        }
    }
}
