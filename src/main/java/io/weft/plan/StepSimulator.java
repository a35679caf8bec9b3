package io.weft.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;

/**
 * Plays a stage list on its lanes. A stage starts when the one before it on its lane has ended, when those that it
 * waits for have ended (and, since they are on other lanes, their end has been noticed), and when it has been issued.
 *
 * @param costs how long a stage takes
 * @param launchNanos that issuing a stage takes; stages are issued in order by one thread
 * @param handoffNanos from the end of a stage to the start of one on another lane that waits for it
 * @param pauseNanos from the end of a step to the start of the next
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
     * The predicted timeline of a plan: of one step among many, if such a step begins the transfers of the next
     * {@linkplain StepPlan#ahead ahead}; these then have times before the step's start.
     */
    public Timeline play(StepPlan plan) {
        List<StepPlan.Ahead> ahead = plan.ahead();
        Timeline fromRest = play(plan.stages());
        return ahead.isEmpty() ? fromRest : play(plan.stages(), ahead(ahead, fromRest));
    }

    /** When transfers run that follow a step, from the start of the next step. */
    private List<StageTiming> ahead(List<StepPlan.Ahead> transfers, Timeline step) {
        long startOfNext = step.totalNanos() + pauseNanos;
        long freeNanos = step.endNanos(Lane.LINK_IN) - startOfNext;
        List<StageTiming> timings = new ArrayList<>();
        for (StepPlan.Ahead ahead : transfers) {
            long slotFree = step.stages().get(ahead.slotFreeAfter()).endNanos() + handoffNanos;
            long start = Math.max(freeNanos, slotFree - startOfNext);
            freeNanos = start + cost(ahead.transfer().stage());
            timings.add(new StageTiming(ahead.transfer(), start, freeNanos));
        }
        return timings;
    }

    /**
     * The predicted timeline, from rest, of stages in order of issue.
     *
     * @throws IllegalArgumentException if a stage's cost is negative
     */
    public Timeline play(List<PlannedStage> stages) {
        return play(stages, List.of());
    }

    /** @param begun stages, all of the link in, that began before */
    private Timeline play(List<PlannedStage> stages, List<StageTiming> begun) {
        long[] freeNanos = new long[Lane.values().length];
        StageTiming[] timings = new StageTiming[stages.size()];
        for (StageTiming timing : begun) {
            timings[timing.planned().index()] = timing;
            freeNanos[Lane.LINK_IN.ordinal()] = timing.endNanos();
        }
        for (int i = 0; i < timings.length; i++) {
            if (timings[i] != null) {
                continue;
            }
            PlannedStage planned = stages.get(i);
            int lane = planned.stage().lane().ordinal();
            long issuedNanos = (i + 1) * launchNanos;
            long startNanos = Math.max(issuedNanos, freeNanos[lane]);
            for (int earlier : planned.after()) {
                startNanos = Math.max(startNanos, timings[earlier].endNanos() + handoffNanos);
            }
            timings[i] = new StageTiming(planned, startNanos, startNanos + cost(planned.stage()));
            freeNanos[lane] = timings[i].endNanos();
        }
        return Timeline.of(List.of(timings));
    }

    private long cost(Stage stage) {
        long nanos = costs.applyAsLong(stage);
        if (nanos < 0) {
            throw new IllegalArgumentException(stage + " costs " + nanos + " ns, must not be negative");
        }
        return nanos;
    }
}
