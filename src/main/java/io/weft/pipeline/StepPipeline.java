package io.weft.pipeline;

import io.smallrye.mutiny.subscription.MultiEmitter;
import io.weft.cache.KvCache;
import io.weft.device.Device;
import io.weft.device.Event;
import io.weft.device.Graph;
import io.weft.device.Stream;
import io.weft.model.ModelWeights;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.step.Lane;
import io.weft.plan.step.PlannedStage;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StepPlan;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Issues steps, with one stream per lane, and with events where the plan says that a stage waits for one of another
 * lane. After a step it issues the transfers that {@linkplain StepPlan#ahead begin} the next one, in case that one
 * transfers the same blocks. So the link does not wait for the end of the step, for its tokens, and for the next plan.
 * If the next step is a different one, these transfers were in vain.
 */
public final class StepPipeline {
    /** The lanes for whose end the last one waits. */
    private static final List<Lane> BEFORE_THE_LAST = List.of(Lane.LINK_IN, Lane.COMPUTE);

    private final KvCache cache;
    private final StepIndex index;
    private final StageIssuer issuer;
    private final StepGraphs graphs;
    private final Workspace workspace;
    private final int vocabularySize;
    private final int editsMost;
    private final Map<Lane, Stream> streams = new EnumMap<>(Lane.class);
    private final EventPool marks;
    private final EventPool timedMarks;
    private final Event idle;
    private final Event madeWay;
    /**
     * Marks of transfers that were issued ahead: those of this step, which observers may query, and those of the next.
     */
    private EventPool aheadMarks;

    private EventPool nextAheadMarks;
    private @Nullable Ahead ahead;
    /** What was issued last, for the thread that asks where a step stands. */
    private volatile @Nullable Issued issued;

    /** @param workspace allocated for the same weights and geometry */
    public StepPipeline(Device device, ModelWeights weights, KvCache cache, Workspace workspace) {
        this(device, weights, cache, workspace, RowGroups.Grouping.of(cache.geometry()));
    }

    StepPipeline(Device device, ModelWeights weights, KvCache cache, Workspace workspace, RowGroups.Grouping grouping) {
        this.cache = cache;
        this.workspace = workspace;
        this.vocabularySize = weights.architecture().dimensions().vocabularySize();
        this.editsMost = workspace.limits().memory(cache.geometry()).edits();
        this.index = new StepIndex(cache, workspace, weights.longRows(), grouping);
        this.issuer = new StageIssuer(device.kernels(), weights, cache, workspace, index);
        this.graphs = new StepGraphs(device, issuer);
        for (Lane lane : Lane.values()) {
            streams.put(lane, device.stream(lane.name().toLowerCase(Locale.ROOT).replace('_', '-')));
        }
        this.marks = new EventPool(device, Event.Timing.UNTIMED);
        this.timedMarks = new EventPool(device, Event.Timing.TIMED);
        this.idle = device.event(Event.Timing.UNTIMED);
        this.madeWay = device.event(Event.Timing.UNTIMED);
        this.aheadMarks = new EventPool(device, Event.Timing.TIMED);
        this.nextAheadMarks = new EventPool(device, Event.Timing.TIMED);
    }

    /**
     * Transfers that were issued for the next step.
     *
     * @param expected the next step, if it is like the one before
     * @param last the mark after the last of them
     */
    private record Ahead(StageIssuer.StepContext expected, Event last) {
        /** Whether a step begins with these transfers, because it reads the same full blocks, which never change. */
        boolean begin(StepBatch batch, StepPlan plan) {
            return plan.continues(expected.plan())
                    && batch.caches().equals(expected.batch().caches());
        }
    }

    /**
     * The step that was issued last. The events of its stages are reused, so those from {@code count} on still show the
     * step before.
     */
    private static final class Issued {
        private final StepPlan plan;
        private final BitSet marked;
        /** The stages that have been issued. */
        private volatile int count;

        Issued(StepPlan plan, BitSet marked) {
            this.plan = plan;
            this.marked = marked;
        }
    }

    /**
     * Where the step that was issued last stands, for people: the first stage of a lane that has not ended. Not every
     * stage has a mark, so it may also be one of those just before it. Any thread may ask.
     */
    public String standing() {
        Issued step = issued;
        if (step == null) {
            return "no step was issued";
        }
        int count = step.count;
        List<PlannedStage> stages = step.plan.stages();
        for (int i = step.marked.nextSetBit(0); i >= 0 && i < count; i = step.marked.nextSetBit(i + 1)) {
            if (!marks.isReached(i)) {
                return describe(stages.get(i));
            }
        }
        if (count < stages.size()) {
            return "while issuing " + describe(stages.get(count));
        }
        for (Lane lane : BEFORE_THE_LAST) {
            if (!marks.isReached(laneMark(stages.size(), lane))) {
                return "before the end of " + describe(lastOf(stages, lane));
            }
        }
        return "before the end of " + describe(lastOf(stages, Lane.LINK_OUT));
    }

    private static String describe(PlannedStage planned) {
        Stage stage = planned.stage();
        String layer =
                stage.inLayer().isPresent() ? " of layer " + stage.inLayer().getAsInt() : "";
        return "\"" + stage.label() + "\"" + layer + " on the lane \""
                + stage.lane().label() + "\"";
    }

    private static PlannedStage lastOf(List<PlannedStage> stages, Lane lane) {
        return stages.reversed().stream()
                .filter(planned -> planned.stage().lane() == lane)
                .findFirst()
                .orElse(stages.getLast());
    }

    /** The number of graphs of steps that are kept at present. */
    public int graphs() {
        return graphs.count();
    }

    /** The limits of a step. */
    public StepLimits limits() {
        return workspace.limits();
    }

    /**
     * A step that runs {@code plan} over {@code batch}. The cached sequences must be
     * {@linkplain io.weft.cache.CacheSequence#open opened} for their new tokens, and are to be
     * {@linkplain io.weft.cache.CacheSequence#commit committed} once the result has arrived, with the tokens that are
     * accepted then.
     *
     * @throws IllegalArgumentException if the batch exceeds the limits, or the plan needs more staging memory than
     *     there is
     */
    public Step step(StepBatch batch, StepPlan plan) {
        StepLimits limits = workspace.limits();
        requireAtMost("sequences", batch.sequences().size(), limits.sequences());
        requireAtMost("rows", batch.rows(), limits.rows());
        requireAtMost("logit rows", batch.head().rows(), limits.logitRows());
        requireAtMost("draft rows", batch.draftRows(), limits.draftRows());
        for (StepSequence sequence : batch.sequences()) {
            for (TokenChoice choice : sequence.choices()) {
                requireAtMost("edits of a row's logits", choice.edits().size(), editsMost);
            }
        }
        requireAtMost(
                "staging bytes",
                plan.staging().totalBytes(),
                workspace.staging().bytes());
        return new Step((observers, outcome) -> issue(batch, plan, observers, outcome));
    }

    private static void requireAtMost(String what, long value, long limit) {
        if (value > limit) {
            throw new IllegalArgumentException("step has " + value + " " + what + ", must be at most " + limit);
        }
    }

    private void issue(
            StepBatch batch,
            StepPlan plan,
            List<MultiEmitter<? super StageCompleted>> observers,
            CompletableFuture<StepResult> outcome) {
        if (!idle.isReached()) {
            throw new IllegalStateException("the step before has not ended");
        }
        HeadRows head = new HeadRows(batch);
        makeWay();
        OptionalInt continued = takeAhead(batch, plan);
        StageIssuer.StepContext context = StageIssuer.StepContext.of(
                cache.geometry(),
                batch,
                plan,
                index.write(batch, plan, head),
                workspace.staging(),
                continued.orElse(0));
        Optional<Graph> graph = observers.isEmpty() ? graphs.of(context) : Optional.empty();
        List<StepPlan.Ahead> next = plan.ahead();
        BitSet awaited = new BitSet(plan.stages().size());
        plan.stages().forEach(planned -> planned.after().forEach(awaited::set));
        next.forEach(transfer -> awaited.set(transfer.slotFreeAfter()));
        Issued current = new Issued(plan, awaited);
        issued = current;
        @Nullable StageObservation observation = observers.isEmpty() ? null : new StageObservation(plan, observers);
        IntPredicate begun = stage -> continued.isPresent()
                && plan.isFirstOfSlot(plan.stages().get(stage).stage());
        for (PlannedStage planned : plan.stages()) {
            if (begun.test(planned.index())) {
                if (observation != null) {
                    observation.began(planned);
                }
                current.count = planned.index() + 1;
                continue;
            }
            Stream stream = stream(planned.stage().lane());
            for (int earlier : planned.after()) {
                stream.await(begun.test(earlier) ? endMark(aheadMarks, earlier) : marks.get(earlier));
            }
            if (observation != null) {
                observation.starts(planned, stream);
            }
            issue(planned.stage(), stream, context, graph);
            if (awaited.get(planned.index())) {
                stream.record(marks.get(planned.index()));
            }
            if (observation != null) {
                observation.ends(planned, stream);
            }
            current.count = planned.index() + 1;
        }
        recordIdle(plan.stages().size());
        idle.onReached(error -> {
            if (error == null) {
                outcome.complete(new StepResult(
                        head,
                        workspace.hostTokens().segment(),
                        workspace.hostLogits().segment(),
                        vocabularySize));
            } else {
                outcome.completeExceptionally(error);
            }
        });
        if (!next.isEmpty()) {
            ahead = issueAhead(next, context.next());
        }
        if (observers.isEmpty() && graph.isEmpty()) {
            graphs.follow(context, stream(Lane.COMPUTE));
        }
    }

    /**
     * Copies to the host what is idle on the device, whose memory this step may write to, and to rings what they begin
     * with. Every lane waits for that: it is rare, and a ring may be written to by the first kernel.
     */
    private void makeWay() {
        List<KvCache.Departure> departures = cache.takeDepartures();
        List<KvCache.RingFill> fills = cache.takeRingFills();
        if (departures.isEmpty() && fills.isEmpty()) {
            return;
        }
        Stream link = stream(Lane.LINK_OUT);
        departures.forEach(departure -> departure.issue(link));
        fills.forEach(fill -> link.copyToDevice(fill.from(), fill.to()));
        link.record(madeWay);
        for (Lane lane : BEFORE_THE_LAST) {
            stream(lane).await(madeWay);
        }
    }

    /**
     * The first slot of a step that begins with the transfers that were issued ahead; empty if there are none, or if
     * the step cannot use them. Its own transfers follow them on their lane, and the work on these follows in turn. But
     * what is gathered or decoded on the device, and the recomputation after it, must wait until nothing writes to the
     * slots.
     */
    private OptionalInt takeAhead(StepBatch batch, StepPlan plan) {
        Ahead issued = ahead;
        ahead = null;
        EventPool marksOfIssued = nextAheadMarks;
        nextAheadMarks = aheadMarks;
        aheadMarks = marksOfIssued;
        if (issued == null) {
            return OptionalInt.empty();
        }
        if (issued.begin(batch, plan)) {
            return OptionalInt.of(issued.expected().firstSlot());
        }
        if (plan.chunks().stream().flatMap(chunk -> chunk.parts().stream()).anyMatch(part -> !part.isOnHost())) {
            stream(Lane.COMPUTE).await(issued.last());
        }
        return OptionalInt.empty();
    }

    private Ahead issueAhead(List<StepPlan.Ahead> transfers, StageIssuer.StepContext next) {
        Stream link = stream(Lane.LINK_IN);
        for (StepPlan.Ahead transfer : transfers) {
            PlannedStage planned = transfer.transfer();
            link.await(marks.get(transfer.slotFreeAfter()));
            link.record(startMark(nextAheadMarks, planned.index()));
            issuer.issue(planned.stage(), link, next);
            link.record(endMark(nextAheadMarks, planned.index()));
        }
        int last = transfers.getLast().transfer().index();
        return new Ahead(next, endMark(nextAheadMarks, last));
    }

    private static Event startMark(EventPool pool, int stage) {
        return pool.get(2 * stage);
    }

    private static Event endMark(EventPool pool, int stage) {
        return pool.get(2 * stage + 1);
    }

    /**
     * The stages of a graph follow each other on one lane, so the graph replaces the first of them. Tokens are chosen
     * after it.
     */
    private void issue(Stage stage, Stream stream, StageIssuer.StepContext context, Optional<Graph> graph) {
        if (graph.isEmpty() || !stage.computesRows()) {
            issuer.issue(stage, stream, context);
        } else if (stage instanceof Stage.Embed) {
            graph.get().launch(stream);
        }
        if (stage instanceof Stage.Head) {
            issuer.choose(stream, context);
        }
    }

    /** Marks the point at which all lanes have finished. */
    private void recordIdle(int stages) {
        Stream last = stream(Lane.LINK_OUT);
        for (Lane lane : BEFORE_THE_LAST) {
            Event done = marks.get(laneMark(stages, lane));
            stream(lane).record(done);
            last.await(done);
        }
        last.record(idle);
    }

    /** The mark at the end of a lane follows those of the stages. */
    private static int laneMark(int stages, Lane lane) {
        return stages + BEFORE_THE_LAST.indexOf(lane);
    }

    private Stream stream(Lane lane) {
        return Objects.requireNonNull(streams.get(lane));
    }

    /** Events, indexed by stage and reused by every step. */
    private static final class EventPool {
        private final Device device;
        private final Event.Timing timing;
        private final List<Event> events = new ArrayList<>();

        EventPool(Device device, Event.Timing timing) {
            this.device = device;
            this.timing = timing;
        }

        Event get(int index) {
            while (events.size() <= index) {
                events.add(device.event(timing));
            }
            return events.get(index);
        }

        /** Whether an event is reached that was recorded. Any thread may ask. */
        boolean isReached(int index) {
            return index >= events.size() || events.get(index).isReached();
        }
    }

    /** Tells observers when each stage of one step ran. */
    private final class StageObservation {
        private final List<MultiEmitter<? super StageCompleted>> observers;
        private final AtomicInteger stagesLeft;
        private final Event origin;
        /** Reached when everything that the step before began has ended. */
        private final Event allBegun;

        StageObservation(StepPlan plan, List<MultiEmitter<? super StageCompleted>> observers) {
            this.observers = observers;
            this.stagesLeft = new AtomicInteger(plan.stages().size());
            this.origin = startMark(timedMarks, plan.stages().size());
            this.allBegun = endMark(timedMarks, plan.stages().size());
            stream(Lane.COMPUTE).record(origin);
            for (Lane other : List.of(Lane.LINK_IN, Lane.LINK_OUT)) {
                // So that the time since the origin is defined.
                stream(other).await(origin);
            }
            stream(Lane.LINK_IN).record(allBegun);
        }

        /** The step before began this stage. */
        void began(PlannedStage planned) {
            tellWhen(allBegun, planned, aheadMarks);
        }

        void starts(PlannedStage planned, Stream stream) {
            stream.record(startMark(timedMarks, planned.index()));
        }

        void ends(PlannedStage planned, Stream stream) {
            Event end = endMark(timedMarks, planned.index());
            stream.record(end);
            tellWhen(end, planned, timedMarks);
        }

        private void tellWhen(Event reached, PlannedStage planned, EventPool pool) {
            reached.onReached(error -> {
                if (error == null) {
                    tell(planned, pool);
                } else {
                    observers.forEach(observer -> observer.fail(error));
                }
            });
        }

        /** An observer that waits for all stages must not wait for one that cannot be reported. */
        private void tell(PlannedStage planned, EventPool pool) {
            try {
                long start = startMark(pool, planned.index()).nanosSince(origin);
                emit(new StageTiming(
                        planned, start, endMark(pool, planned.index()).nanosSince(origin)));
            } catch (RuntimeException e) {
                observers.forEach(observer -> observer.fail(e));
            }
        }

        private void emit(StageTiming timing) {
            observers.forEach(observer -> observer.emit(new StageCompleted(timing)));
            if (stagesLeft.decrementAndGet() == 0) {
                observers.forEach(MultiEmitter::complete);
            }
        }
    }
}
