package io.weft.plan.prediction;

import io.weft.plan.step.Lane;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.Map;

/**
 * The summary of a timeline.
 *
 * @param totalNanos end of the last stage
 * @param busyNanos sum of the times of a lane's stages, for every lane
 */
public record LaneTimes(long totalNanos, Map<Lane, Long> busyNanos) {
    public LaneTimes {
        busyNanos = Map.copyOf(busyNanos);
    }

    /** @param busyNanos index: ordinal of the lane */
    static LaneTimes of(long totalNanos, long[] busyNanos) {
        Map<Lane, Long> busy = new EnumMap<>(Lane.class);
        for (Lane lane : Lane.values()) {
            busy.put(lane, busyNanos[lane.ordinal()]);
        }
        return new LaneTimes(totalNanos, busy);
    }

    /** The time during which the stages of a lane ran. */
    public long busyNanos(Lane lane) {
        return busyNanos.getOrDefault(lane, 0L);
    }

    /**
     * Share of the step in which a lane was busy, 0 to 1. The link may be busy for longer than the step, since it also
     * works between two steps.
     */
    public double busyRatio(Lane lane) {
        return totalNanos == 0 ? 0 : Math.min(1, (double) busyNanos(lane) / totalNanos);
    }

    /** The lane that was busy for longest. */
    public Lane boundBy() {
        return Arrays.stream(Lane.values())
                .max(Comparator.comparingLong(this::busyNanos))
                .orElseThrow();
    }
}
