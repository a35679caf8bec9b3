package io.weft.plan;

import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * A step in time, predicted or measured.
 *
 * @param stages in the order of the plan
 * @param totalNanos when the last one ends
 * @param busyNanos of every lane: its stages together
 */
public record Timeline(List<StageTiming> stages, long totalNanos, Map<Lane, Long> busyNanos) {
    public Timeline {
        stages = List.copyOf(stages);
        busyNanos = Map.copyOf(busyNanos);
    }

    /** The timeline of some stages. */
    public static Timeline of(List<StageTiming> stages) {
        long[] busyNanos = new long[Lane.values().length];
        long total = 0;
        for (StageTiming timing : stages) {
            busyNanos[timing.planned().stage().lane().ordinal()] += timing.nanos();
            total = Math.max(total, timing.endNanos());
        }
        Map<Lane, Long> busy = new EnumMap<>(Lane.class);
        for (Lane lane : Lane.values()) {
            busy.put(lane, busyNanos[lane.ordinal()]);
        }
        return new Timeline(stages, total, busy);
    }

    /** The timeline of stages as they completed, which is another order than that of the plan. */
    public static Timeline inPlanOrder(List<StageTiming> stages) {
        return of(stages.stream()
                .sorted(Comparator.comparingInt(timing -> timing.planned().index()))
                .toList());
    }

    /** When the last stage of a lane ends; 0 if it has none. */
    public long endNanos(Lane lane) {
        long end = 0;
        for (StageTiming timing : stages) {
            if (timing.planned().stage().lane() == lane) {
                end = Math.max(end, timing.endNanos());
            }
        }
        return end;
    }

    /** Time in which the stages of a lane ran. */
    public long busyNanos(Lane lane) {
        return busyNanos.getOrDefault(lane, 0L);
    }

    /**
     * Share of the step in which a lane was busy, 0 to 1. The link may be busy for longer than the step, since it goes
     * on between two steps.
     */
    public double busyRatio(Lane lane) {
        return totalNanos == 0 ? 0 : Math.min(1, (double) busyNanos(lane) / totalNanos);
    }

    /** The lane that was busy longest. */
    public Lane boundBy() {
        return Arrays.stream(Lane.values())
                .max(Comparator.comparingLong(this::busyNanos))
                .orElseThrow();
    }
}
