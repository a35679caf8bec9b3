package io.weft.bench;

import io.weft.app.Assembly;
import io.weft.app.Settings.ScheduleChoice;
import io.weft.cache.CacheSequence;
import io.weft.cache.CacheUsage;
import io.weft.engine.EngineRuntime;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.observe.ObservedStep;
import io.weft.pipeline.StageCompleted;
import io.weft.pipeline.Step;
import io.weft.pipeline.StepBatch;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepResult;
import io.weft.pipeline.StepSequence;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.pipeline.TokenChoice;
import io.weft.plan.placement.DecodeLoad;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.placement.PlacementProblem;
import io.weft.plan.placement.PlacementSolution;
import io.weft.plan.placement.PlacementSolution.DoesNotFit;
import io.weft.plan.placement.PlacementSolution.Placed;
import io.weft.plan.placement.PlacementSolver;
import io.weft.plan.placement.Placements;
import io.weft.plan.placement.Planning;
import io.weft.plan.placement.Room;
import io.weft.plan.placement.StepBound;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Lane;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepTokens;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/** Measures decode steps of equal sequences with random prompts. */
public final class Bench implements AutoCloseable {
    private static final long PROMPT_SEED = 1;

    /**
     * The load to run.
     *
     * @param batch sequences
     * @param promptTokens prompt tokens of each sequence
     * @param generatedTokens tokens to generate for each sequence
     */
    public record Load(int batch, int promptTokens, int generatedTokens) {
        public Load {
            if (batch < 1 || promptTokens < 1 || generatedTokens < 2) {
                throw new IllegalArgumentException(
                        "load is %d sequences of %d prompt and %d generated tokens, must be at least 1, 1 and 2"
                                .formatted(batch, promptTokens, generatedTokens));
            }
        }

        /** The final tokens of a sequence. */
        public int contextTokens() {
            return promptTokens + generatedTokens;
        }

        /** The final tokens of all sequences. */
        public long totalTokens() {
            return (long) batch * contextTokens();
        }

        /** Sequences and prompt, such as 8x1024. */
        public String label() {
            return batch + "x" + promptTokens;
        }
    }

    /**
     * A load and the way to plan it.
     *
     * @param schedule schedule of the steps
     * @param deviceCachePercent device memory for full blocks, in per cent of what K and V of the load take; empty for
     *     all there is
     * @param forms forms that full blocks may have
     * @param drafts drafts of each sequence in a step
     */
    public record Setting(
            Load load,
            ScheduleChoice schedule,
            OptionalInt deviceCachePercent,
            Set<CacheForm> forms,
            DrivenDrafts drafts) {
        public Setting {
            forms = Set.copyOf(forms);
            if (load.generatedTokens() < 2 + drafts.drafted()) {
                throw new IllegalArgumentException("%d tokens are generated, must be at least 2 more than the %d drafts"
                        .formatted(load.generatedTokens(), drafts.drafted()));
            }
        }

        /** A setting without drafts. */
        public Setting(Load load, ScheduleChoice schedule, OptionalInt deviceCachePercent, Set<CacheForm> forms) {
            this(load, schedule, deviceCachePercent, forms, DrivenDrafts.NONE);
        }

        /** This setting with some drafts. */
        public Setting with(DrivenDrafts chosen) {
            return new Setting(load, schedule, deviceCachePercent, forms, chosen);
        }

        /** This setting with the forms that blocks have under a policy. */
        Setting under(CachePolicy policy) {
            return new Setting(load, schedule, deviceCachePercent, policy.stored(forms), drafts);
        }

        /** A setting with all memory and all forms. */
        public static Setting of(Load load, ScheduleChoice schedule) {
            return new Setting(load, schedule, OptionalInt.empty(), schedule.forms());
        }
    }

    /**
     * One decode step.
     *
     * @param nanos time from the end of the step before to tokens on the host
     * @param issueNanos time of planning and issuing
     * @param plan plan of the step
     * @param observed the times of its stages, measured and simulated; empty for a step without observers
     */
    private record Measured(long nanos, long issueNanos, StepPlan plan, Optional<ObservedStep> observed) {}

    /**
     * The figures that are kept of a step.
     *
     * @param nanos time from the end of the step before to tokens on the host
     * @param issueNanos time of planning and issuing
     * @param linkBytes bytes of cached tokens to the device
     * @param predictedNanos time by the simulator
     */
    private record Figures(long nanos, long issueNanos, long linkBytes, long predictedNanos) {}

    /** One step in this many is observed. The one after it waits for the work of observing, and is not counted. */
    private static final int STEPS_PER_OBSERVED = 4;

    private static final Supplier<Optional<Timeline>> UNOBSERVED = Optional::empty;

    private final Assembly assembly;
    private final Setting setting;
    private final Load load;
    private final CostModel costs;
    private final EngineRuntime runtime;
    private final Planning planning;
    private final Duration warmUp;
    private final Consumer<String> progress;
    private final List<CacheSequence> sequences = new ArrayList<>();
    private final int[] lastTokens;
    private Optional<ObservedStep> lastObserved = Optional.empty();

    /**
     * @param costs the costs of stages, for planning and prediction
     * @param warmUp how long to decode before the first measured step, until the code that issues steps is compiled
     * @param progress receives the current activity, for people
     */
    public Bench(Assembly assembly, CostModel costs, Setting setting, Duration warmUp, Consumer<String> progress) {
        this.assembly = assembly;
        this.setting = setting.under(costs.geometry().policy());
        this.load = setting.load();
        this.costs = costs;
        this.runtime = assembly.runtime(
                setting.schedule(), costs, assembly.limits().withLoad(load.batch(), load.contextTokens()));
        this.planning = runtime.planning().get();
        this.warmUp = warmUp;
        this.progress = progress;
        this.lastTokens = new int[load.batch()];
    }

    /** The placement of all sequences together, with the forms and the memory of the setting. */
    private PlacementSolution placements() {
        CacheUsage usage = runtime.cache().usage();
        CacheGeometry geometry = runtime.cache().geometry();
        DecodeLoad halfway = halfway();
        long keyValueBytes = halfway.totalTokens() * geometry.tokenBytes(Content.KEY_VALUE);
        double freeBytes = usage.device().freeBytes();
        double deviceBytes = setting.deviceCachePercent().isPresent()
                ? Math.min(
                        freeBytes, keyValueBytes * setting.deviceCachePercent().getAsInt() / 100.0)
                : freeBytes;
        PlacementProblem problem = PlacementProblem.decode(costs, halfway, setting.forms(), 0, deviceBytes, (double)
                usage.host().freeBytes());
        return new PlacementSolver(problem).solve();
    }

    /** The load of full blocks in the middle step. */
    private DecodeLoad halfway() {
        int blockTokens = runtime.cache().geometry().blockTokens();
        // The first decode step finds the prompt cached, the last one all but two of the tokens.
        int cachedTokens = load.promptTokens() + (load.generatedTokens() - 2) / 2;
        return new DecodeLoad(
                load.batch(),
                Math.max(1, cachedTokens / blockTokens * blockTokens),
                planning.planner().chunkTokens());
    }

    /** Admits all sequences; false if there is no room for what they will hold. */
    private boolean admit(Placed together) {
        PlacementPolicy placement = placement(together);
        CacheUsage empty = runtime.cache().usage();
        Room room = new Room(
                runtime.cache().geometry(),
                empty.device().freeBytes() - load.batch() * runtime.cache().ringBytes(load.contextTokens()),
                empty.host().freeBytes());
        for (int i = 0; i < load.batch(); i++) {
            for (int block = 0;
                    block < load.contextTokens() / runtime.cache().geometry().blockTokens();
                    block++) {
                if (!room.take(placement.forms(block, load.promptTokens()))) {
                    return false;
                }
            }
            Optional<CacheSequence> sequence =
                    runtime.cache().admit(load.contextTokens(), block -> placement.forms(block, load.promptTokens()));
            if (sequence.isEmpty()) {
                return false;
            }
            sequences.add(sequence.get());
        }
        return true;
    }

    private PlacementPolicy placement(Placed together) {
        DecodeLoad full = new DecodeLoad(
                load.batch(), load.contextTokens(), planning.planner().chunkTokens());
        return setting.schedule()
                .schedule()
                .map(new Placements(costs, full, setting.forms())::policy)
                .orElseGet(() -> new Placements(costs, halfway()).together(together));
    }

    /** Measures; empty if the load does not fit the model or the cache. */
    public Optional<BenchReport> run() {
        return switch (placements()) {
            case DoesNotFit doesNotFit -> Optional.empty();
            case Placed together when draftRows() > assembly.limits().draftRows() -> Optional.empty();
            case Placed together
            when load.contextTokens() > runtime.model().contextTokens() || !admit(together) -> Optional.empty();
            case Placed together -> Optional.of(measure(together.problem()));
        };
    }

    private int draftRows() {
        return load.batch() * setting.drafts().drafted();
    }

    /** Says that the load does not fit, for people. */
    public String tooLarge() {
        if (draftRows() > assembly.limits().draftRows()) {
            return "%s %s drafts %d tokens in a step, there is memory for %d"
                    .formatted(
                            load.label(),
                            setting.schedule().label(),
                            draftRows(),
                            assembly.limits().draftRows());
        }
        return "%s %s, %d tokens a sequence, does not fit the model's context of %d tokens or the cache (%s) with %s"
                .formatted(
                        load.label(),
                        setting.schedule().label(),
                        load.contextTokens(),
                        runtime.model().contextTokens(),
                        runtime.cache().usage(),
                        setting.forms());
    }

    /** A lower bound on a step with the forms of the setting and these memories. */
    private double boundNanos(PlacementProblem memories) {
        return new StepBound(
                        costs,
                        load.batch(),
                        halfway().contextTokens(),
                        setting.forms(),
                        0,
                        memories.deviceBudgetBytes(),
                        memories.hostBudgetBytes())
                .nanos()
                .orElseThrow();
    }

    private BenchReport measure(PlacementProblem memories) {
        String schedule = setting.schedule().label();
        long started = System.nanoTime();
        prefill();
        double prefillSeconds = (System.nanoTime() - started) / 1e9;
        // Starts with the warm-up: the measured steps alone may be too short to tell.
        OthersLoad others = OthersLoad.begin();
        warmUp();
        List<Figures> counted = new ArrayList<>();
        List<ObservedStep> observed = new ArrayList<>();
        List<Measured> untouched = new ArrayList<>();
        List<int[]> passes = setting.drafts().passes(load.batch(), load.generatedTokens() - 1);
        int steps = passes.size();
        long endedNanos = System.nanoTime();
        for (int i = 0; i < steps; i++) {
            int place = i % STEPS_PER_OBSERVED;
            Measured step = decode(endedNanos, passes.get(i), place == 0 ? this::observed : one -> UNOBSERVED);
            // A run of few steps uses all that there are.
            if (place > 1 || steps < STEPS_PER_OBSERVED) {
                untouched.add(step);
            }
            if (place == 0) {
                observed.addAll(step.observed().stream().toList());
                figures(untouched, counted);
                progress.accept("%s %s: decode %d of %d".formatted(load.label(), schedule, i + 1, steps));
            }
            endedNanos = System.nanoTime();
        }
        figures(untouched, counted);
        OptionalDouble othersPercent = others.percent();
        lastObserved = Optional.of(observed.getLast());
        double totalNanos = counted.stream().mapToLong(Figures::nanos).sum();
        double stepMillis = median(counted, Figures::nanos) / 1e6;
        double predictedMillis = median(counted, Figures::predictedNanos) / 1e6;
        // Of all steps: the counted ones are too few for the pattern of accepted drafts.
        double tokensPerPass =
                passes.stream().flatMapToInt(Arrays::stream).average().orElse(0) + 1;
        return new BenchReport(
                schedule,
                runtime.model().id(),
                assembly.deviceName(),
                load.label(),
                load.batch(),
                load.promptTokens(),
                load.generatedTokens(),
                setting.deviceCachePercent().isPresent()
                        ? setting.deviceCachePercent().getAsInt()
                        : null,
                CacheForm.all().stream()
                        .filter(setting.forms()::contains)
                        .map(CacheForm::label)
                        .toList(),
                setting.drafts().drafted(),
                tokensPerPass - 1,
                tokensPerPass,
                tokensByForm(),
                costs.profile().linkBytesPerSecond(),
                prefillSeconds,
                stepMillis,
                tokensPerPass * load.batch() * counted.size() / (totalNanos / 1e9),
                counted.stream().mapToLong(Figures::linkBytes).average().orElse(0),
                median(observed, step -> step.measured().busyNanos(Lane.LINK_IN) / (double) step.wallNanos()),
                predictedMillis,
                predictedMillis / stepMillis,
                100 * (predictedMillis / stepMillis - 1),
                boundNanos(memories) / 1e6,
                othersPercent.isPresent() ? othersPercent.getAsDouble() : null,
                median(counted, Figures::issueNanos) / 1e6);
    }

    /**
     * Takes the figures of some steps, and drops their plans. Simulating takes time, so nothing is measured meanwhile.
     */
    private void figures(List<Measured> steps, List<Figures> figures) {
        for (Measured step : steps) {
            figures.add(new Figures(
                    step.nanos(), step.issueNanos(), step.plan().linkInBytes(), costs.stepNanos(step.plan())));
        }
        steps.clear();
    }

    /** The tokens of full blocks, by form. */
    private Map<String, Long> tokensByForm() {
        Map<String, Long> tokens = new LinkedHashMap<>();
        for (CacheForm form : runtime.cache().geometry().policy().forms()) {
            tokens.put(form.label(), 0L);
        }
        long blockTokens = runtime.cache().geometry().blockTokens();
        for (CacheSequence sequence : sequences) {
            sequence.forms(0, sequence.closedBlocks())
                    .forEach(form -> tokens.merge(form.label(), blockTokens, Long::sum));
        }
        return tokens;
    }

    private static <S> double median(List<S> steps, ToDoubleFunction<S> figure) {
        double[] sorted = steps.stream().mapToDouble(figure).sorted().toArray();
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /** Runs the prompts in batch order, with as many rows per step as the limits allow. */
    private void prefill() {
        StepLimits limits = runtime.pipeline().limits();
        Random random = new Random(PROMPT_SEED);
        List<List<Integer>> prompts = new ArrayList<>();
        for (int i = 0; i < load.batch(); i++) {
            prompts.add(random.ints(load.promptTokens(), 0, runtime.model().vocabularySize())
                    .boxed()
                    .toList());
        }
        int done = 0;
        while (done < load.batch() * load.promptTokens()) {
            List<Integer> members = new ArrayList<>();
            List<StepSequence> parts = new ArrayList<>();
            int rowsLeft = limits.rows();
            for (int i = 0; i < load.batch() && rowsLeft > 0; i++) {
                int cached = sequences.get(i).tokens();
                int rows = Math.min(rowsLeft, load.promptTokens() - cached);
                if (rows > 0) {
                    boolean last = cached + rows == load.promptTokens();
                    List<Integer> tokens = prompts.get(i).subList(cached, cached + rows);
                    members.add(i);
                    parts.add(part(i, tokens, 0, last ? 1 : 0));
                    rowsLeft -= rows;
                    done += rows;
                }
            }
            StepBatch batch = new StepBatch(parts);
            StepResult result =
                    await(runtime.pipeline().step(batch, planning.planner().plan(batch.shape())));
            for (int i = 0; i < members.size(); i++) {
                finish(batch.sequences().get(i), members.get(i), 0, result, i);
            }
            progress.accept("%s %s: prefill %d of %d tokens"
                    .formatted(load.label(), setting.schedule().label(), done, load.batch() * load.promptTokens()));
        }
    }

    private StepSequence part(int sequence, List<Integer> tokens, int drafted, int choices) {
        if (!sequences.get(sequence).open(tokens.size(), drafted)) {
            throw new IllegalStateException(
                    "the cache is full: " + runtime.cache().usage());
        }
        return new StepSequence(
                sequences.get(sequence),
                tokens,
                drafted,
                LogitRows.NONE,
                Collections.nCopies(choices, TokenChoice.likeliest()));
    }

    /** Subscribes to a step's stages; supplies their times after the step. */
    private Supplier<Optional<Timeline>> observed(Step step) {
        CompletableFuture<List<StageTiming>> timings =
                step.stages().map(StageCompleted::timing).collect().asList().subscribeAsCompletionStage();
        return () -> Optional.of(Timeline.inPlanOrder(timings.join()));
    }

    /** The last step whose stages were timed. */
    public Optional<ObservedStep> lastObserved() {
        return lastObserved;
    }

    /** Decodes the same tokens again and again: a step whose tokens are not committed does not change the cache. */
    private void warmUp() {
        long startedNanos = System.nanoTime();
        while (System.nanoTime() - startedNanos < warmUp.toNanos()) {
            StepBatch batch = decodeBatch();
            StepPlan plan = planning.planner().plan(batch.shape());
            CompletableFuture<StepResult> result =
                    runtime.pipeline().step(batch, plan).result().subscribeAsCompletionStage();
            planning.planner().planAhead(plan);
            result.join();
        }
    }

    private StepBatch decodeBatch() {
        int drafted = setting.drafts().drafted();
        // Any tokens will do: which of them are accepted does not depend on the model.
        return new StepBatch(IntStream.range(0, load.batch())
                .mapToObj(i -> part(i, Collections.nCopies(1 + drafted, lastTokens[i]), drafted, 1 + drafted))
                .toList());
    }

    /**
     * @param startedNanos end of the step before
     * @param accepted drafts of each sequence that are accepted
     */
    private Measured decode(
            long startedNanos, int[] accepted, Function<Step, Supplier<Optional<Timeline>>> observation) {
        StepBatch batch = decodeBatch();
        long issueStartedNanos = System.nanoTime();
        StepPlan plan = planning.planner().plan(batch.shape());
        Step step = runtime.pipeline().step(batch, plan);
        Supplier<Optional<Timeline>> timeline = observation.apply(step);
        CompletableFuture<StepResult> result = step.result().subscribeAsCompletionStage();
        long issueNanos = System.nanoTime() - issueStartedNanos;
        planning.planner().planAhead(plan);
        StepResult tokens = result.join();
        long nanos = System.nanoTime() - startedNanos;
        Instant ended = Instant.now();
        for (int i = 0; i < load.batch(); i++) {
            finish(batch.sequences().get(i), i, accepted[i], tokens, i);
        }
        Optional<ObservedStep> observed = timeline.get()
                .map(stages -> new ObservedStep(
                        sequences.getFirst().tokens() - load.promptTokens(),
                        ended,
                        batch.sequences().size(),
                        batch.rows(),
                        plan.linkInBytes(),
                        StepTokens.of(plan.shape(), runtime.cache().geometry().blockTokens()),
                        0,
                        nanos,
                        costs.simulator(plan).play(plan),
                        stages));
        return new Measured(nanos, issueNanos, plan, observed);
    }

    private static StepResult await(Step step) {
        return step.result().await().indefinitely();
    }

    /**
     * Commits the tokens of a sequence's part of a step, and takes the next one.
     *
     * @param accepted drafts that are accepted
     * @param place of the part in the step
     */
    private void finish(StepSequence part, int sequence, int accepted, StepResult result, int place) {
        part.cache().commit(part.newTokens().subList(0, part.newTokens().size() - part.drafted() + accepted));
        if (!part.choices().isEmpty()) {
            lastTokens[sequence] = result.token(place, accepted).orElseThrow();
        }
    }

    @Override
    public void close() {
        sequences.forEach(CacheSequence::close);
        sequences.clear();
    }
}
