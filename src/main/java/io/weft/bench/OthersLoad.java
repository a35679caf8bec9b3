package io.weft.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.OptionalDouble;

/**
 * How much of the processors others took from the moment this was made: what the system was busy with, less what this
 * process was. In a container that has processors of its own, of those.
 */
final class OthersLoad {
    /** More than this is told beside a figure: steps whose kernels wait for a processor are not the machine's. */
    static final double PERCENT_MOST = 10;

    /** What is read of the machine. */
    interface Processors {
        int count();

        /** Share of their time in which they were busy since this was last asked, 0 to 1; negative if unknown. */
        double busyShare();

        /** Time that this process had, of all of them together; negative if unknown. */
        long ownNanos();

        long nowNanos();
    }

    private final Processors processors;
    private final long startedNanos;
    private final long ownNanosBefore;

    private OthersLoad(Processors processors) {
        this.processors = processors;
        processors.busyShare();
        this.ownNanosBefore = processors.ownNanos();
        this.startedNanos = processors.nowNanos();
    }

    static OthersLoad begin() {
        return begin(new Machine(ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class)));
    }

    static OthersLoad begin(Processors processors) {
        return new OthersLoad(processors);
    }

    /** Per cent of the processors' time, 0 to 100, asked once; empty where the system does not say. */
    OptionalDouble percent() {
        double busy = processors.busyShare();
        long ownNanos = processors.ownNanos();
        double allNanos = (double) processors.count() * (processors.nowNanos() - startedNanos);
        if (busy < 0 || ownNanos < 0 || allNanos <= 0) {
            return OptionalDouble.empty();
        }
        return OptionalDouble.of(100 * Math.clamp(busy - (ownNanos - ownNanosBefore) / allNanos, 0.0, 1.0));
    }

    /** This one. */
    private record Machine(OperatingSystemMXBean system) implements Processors {
        @Override
        public int count() {
            return system.getAvailableProcessors();
        }

        @Override
        public double busyShare() {
            return system.getCpuLoad();
        }

        @Override
        public long ownNanos() {
            return system.getProcessCpuTime();
        }

        @Override
        public long nowNanos() {
            return System.nanoTime();
        }
    }
}
