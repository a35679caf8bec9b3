package io.weft.observe;

import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.prediction.ProfileAdaptation;
import io.weft.plan.prediction.ProfileAdaptation.Deviation;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Lane;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepTokens;
import io.weft.plan.whatif.PlanExplanation;
import io.weft.plan.whatif.WhatIf;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Receives every step. One step in {@value #STEPS_PER_SAMPLE} is timed, at most every other second, and every step
 * while somebody looks at the timelines. A timed step is compared with its prediction, and the profile follows.
 */
public final class Observatory {
    /** Steps whose timelines are kept. */
    public static final int STEPS_KEPT = 64;

    /**
     * The most stages whose timings are kept. This bounds the memory, since steps of long contexts have thousands of
     * stages.
     */
    static final int STAGES_KEPT = 100_000;

    /** A step that is timed cannot run as a graph, and takes longer: so it is one in so many, */
    private static final int STEPS_PER_SAMPLE = 16;
    /** and not more often than this, however short steps are. */
    private static final long SAMPLE_NANOS = Duration.ofSeconds(2).toNanos();
    /** How long a request for timelines counts as somebody looking. */
    private static final long WATCH_NANOS = Duration.ofMinutes(1).toNanos();

    private static final System.Logger LOG = System.getLogger(Observatory.class.getName());

    private final Executor background;
    private final LongSupplier clockNanos;
    private final Semaphore comparing = new Semaphore(1);
    private final AtomicReference<@Nullable Service> service = new AtomicReference<>();
    /** Changed by the thread that runs the steps. */
    private volatile Totals totals = Totals.NONE;

    /** Changed by the thread that runs the steps. */
    private volatile StepTokens cached = StepTokens.NONE;

    /** Of the next step. Used by the thread that runs the steps. */
    private int foundTokens;

    private Totals.Passes passes = Totals.Passes.NONE;

    private final AtomicReference<@Nullable Explained> explained = new AtomicReference<>();
    private volatile @Nullable Long watchedNanos;
    /** Changed by the thread that runs the steps. */
    private @Nullable Sample lastSample;

    /** Guarded by itself. */
    private final Deque<ObservedStep> kept = new ArrayDeque<>();

    /**
     * The observed service.
     *
     * @param plan the plan in force, with the profile as it was measured
     * @param adaptation the profile that follows the steps
     * @param replan receives the profile when a deviation lasts
     */
    private record Service(WhatIf plan, ProfileAdaptation adaptation, Consumer<HardwareProfile> replan) {
        Service withAdaptation(ProfileAdaptation other) {
            return new Service(plan, other, replan);
        }

        Service withPlan(WhatIf other) {
            return new Service(other, adaptation, replan);
        }
    }

    /**
     * A step that was timed though nobody watched.
     *
     * @param steps steps before it
     * @param nanos when it began
     */
    private record Sample(long steps, long nanos) {}

    /** A cached explanation: computing it takes a while for long contexts. */
    private record Explained(WhatIf plan, PlanExplanation explanation) {}

    /** Compares steps on virtual threads. */
    public Observatory() {
        this(task -> Thread.ofVirtual().name("weft-observe").start(task), System::nanoTime);
    }

    /**
     * @param background runs the comparisons of steps with their predictions
     * @param clockNanos clock that ends the watching
     */
    Observatory(Executor background, LongSupplier clockNanos) {
        this.background = background;
        this.clockNanos = clockNanos;
    }

    /**
     * Begins, once a model is loaded.
     *
     * @param plan the plan of the service for its largest batch, with the measured profile
     * @param replan receives a new profile, on a background thread, when steps have deviated from their predictions for
     *     long
     */
    public void begin(WhatIf plan, Consumer<HardwareProfile> replan) {
        service.set(new Service(plan, ProfileAdaptation.of(plan.profile()), replan));
    }

    /** The plan in force, with its profile; empty while no model is loaded. */
    public Optional<WhatIf> inForce() {
        return Optional.ofNullable(service.get()).map(Service::plan);
    }

    /** The plan in force, explained; empty while no model is loaded. */
    public Optional<PlanExplanation> explanation() {
        return inForce().map(plan -> {
            Explained known = explained.get();
            if (known == null || !known.plan().equals(plan)) {
                known = new Explained(plan, plan.explain());
                explained.set(known);
            }
            return known.explanation();
        });
    }

    /** The profile that follows the steps; empty while no model is loaded. */
    public Optional<ProfileAdaptation> adaptation() {
        return Optional.ofNullable(service.get()).map(Service::adaptation);
    }

    /** Sums over all steps. */
    public Totals totals() {
        return totals;
    }

    /** The cached tokens of the last step; they stay after its sequences have left. */
    public StepTokens cached() {
        return cached;
    }

    /** Whether the stages of the next step are to be timed. */
    public boolean timesNextStep() {
        Long watched = watchedNanos;
        boolean isWatched = watched != null && clockNanos.getAsLong() - watched < WATCH_NANOS;
        return service.get() != null && (isWatched || isSampled());
    }

    private boolean isSampled() {
        Sample last = lastSample;
        long steps = totals.steps();
        long now = clockNanos.getAsLong();
        boolean isDue =
                last == null || (steps - last.steps() >= STEPS_PER_SAMPLE && now - last.nanos() >= SAMPLE_NANOS);
        if (isDue) {
            lastSample = new Sample(steps, now);
        }
        return isDue;
    }

    /** Tokens of prompts that begin in the next step were cached before. On the thread that runs the steps. */
    public void found(int tokens) {
        foundTokens += tokens;
    }

    /**
     * The step that is recorded next has made tokens. On the thread that runs the steps.
     *
     * @param passes sequences for which it made some
     * @param drafted drafted tokens that it checked
     * @param accepted those that were right
     */
    public void generated(int passes, int drafted, int accepted) {
        this.passes = new Totals.Passes(passes, drafted, accepted);
    }

    /** Records a step. Slow work happens in the background, for one step at a time. */
    public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
        Service current = service.get();
        if (current == null) {
            return;
        }
        StepTokens tokens = StepTokens.of(plan.shape(), current.plan().blockTokens());
        long linkBytes = plan.linkInBytes();
        cached = tokens;
        int found = foundTokens;
        foundTokens = 0;
        totals = totals.plus(nanos, linkBytes, plan.promotedBytes(), tokens, found, passes);
        passes = Totals.Passes.NONE;
        long number = totals.steps();
        // Comparisons that take longer than a step must not pile up.
        if (measured.isPresent() && comparing.tryAcquire()) {
            Instant now = Instant.now();
            background.execute(() -> {
                try {
                    compare(plan, number, now, nanos, linkBytes, tokens, found, measured.get());
                } finally {
                    comparing.release();
                }
            });
        }
    }

    private void compare(
            StepPlan plan,
            long number,
            Instant endedAt,
            long nanos,
            long linkBytes,
            StepTokens tokens,
            int found,
            Timeline measured) {
        Service current = service.get();
        if (current == null) {
            return;
        }
        Timeline predicted = current.plan()
                .withProfile(current.adaptation().profile())
                .costs()
                .simulator(plan)
                .play(plan);
        keep(new ObservedStep(
                number,
                endedAt,
                plan.shape().sequences().size(),
                plan.shape().rows(),
                linkBytes,
                tokens,
                found,
                nanos,
                predicted,
                measured));
        ProfileAdaptation adaptation = current.adaptation().observe(predicted, measured, clockNanos.getAsLong());
        Service next = current.withAdaptation(adaptation);
        service.set(next);
        adaptation.lasting().ifPresent(deviation -> replan(next, deviation));
    }

    private void replan(Service current, Deviation deviation) {
        LOG.log(
                Level.WARNING,
                "{0} takes {1} times as long as measured at the start, for {2} s now: planning anew",
                deviation.lane() == Lane.COMPUTE ? "computing" : "the link",
                "%.2f".formatted(deviation.factor()),
                ProfileAdaptation.LASTING.toSeconds());
        HardwareProfile profile = current.adaptation().profile();
        service.set(current.withPlan(current.plan().withProfile(profile))
                .withAdaptation(current.adaptation().plannedFor()));
        current.replan().accept(profile);
    }

    private void keep(ObservedStep step) {
        synchronized (kept) {
            kept.addLast(step);
            long stages = kept.stream()
                    .mapToLong(one -> one.measured().stages().size())
                    .sum();
            while (kept.size() > STEPS_KEPT || (stages > STAGES_KEPT && kept.size() > 1)) {
                stages -= kept.removeFirst().measured().stages().size();
            }
        }
    }

    /** The last steps that were timed, oldest first. From now on, every step is timed for a minute. */
    public List<ObservedStep> watch() {
        watchedNanos = clockNanos.getAsLong();
        return steps();
    }

    /** The last steps that were timed, oldest first. */
    public List<ObservedStep> steps() {
        synchronized (kept) {
            return new ArrayList<>(kept);
        }
    }

    /** The last step that was timed. */
    public Optional<ObservedStep> lastStep() {
        synchronized (kept) {
            return Optional.ofNullable(kept.peekLast());
        }
    }
}
