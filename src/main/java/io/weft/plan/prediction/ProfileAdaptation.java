package io.weft.plan.prediction;

import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.step.Lane;
import java.time.Duration;
import java.util.Optional;

/**
 * A profile that follows the measured times of steps: a slower link, a device that others use as well. Each step moves
 * the factors by a part of its deviation, so one odd step hardly matters.
 *
 * @param base the profile measured at the start
 * @param now the current factors
 * @param planned the factors in force, with which Weft plans
 * @param deviation for how long {@code now} has been far from {@code planned}
 */
public record ProfileAdaptation(HardwareProfile base, Factors now, Factors planned, Streak deviation) {
    /** The least deviation that is reported. */
    public static final double NOTABLE = 0.15;

    /** The timed steps for which a deviation must last to be reported. */
    private static final int LASTING_STEPS = 20;

    /** The time for which it must last: for some seconds after a start, code is compiled while kernels run. */
    public static final Duration LASTING = Duration.ofSeconds(10);

    /** The part of a step's deviation, in the logarithm, by which a factor moves at once. */
    private static final double DAMPING = 0.1;

    /** The largest deviation that one step can show. */
    private static final double RATIO_MOST = 4;

    /** A lane that is busy for a smaller part of a step is not compared. */
    private static final double BUSY_LEAST = 0.02;

    /**
     * Factors on the times measured at the start.
     *
     * @param link factor of the link
     * @param compute factor of kernels
     */
    public record Factors(double link, double compute) {
        private static final Factors ONE = new Factors(1, 1);

        private boolean isFarFrom(Factors other) {
            return isNotable(link / other.link) || isNotable(compute / other.compute);
        }
    }

    /**
     * Consecutive steps that deviated.
     *
     * @param steps number of steps, up to the number that suffices
     * @param sinceNanos time of the first of them
     * @param isLasting whether there are enough of them over a long enough time
     */
    public record Streak(int steps, long sinceNanos, boolean isLasting) {
        private static final Streak NONE = new Streak(0, 0, false);

        private Streak longer(long nowNanos) {
            long since = steps == 0 ? nowNanos : sinceNanos;
            int count = Math.min(steps + 1, LASTING_STEPS);
            return new Streak(count, since, count == LASTING_STEPS && nowNanos - since >= LASTING.toNanos());
        }
    }

    /** The adaptation of a profile before any step. */
    public static ProfileAdaptation of(HardwareProfile base) {
        return new ProfileAdaptation(base, Factors.ONE, Factors.ONE, Streak.NONE);
    }

    /**
     * A lasting deviation.
     *
     * @param lane the lane that deviates most from the factors in force
     * @param factor factor on its times measured at the start
     */
    public record Deviation(Lane lane, double factor) {}

    /** The profile with the current factors. */
    public HardwareProfile profile() {
        return base.withLinkTimes(now.link).withComputeTimes(now.compute);
    }

    /**
     * Adapts to a step.
     *
     * @param predicted the prediction with {@link #profile}
     * @param measured the same stages
     * @param nowNanos when the step ended, by a clock that is the same for all calls
     */
    public ProfileAdaptation observe(Timeline predicted, Timeline measured, long nowNanos) {
        Factors next = new Factors(
                now.link * correction(Lane.LINK_IN, predicted, measured),
                now.compute * correction(Lane.COMPUTE, predicted, measured));
        Streak streak = next.isFarFrom(planned) ? deviation.longer(nowNanos) : Streak.NONE;
        return new ProfileAdaptation(base, next, planned, streak);
    }

    /** This adaptation with {@link #profile} in force. */
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

    /** A deviation that has lasted long enough to report it and to plan anew. */
    public Optional<Deviation> lasting() {
        if (!deviation.isLasting) {
            return Optional.empty();
        }
        boolean isLink =
                Math.abs(Math.log(now.link / planned.link)) >= Math.abs(Math.log(now.compute / planned.compute));
        return Optional.of(isLink ? new Deviation(Lane.LINK_IN, now.link) : new Deviation(Lane.COMPUTE, now.compute));
    }
}
