package io.weft.plan.prediction;

import io.weft.plan.step.Lane;
import java.util.Comparator;
import java.util.List;

/**
 * The predicted or measured timeline of a step.
 *
 * @param stages times of the stages, in the order of the plan
 * @param lanes summary
 */
public record Timeline(List<StageTiming> stages, LaneTimes lanes) {
    public Timeline {
        stages = List.copyOf(stages);
    }

    /** The timeline of some stages. */
    public static Timeline of(List<StageTiming> stages) {
        long[] busyNanos = new long[Lane.values().length];
        long total = 0;
        for (StageTiming timing : stages) {
            busyNanos[timing.planned().stage().lane().ordinal()] += timing.nanos();
            total = Math.max(total, timing.endNanos());
        }
        return new Timeline(stages, LaneTimes.of(total, busyNanos));
    }

    /** The timeline of stages in the order of completion, which may differ from that of the plan. */
    public static Timeline inPlanOrder(List<StageTiming> stages) {
        return of(stages.stream()
                .sorted(Comparator.comparingInt(timing -> timing.planned().index()))
                .toList());
    }

    /** The end of the last stage. */
    public long totalNanos() {
        return lanes.totalNanos();
    }

    /** The time during which the stages of a lane ran. */
    public long busyNanos(Lane lane) {
        return lanes.busyNanos(lane);
    }

    /** {@linkplain LaneTimes#busyRatio Share} of the step in which a lane was busy. */
    public double busyRatio(Lane lane) {
        return lanes.busyRatio(lane);
    }
}
