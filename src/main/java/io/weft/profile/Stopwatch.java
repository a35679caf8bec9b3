package io.weft.profile;

import io.weft.device.Device;
import io.weft.device.Event;
import io.weft.device.Stream;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;

/**
 * Times work on a stream by events around it, so it measures the device's time and not the caller's. Takes the median
 * of a few runs.
 */
final class Stopwatch {
    private static final int RUNS_LEAST = 3;
    private static final int RUNS_MOST = 9;

    private final Stream stream;
    private final double enoughNanos;
    private final Event start;
    private final Event end;

    /** @param enoughNanos the time after which a measurement with its least number of runs ends */
    Stopwatch(Device device, Stream stream, double enoughNanos) {
        this.stream = stream;
        this.enoughNanos = enoughNanos;
        this.start = device.event(Event.Timing.TIMED);
        this.end = device.event(Event.Timing.TIMED);
    }

    /** Work to time. */
    @FunctionalInterface
    interface Work {
        /** @param repeat how often it was issued before: consecutive runs may use different weights */
        void issue(Stream stream, int repeat);
    }

    /**
     * The time of one of {@code batch} issues of {@code work} in a row. One more runs first, untimed: a device that was
     * idle may be faster at first.
     */
    double medianNanosInARow(int batch, Work work) {
        return medianNanos(repeat -> {
                    work.issue(stream, repeat * batch);
                    return runNanos(batch, repeat * batch, work);
                })
                / batch;
    }

    /** The time of one of {@code batch} issues of {@code work}, after {@code before} issues of other work. */
    double medianNanosAfter(int before, Work other, int batch, Work work) {
        return medianNanos(repeat -> {
                    for (int i = 0; i < before; i++) {
                        other.issue(stream, repeat * before + i);
                    }
                    return runNanos(batch, repeat * batch, work);
                })
                / batch;
    }

    private double medianNanos(IntToDoubleFunction run) {
        double[] runs = new double[RUNS_MOST];
        int count = 0;
        double spent = 0;
        while (count < RUNS_LEAST || (count < RUNS_MOST && spent < enoughNanos)) {
            double nanos = run.applyAsDouble(count);
            runs[count++] = nanos;
            spent += nanos;
        }
        Arrays.sort(runs, 0, count);
        return count % 2 == 1 ? runs[count / 2] : (runs[count / 2 - 1] + runs[count / 2]) / 2;
    }

    /** The time of one run, in nanoseconds. */
    double nanos(Work work) {
        return runNanos(1, 0, work);
    }

    private double runNanos(int batch, int firstRepeat, Work work) {
        stream.record(start);
        for (int i = 0; i < batch; i++) {
            work.issue(stream, firstRepeat + i);
        }
        stream.record(end);
        end.join();
        return end.nanosSince(start);
    }
}
