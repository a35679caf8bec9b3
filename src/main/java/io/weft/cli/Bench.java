package io.weft.cli;

import io.weft.cache.CacheSequence;
import io.weft.cache.CacheUsage;
import io.weft.engine.EngineRuntime;
import io.weft.engine.Planning;
import io.weft.pipeline.StageCompleted;
import io.weft.pipeline.Step;
import io.weft.pipeline.StepBatch;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepResult;
import io.weft.pipeline.StepSequence;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.Lane;
import io.weft.plan.Occupancy;
import io.weft.plan.PlacementPolicy;
import io.weft.plan.StageTiming;
import io.weft.plan.StepPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;

/** Measures decode steps of equal sequences with random prompts. */
final class Bench implements AutoCloseable {
    private static final long PROMPT_SEED = 1;

    /**
     * What to run.
     *
     * @param batch sequences
     * @param promptTokens of each
     * @param generatedTokens of each
     */
    record Load(int batch, int promptTokens, int generatedTokens) {}

    /**
     * One decode step.
     *
     * @param nanos from issue to logits on the host
     * @param issueNanos that issuing took
     * @param linkBytes of cached tokens to the device
     * @param linkBusyNanos that the link to the device was busy; empty for a step without observers
     * @param predictedNanos what the simulator says
     */
    private record Measured(
            long nanos, long issueNanos, long linkBytes, OptionalLong linkBusyNanos, long predictedNanos) {}

    private static final Supplier<OptionalLong> UNOBSERVED = OptionalLong::empty;

    private final EngineRuntime runtime;
    private final Planning planning;
    private final Load load;
    private final ToDoubleFunction<StepPlan> predictedNanos;
    private final Consumer<String> progress;
    private final List<CacheSequence> sequences = new ArrayList<>();
    private final int[] lastTokens;

    /**
     * @param predictedNanos the prediction for a step
     * @param progress told what is being done, for people
     * @throws IllegalArgumentException if the sequences do not fit the cache
     */
    Bench(EngineRuntime runtime, Load load, ToDoubleFunction<StepPlan> predictedNanos, Consumer<String> progress) {
        this.runtime = runtime;
        this.planning = runtime.planning().get();
        this.load = load;
        this.predictedNanos = predictedNanos;
        this.progress = progress;
        this.lastTokens = new int[load.batch()];
        admit();
    }

    private void admit() {
        int tokens = load.promptTokens() + load.generatedTokens();
        CacheUsage empty = runtime.cache().usage();
        Occupancy nothing =
                Occupancy.none(empty.device().freeBytes(), empty.host().freeBytes());
        PlacementPolicy placement = planning.admission().policy(nothing, tokens);
        for (int i = 0; i < load.batch(); i++) {
            var sequence = runtime.cache().admit(tokens, block -> placement.forms(block, load.promptTokens()));
            if (sequence.isEmpty()) {
                close();
                throw new IllegalArgumentException(
                        "only %d of %d sequences of %d tokens fit the cache (%s): raise weft.device-memory or weft.host-memory"
                                .formatted(
                                        i, load.batch(), tokens, runtime.cache().usage()));
            }
            sequences.add(sequence.get());
        }
    }

    BenchReport run(String schedule, String device) {
        long started = System.nanoTime();
        prefill();
        double prefillSeconds = (System.nanoTime() - started) / 1e9;
        List<Measured> steps = new ArrayList<>();
        while (steps.size() < load.generatedTokens() - 1) {
            steps.add(steps.size() % 2 == 0 ? decode(this::observed) : decode(step -> UNOBSERVED));
            progress.accept("%s: decode %d of %d".formatted(schedule, steps.size(), load.generatedTokens() - 1));
        }
        // Events around every stage take time of their own, so an observed step tells of the link alone.
        List<Measured> plain = unobserved(steps);
        double totalNanos = plain.stream().mapToLong(Measured::nanos).sum();
        return new BenchReport(
                schedule,
                runtime.model().id(),
                device,
                load.batch(),
                load.promptTokens(),
                load.generatedTokens(),
                prefillSeconds,
                median(plain, Measured::nanos) / 1e6,
                plain.size() * load.batch() / (totalNanos / 1e9),
                steps.stream().mapToLong(Measured::linkBytes).average().orElse(0),
                median(
                        steps.stream()
                                .filter(step -> step.linkBusyNanos().isPresent())
                                .toList(),
                        step -> step.linkBusyNanos().orElseThrow() / (double) step.nanos()),
                median(plain, Measured::predictedNanos) / 1e6,
                median(plain, Measured::issueNanos) / 1e6);
    }

    private static double median(List<Measured> steps, ToDoubleFunction<Measured> figure) {
        double[] sorted = steps.stream().mapToDouble(figure).sorted().toArray();
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /** Prompts in batch order, as many rows a step as the limits allow. */
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
                    parts.add(part(i, tokens, last ? LogitRows.LAST : LogitRows.NONE));
                    rowsLeft -= rows;
                    done += rows;
                }
            }
            StepBatch batch = new StepBatch(parts);
            finish(
                    batch,
                    members,
                    await(runtime.pipeline().step(batch, planning.planner().plan(batch.shape()))));
            progress.accept("prefill %d of %d tokens".formatted(done, load.batch() * load.promptTokens()));
        }
    }

    private StepSequence part(int sequence, List<Integer> tokens, LogitRows logits) {
        sequences.get(sequence).open(tokens.size());
        return new StepSequence(sequences.get(sequence), tokens, logits);
    }

    /** Those without observers, or all if there are none. */
    private static List<Measured> unobserved(List<Measured> steps) {
        List<Measured> without =
                steps.stream().filter(step -> step.linkBusyNanos().isEmpty()).toList();
        return without.isEmpty() ? steps : without;
    }

    /** Subscribes to a step's stages; what they come to once it has run. */
    private Supplier<OptionalLong> observed(Step step) {
        CompletableFuture<List<StageTiming>> timings =
                step.stages().map(StageCompleted::timing).collect().asList().subscribeAsCompletionStage();
        return () -> OptionalLong.of(busyNanos(timings.join()));
    }

    private Measured decode(Function<Step, Supplier<OptionalLong>> observation) {
        List<Integer> members = new ArrayList<>();
        List<StepSequence> parts = new ArrayList<>();
        for (int i = 0; i < load.batch(); i++) {
            members.add(i);
            parts.add(part(i, List.of(lastTokens[i]), LogitRows.LAST));
        }
        StepBatch batch = new StepBatch(parts);
        long started = System.nanoTime();
        StepPlan plan = planning.planner().plan(batch.shape());
        Step step = runtime.pipeline().step(batch, plan);
        Supplier<OptionalLong> linkBusyNanos = observation.apply(step);
        CompletableFuture<StepResult> result = step.result().subscribeAsCompletionStage();
        long issued = System.nanoTime();
        StepResult logits = result.join();
        long nanos = System.nanoTime() - started;
        finish(batch, members, logits);
        return new Measured(
                nanos,
                issued - started,
                plan.linkInBytes(),
                linkBusyNanos.get(),
                Math.round(predictedNanos.applyAsDouble(plan)));
    }

    /** Stages of one lane do not overlap. */
    private static long busyNanos(List<StageTiming> timings) {
        return timings.stream()
                .filter(timing -> timing.planned().stage().lane() == Lane.LINK_IN)
                .mapToLong(StageTiming::nanos)
                .sum();
    }

    private static StepResult await(Step step) {
        return step.result().await().indefinitely();
    }

    /** Commits a step's tokens and takes the likeliest next ones. */
    private void finish(StepBatch batch, List<Integer> members, StepResult result) {
        int logitRow = 0;
        for (int i = 0; i < members.size(); i++) {
            StepSequence part = batch.sequences().get(i);
            part.cache().commit(part.newTokens().size());
            if (part.logits() == LogitRows.LAST) {
                lastTokens[members.get(i)] = likeliest(result.logits(logitRow++));
            }
        }
    }

    /** The token with the largest logit, the first of equals. */
    static int likeliest(float[] logits) {
        int best = 0;
        for (int token = 1; token < logits.length; token++) {
            if (logits[token] > logits[best]) {
                best = token;
            }
        }
        return best;
    }

    @Override
    public void close() {
        sequences.forEach(CacheSequence::close);
        sequences.clear();
    }
}
