package io.weft.plan;

import java.util.List;
import java.util.function.ToLongFunction;

/**
 * Plays a stage list on its lanes. A stage starts when the one before it on its lane has ended, when those that it
 * waits for have ended (and, since they are on other lanes, their end has been noticed), and when it has been issued.
 *
 * @param costs how long a stage takes
 * @param launchNanos that issuing a stage takes; stages are issued in order by one thread
 * @param handoffNanos from the end of a stage to the start of one on another lane that waits for it
 */
public record StepSimulator(ToLongFunction<Stage> costs, long launchNanos, long handoffNanos) {
    public StepSimulator {
        if (launchNanos < 0 || handoffNanos < 0) {
            throw new IllegalArgumentException("launchNanos is %d and handoffNanos is %d, must not be negative"
                    .formatted(launchNanos, handoffNanos));
        }
    }

    /** The predicted timeline of a plan. */
    public Timeline play(StepPlan plan) {
        return play(plan.stages());
    }

    /**
     * The predicted timeline of stages in order of issue.
     *
     * @throws IllegalArgumentException if a stage's cost is negative
     */
    public Timeline play(List<PlannedStage> stages) {
        long[] freeNanos = new long[Lane.values().length];
        StageTiming[] timings = new StageTiming[stages.size()];
        for (int i = 0; i < timings.length; i++) {
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
