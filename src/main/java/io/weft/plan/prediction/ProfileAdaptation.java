package io.weft.plan.prediction;

import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.step.Lane;
import java.time.Duration;
import java.util.Optional;

/**
 * A profile that follows what steps are measured to take: a slower link, a device that others use as well. Each step
 * moves the factors by a part of what it deviates, so that one odd step hardly matters.
 *
 * @param base as measured at the start
 * @param now how many times as long things take now
 * @param planned the same when it was last planned with
 * @param deviation for how long {@code now} has been far from {@code planned}
 */
public record ProfileAdaptation(HardwareProfile base, Factors now, Factors planned, Streak deviation) {
    /** A deviation that is worth telling. */
    public static final double NOTABLE = 0.15;

    /** Timed steps that a deviation must last to be told. */
    private static final int LASTING_STEPS = 20;

    /** Time that it must last: for some seconds behind a start, code is being compiled beside the kernels. */
    public static final Duration LASTING = Duration.ofSeconds(10);

    /** Part of a step's deviation, in the logarithm, that is believed at once. */
    private static final double DAMPING = 0.1;

    /** One step does not say more than this. */
    private static final double RATIO_MOST = 4;

    /** A lane that is busy for less of a step says too little. */
    private static final double BUSY_LEAST = 0.02;

    /**
     * How many times as long things take as measured at the start.
     *
     * @param link the link
     * @param compute kernels
     */
    public record Factors(double link, double compute) {
        private static final Factors ONE = new Factors(1, 1);

        private boolean isFarFrom(Factors other) {
            return isNotable(link / other.link) || isNotable(compute / other.compute);
        }
    }

    /**
     * Steps in a row that deviated.
     *
     * @param steps how many, up to what is enough
     * @param sinceNanos when the first of them was
     * @param isLasting whether they have been enough, for long enough
     */
    public record Streak(int steps, long sinceNanos, boolean isLasting) {
        private static final Streak NONE = new Streak(0, 0, false);

        private Streak longer(long nowNanos) {
            long since = steps == 0 ? nowNanos : sinceNanos;
            int count = Math.min(steps + 1, LASTING_STEPS);
            return new Streak(count, since, count == LASTING_STEPS && nowNanos - since >= LASTING.toNanos());
        }
    }

    /** A profile that nothing is known against. */
    public static ProfileAdaptation of(HardwareProfile base) {
        return new ProfileAdaptation(base, Factors.ONE, Factors.ONE, Streak.NONE);
    }

    /**
     * A deviation that lasts.
     *
     * @param lane which deviates most from what was planned with
     * @param factor how many times as long it takes as measured at the start
     */
    public record Deviation(Lane lane, double factor) {}

    /** The profile as it seems to be now. */
    public HardwareProfile profile() {
        return base.withLinkTimes(now.link).withComputeTimes(now.compute);
    }

    /**
     * Takes a step into account.
     *
     * @param predicted with {@link #profile}
     * @param measured the same stages
     * @param nowNanos when it ended, by any clock that is always the same
     */
    public ProfileAdaptation observe(Timeline predicted, Timeline measured, long nowNanos) {
        Factors next = new Factors(
                now.link * correction(Lane.LINK_IN, predicted, measured),
                now.compute * correction(Lane.COMPUTE, predicted, measured));
        Streak streak = next.isFarFrom(planned) ? deviation.longer(nowNanos) : Streak.NONE;
        return new ProfileAdaptation(base, next, planned, streak);
    }

    /** The same once {@link #profile} has been planned with. */
    public ProfileAdaptation plannedFor() {
        return new ProfileAdaptation(base, now, now, Streak.NONE);
    }

    private static double correction(Lane lane, Timeline predicted, Timeline measured) {
        long busyNanos = predicted.busyNanos(lane);
        if (busyNanos == 0 || predicted.busyRatio(lane) < BUSY_LEAST || measured.busyNanos(lane) == 0) {
            return 1;
        }
        double ratio = (double) measured.busyNanos(lane) / busyNanos;
        return Math.pow(Math.clamp(ratio, 1 / RATIO_MOST, RATIO_MOST), DAMPING);
    }

    private static boolean isNotable(double factor) {
        return factor > 1 + NOTABLE || factor < 1 / (1 + NOTABLE);
    }

    /** A deviation that has lasted: then it is time to tell, and to plan anew. */
    public Optional<Deviation> lasting() {
        if (!deviation.isLasting) {
            return Optional.empty();
        }
        boolean isLink =
                Math.abs(Math.log(now.link / planned.link)) >= Math.abs(Math.log(now.compute / planned.compute));
        return Optional.of(isLink ? new Deviation(Lane.LINK_IN, now.link) : new Deviation(Lane.COMPUTE, now.compute));
    }
}
