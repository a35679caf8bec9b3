package io.weft.engine;

import io.smallrye.mutiny.Uni;
import io.weft.pipeline.StageCompleted;
import io.weft.pipeline.Step;
import io.weft.pipeline.StepBatch;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.StepResult;
import io.weft.pipeline.StepSequence;
import io.weft.plan.placement.Planning;
import io.weft.plan.prediction.DraftPlanner;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepShape;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
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
    private final AdmissionControl memory;
    private final Consumer<ActiveRequest> suspended;
    private final Speculation speculation;
    private final StepObserver observer;
    private final Runnable eventsEmitted;
    private final Watchdog watchdog;
    private final LongSupplier clockNanos;
    private boolean observerHasFailed;

    /**
     * @param planning the planning in force
     * @param memory decides on the memory of requests
     * @param suspended told which request has lost its place
     * @param speculation whether steps check drafts
     * @param eventsEmitted runs once the events of a step were emitted
     */
    StepRunner(
            StepPipeline pipeline,
            Supplier<Planning> planning,
            AdmissionControl memory,
            Consumer<ActiveRequest> suspended,
            Speculation speculation,
            StepObserver observer,
            Runnable eventsEmitted,
            Watchdog watchdog,
            LongSupplier clockNanos) {
        this.pipeline = pipeline;
        this.planning = planning;
        this.memory = memory;
        this.suspended = suspended;
        this.speculation = speculation;
        this.observer = observer;
        this.eventsEmitted = eventsEmitted;
        this.watchdog = watchdog;
        this.clockNanos = clockNanos;
    }

    /** A request and its part of a step. */
    private record Part(ActiveRequest request, StepSequence sequence) {}

    /**
     * A request, and what a step may have of it.
     *
     * @param rows known tokens
     * @param drafted tokens to check after them
     */
    private record Share(ActiveRequest request, int rows, List<Integer> drafted) {
        Share(ActiveRequest request, int rows) {
            this(request, rows, List.of());
        }
    }

    /** A planned step that is ready to be issued. */
    private record Planned(StepPlan plan, Step step) {}

    /**
     * Runs one step.
     *
     * @param running admitted requests, the oldest first
     * @throws EngineFailedException if the device fails
     */
    void step(List<ActiveRequest> running) {
        Collection<Share> shares = drafting(opened(compose(running, pipeline.limits()), running));
        // After all have what they need.
        memory.copyBlocks(running);
        List<Part> parts = parts(shares);
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
        StepResult result = watched(current, plan, () -> {
            CompletableFuture<StepResult> issued = planned.step().result().subscribeAsCompletionStage();
            current.planner().planAhead(plan);
            return Uni.createFrom().completionStage(issued).await().indefinitely();
        });
        long nanos = System.nanoTime() - startedNanos;
        int passes = 0;
        int drafted = 0;
        int accepted = 0;
        for (int i = 0; i < parts.size(); i++) {
            StepSequence sequence = parts.get(i).sequence();
            passes += sequence.choices().isEmpty() ? 0 : 1;
            drafted += sequence.drafted();
            accepted += advance(parts.get(i), result, i);
        }
        observer.generated(passes, drafted, accepted);
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

    private static int advance(Part part, StepResult result, int sequence) {
        try {
            return part.request().advance(part.sequence(), result, sequence);
        } catch (RuntimeException e) {
            part.request().fail(e);
            return 0;
        }
    }

    private static CompletableFuture<List<StageTiming>> timings(Step step) {
        return step.stages().map(StageCompleted::timing).collect().asList().subscribeAsCompletionStage();
    }

    /**
     * One row for every decoding request, then pieces of prompts in the rows that are left. At least half of these are
     * the oldest prompt's; of the others the shortest is first. So a short prompt waits for no long one, and a long one
     * takes at most twice as long as alone. What has to be computed again counts as a prompt.
     */
    private static List<Share> compose(List<ActiveRequest> running, StepLimits limits) {
        List<Share> shares = new ArrayList<>();
        Rows left = new Rows(limits.rows(), limits.logitRows());
        List<ActiveRequest> prompts = new ArrayList<>();
        for (ActiveRequest request : running) {
            if (request.isDecoding()) {
                left = add(request, 1, left, shares);
            } else {
                prompts.add(request);
            }
        }
        if (prompts.isEmpty()) {
            return shares;
        }
        ActiveRequest oldest = prompts.removeFirst();
        prompts.sort(Comparator.comparingInt(ActiveRequest::tokensLeft));
        left = add(oldest, share(oldest, prompts, left.rows()), left, shares);
        for (ActiveRequest request : prompts) {
            left = add(request, left.rows(), left, shares);
        }
        return shares;
    }

    /**
     * Takes memory for the rows, the oldest request's first. Where there is none, the youngest request gives its place
     * back. So none waits for a younger one, and the oldest always goes on.
     *
     * @return the shares that have memory
     */
    private Collection<Share> opened(List<Share> shares, List<ActiveRequest> running) {
        Map<ActiveRequest, Share> wanted = new LinkedHashMap<>();
        shares.forEach(share -> wanted.put(share.request(), share));
        List<ActiveRequest> byAge = new ArrayList<>(running);
        for (int i = 0; i < byAge.size(); i++) {
            ActiveRequest request = byAge.get(i);
            while (wanted.containsKey(request) && !isOpen(wanted.get(request))) {
                if (i > 0 || byAge.size() > 1) {
                    ActiveRequest youngest = byAge.removeLast();
                    wanted.remove(youngest);
                    suspended.accept(youngest);
                } else {
                    alone(wanted.remove(request)).ifPresent(share -> wanted.put(request, share));
                }
            }
        }
        return wanted.values();
    }

    /**
     * Adds drafts to the shares of a step in which all decode, as far as there is room for them beside what the step
     * needs in any case. Nobody gives up anything for a draft.
     */
    private Collection<Share> drafting(Collection<Share> shares) {
        List<Share> open =
                shares.stream().filter(share -> !share.request().isFinished()).toList();
        if (open.isEmpty()
                || !(speculation instanceof Speculation.Drafting(Drafter.Source source, Speculation.Lengths lengths))
                || !open.stream().allMatch(share -> share.request().isDecoding())) {
            return shares;
        }
        try {
            return drafting(open, lengths);
        } catch (RuntimeException e) {
            // They would only have saved time, and what was opened for them is there for the next step.
            LOG.log(Level.ERROR, "nothing is drafted for a step", e);
            return shares;
        }
    }

    private List<Share> drafting(List<Share> open, Speculation.Lengths lengths) {
        List<List<Integer>> drafts =
                open.stream().map(share -> share.request().draft()).toList();
        StepLimits limits = pipeline.limits();
        int most = Math.min(limits.draftRows(), Math.min(limits.rows(), limits.logitRows()) - open.size());
        List<Integer> chosen = switch (lengths) {
            case PLANNED -> planned(open, drafts, most);
            case ALL -> all(drafts, most);
        };
        List<Share> drafting = new ArrayList<>(open.size());
        for (int i = 0; i < open.size(); i++) {
            Share share = open.get(i);
            int length = chosen.get(i);
            boolean hasRoom = length > 0 && share.request().openDrafting(length);
            drafting.add(
                    hasRoom
                            ? new Share(
                                    share.request(), share.rows(), drafts.get(i).subList(0, length))
                            : share);
        }
        return drafting;
    }

    private List<Integer> planned(List<Share> shares, List<List<Integer>> drafts, int most) {
        Optional<DraftPlanner> planner = planning.get().drafts();
        if (planner.isEmpty() || drafts.stream().allMatch(List::isEmpty)) {
            return Collections.nCopies(shares.size(), 0);
        }
        List<DraftPlanner.Offer> offers = new ArrayList<>(shares.size());
        for (int i = 0; i < shares.size(); i++) {
            offers.add(shares.get(i).request().offer(drafts.get(i)));
        }
        return planner.get()
                .lengths(
                        () -> new StepShape(
                                shares.stream()
                                        .map(share -> share.request().decodeShape())
                                        .toList(),
                                HeadShape.tokens(shares.size())),
                        offers,
                        most);
    }

    /** All of the drafts; where they are too many, those of the oldest requests. */
    private static List<Integer> all(List<List<Integer>> drafts, int most) {
        List<Integer> lengths = new ArrayList<>(drafts.size());
        int left = Math.max(0, most);
        for (List<Integer> draft : drafts) {
            lengths.add(Math.min(draft.size(), left));
            left -= lengths.getLast();
        }
        return lengths;
    }

    /** Whether there is memory for the rows, or their request ends. */
    private static boolean isOpen(Share share) {
        try {
            return share.request().open(share.rows());
        } catch (RuntimeException e) {
            share.request().fail(e);
            return true;
        }
    }

    /** What a request may have instead that finds no memory though no other has any: fewer rows, if it can. */
    private Optional<Share> alone(Share share) {
        ActiveRequest request = share.request();
        if (share.rows() > 1) {
            return Optional.of(new Share(request, share.rows() / 2));
        }
        if (memory.expectsMemory() || memory.shrink(request)) {
            suspended.accept(request);
        } else {
            request.fail(new RequestRejectedException(memory.tooSmall(request, request.knownTokens())));
        }
        return Optional.empty();
    }

    private List<Part> parts(Collection<Share> shares) {
        List<Part> parts = new ArrayList<>();
        int foundTokens = 0;
        for (Share share : shares) {
            ActiveRequest request = share.request();
            try {
                if (!request.isFinished()) {
                    foundTokens += request.newlyFoundTokens();
                    parts.add(new Part(request, request.next(share.rows(), share.drafted(), clockNanos.getAsLong())));
                }
            } catch (RuntimeException e) {
                request.fail(e);
            }
        }
        if (foundTokens > 0) {
            observer.found(foundTokens);
        }
        return parts;
    }

    /**
     * The rows of the oldest prompt.
     *
     * @param others the other prompts, shortest first
     */
    private static int share(ActiveRequest oldest, List<ActiveRequest> others, int rows) {
        boolean isShortest =
                others.isEmpty() || oldest.tokensLeft() <= others.getFirst().tokensLeft();
        if (isShortest) {
            return rows;
        }
        long wanted = others.stream().mapToLong(ActiveRequest::tokensLeft).sum();
        return (int) Math.max(rows - wanted, Math.ceilDiv(rows, 2));
    }

    /**
     * Rows of a step that are not taken yet.
     *
     * @param rows all
     * @param logitRows those that may have logits
     */
    private record Rows(int rows, int logitRows) {}

    /** Adds a request's share of at most {@code rows} rows; returns what is left. */
    private static Rows add(ActiveRequest request, int rows, Rows left, List<Share> shares) {
        int most = Math.min(rows, left.rows());
        if (most < 1 || left.logitRows() < 1) {
            return left;
        }
        Share share = new Share(request, request.rows(most, left.logitRows()));
        shares.add(share);
        return new Rows(left.rows() - share.rows(), left.logitRows() - request.logitRows(share.rows()));
    }
}
