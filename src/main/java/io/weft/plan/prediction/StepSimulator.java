package io.weft.plan.prediction;

import io.weft.plan.step.Lane;
import io.weft.plan.step.PlannedStage;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StepPlan;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToLongFunction;

/**
 * Plays a stage list on its lanes. A stage starts when the one before it on its lane has ended, when those that it
 * waits for have ended (and its lane has noticed their end, since they are on other lanes), and when it has been
 * issued.
 *
 * @param costs time of a stage
 * @param launchNanos time to issue a stage; one thread issues stages in order
 * @param handoffNanos time from the end of a stage to the start of a stage on another lane that waits for it
 * @param pauseNanos time from the end of a step to the start of the next
 */
public record StepSimulator(ToLongFunction<Stage> costs, long launchNanos, long handoffNanos, long pauseNanos) {
    public StepSimulator {
        if (launchNanos < 0 || handoffNanos < 0 || pauseNanos < 0) {
            throw new IllegalArgumentException(
                    "launchNanos is %d, handoffNanos is %d and pauseNanos is %d, must not be negative"
                            .formatted(launchNanos, handoffNanos, pauseNanos));
        }
    }

    /**
     * The predicted timeline of a plan. If such steps begin the transfers of the next {@linkplain StepPlan#ahead
     * ahead}, it is that of one step among many, and these transfers have times before the step's start.
     */
    public Timeline play(StepPlan plan) {
        return run(plan).timeline();
    }

    /** The summary of the predicted timeline of a plan. */
    public LaneTimes lanes(StepPlan plan) {
        return run(plan).lanes();
    }

    private Run run(StepPlan plan) {
        List<StepPlan.Ahead> ahead = plan.ahead();
        Run fromRest = new Run(plan.stages());
        if (ahead.isEmpty()) {
            return fromRest;
        }
        Run steady = new Run(plan.stages());
        steady.begin(ahead, fromRest);
        return steady;
    }

    /**
     * The predicted timeline, from rest, of stages in order of issue.
     *
     * @throws IllegalArgumentException if a stage's cost is negative
     */
    public Timeline play(List<PlannedStage> stages) {
        return new Run(stages).timeline();
    }

    /** A step on its way through the lanes. */
    private final class Run {
        private static final long NOT_YET = Long.MIN_VALUE;

        private final List<PlannedStage> stages;
        /** Index: lane. The end of its last stage so far. */
        private final long[] freeNanos = new long[Lane.values().length];
        /** By stage. */
        private final long[] startNanos;

        private final long[] endNanos;

        Run(List<PlannedStage> stages) {
            this.stages = stages;
            this.startNanos = new long[stages.size()];
            this.endNanos = new long[stages.size()];
            Arrays.fill(endNanos, NOT_YET);
        }

        /** Runs, before this step starts, the transfers that {@code step}, a step like this one, issued ahead. */
        void begin(List<StepPlan.Ahead> transfers, Run step) {
            long startOfNext = step.advance() + pauseNanos;
            long linkFreeNanos = step.freeNanos[Lane.LINK_IN.ordinal()] - startOfNext;
            for (StepPlan.Ahead ahead : transfers) {
                long slotFreeNanos = step.endNanos[ahead.slotFreeAfter()] + handoffNanos - startOfNext;
                int stage = ahead.transfer().index();
                startNanos[stage] = Math.max(linkFreeNanos, slotFreeNanos);
                endNanos[stage] = startNanos[stage] + cost(ahead.transfer().stage());
                linkFreeNanos = endNanos[stage];
            }
            freeNanos[Lane.LINK_IN.ordinal()] = linkFreeNanos;
        }

        LaneTimes lanes() {
            long total = advance();
            long[] busyNanos = new long[freeNanos.length];
            for (int i = 0; i < endNanos.length; i++) {
                busyNanos[stages.get(i).stage().lane().ordinal()] += endNanos[i] - startNanos[i];
            }
            return LaneTimes.of(total, busyNanos);
        }

        Timeline timeline() {
            LaneTimes lanes = lanes();
            StageTiming[] timings = new StageTiming[stages.size()];
            for (int i = 0; i < timings.length; i++) {
                timings[i] = new StageTiming(stages.get(i), startNanos[i], endNanos[i]);
            }
            return new Timeline(List.of(timings), lanes);
        }

        /** Runs all stages that have not begun; returns the end of the last one. */
        private long advance() {
            long total = 0;
            for (int i = 0; i < endNanos.length; i++) {
                if (endNanos[i] == NOT_YET) {
                    PlannedStage planned = stages.get(i);
                    int lane = planned.stage().lane().ordinal();
                    long start = Math.max((i + 1) * launchNanos, freeNanos[lane]);
                    List<Integer> after = planned.after();
                    for (int wait = 0; wait < after.size(); wait++) {
                        start = Math.max(start, endNanos[after.get(wait)] + handoffNanos);
                    }
                    startNanos[i] = start;
                    endNanos[i] = start + cost(planned.stage());
                    freeNanos[lane] = endNanos[i];
                }
                total = Math.max(total, endNanos[i]);
            }
            return total;
        }
    }

    private long cost(Stage stage) {
        long nanos = costs.applyAsLong(stage);
        if (nanos < 0) {
            throw new IllegalArgumentException(stage + " costs " + nanos + " ns, must not be negative");
        }
        return nanos;
    }
}
