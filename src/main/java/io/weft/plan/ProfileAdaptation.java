package io.weft.plan;

import java.util.Optional;

/**
 * A profile that follows what steps are measured to take: a slower link, a device that others use as well. Each step
 * moves the factors by a part of what it deviates, so that one odd step hardly matters.
 *
 * @param base as measured at the start
 * @param linkFactor how many times as long the link takes now
 * @param computeFactor how many times as long kernels take now
 * @param deviatingSteps steps in a row that deviated by more than {@link #NOTABLE} from the base
 */
public record ProfileAdaptation(HardwareProfile base, double linkFactor, double computeFactor, int deviatingSteps) {
    /** A deviation that is worth telling. */
    public static final double NOTABLE = 0.15;

    /** Steps that a deviation must last to be told. */
    public static final int LASTING_STEPS = 20;

    /** Part of a step's deviation, in the logarithm, that is believed at once. */
    private static final double DAMPING = 0.1;

    /** One step does not say more than this. */
    private static final double RATIO_MOST = 4;

    /** A lane that is busy for less of a step says too little. */
    private static final double BUSY_LEAST = 0.02;

    /** A profile that nothing is known against. */
    public static ProfileAdaptation of(HardwareProfile base) {
        return new ProfileAdaptation(base, 1, 1, 0);
    }

    /**
     * A deviation that lasts.
     *
     * @param lane which deviates most
     * @param factor how many times as long it takes
     */
    public record Deviation(Lane lane, double factor) {}

    /** The profile as it seems to be now. */
    public HardwareProfile profile() {
        return base.withLinkTimes(linkFactor).withComputeTimes(computeFactor);
    }

    /**
     * Takes a step into account.
     *
     * @param predicted with {@link #profile}
     * @param measured the same stages
     */
    public ProfileAdaptation observe(Timeline predicted, Timeline measured) {
        double link = linkFactor * correction(Lane.LINK_IN, predicted, measured);
        double compute = computeFactor * correction(Lane.COMPUTE, predicted, measured);
        boolean deviates = isNotable(link) || isNotable(compute);
        return new ProfileAdaptation(
                base, link, compute, deviates ? Math.min(deviatingSteps + 1, LASTING_STEPS + 1) : 0);
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

    /**
     * There at the one step with which a deviation has lasted long enough: then it is time to tell, and to plan anew.
     */
    public Optional<Deviation> newlyLasting() {
        if (deviatingSteps != LASTING_STEPS) {
            return Optional.empty();
        }
        boolean isLink = Math.abs(Math.log(linkFactor)) >= Math.abs(Math.log(computeFactor));
        return Optional.of(
                isLink ? new Deviation(Lane.LINK_IN, linkFactor) : new Deviation(Lane.COMPUTE, computeFactor));
    }
}
