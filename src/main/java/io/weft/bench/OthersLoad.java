package io.weft.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.OptionalDouble;

/**
 * The share of the processors that other processes have used since this object was created: the system's busy time
 * minus that of this process. In a container with its own processors, it is the share of those.
 */
final class OthersLoad {
    /** The most load without a mark on the figure: steps whose kernels wait for a processor do not show the machine. */
    static final double PERCENT_MOST = 10;

    /** The readings of the machine. */
    interface Processors {
        int count();

        /** The share of time in which the processors were busy since the last call, 0 to 1; negative if unknown. */
        double busyShare();

        /** The time of all processors together that this process has used; negative if unknown. */
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

    /** The share in per cent, 0 to 100; call it once. Empty if the system does not report it. */
    OptionalDouble percent() {
        double busy = processors.busyShare();
        long ownNanos = processors.ownNanos();
        double allNanos = (double) processors.count() * (processors.nowNanos() - startedNanos);
        if (busy < 0 || ownNanos < 0 || allNanos <= 0) {
            return OptionalDouble.empty();
        }
        return OptionalDouble.of(100 * Math.clamp(busy - (ownNanos - ownNanosBefore) / allNanos, 0.0, 1.0));
    }

    /** This machine. */
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
