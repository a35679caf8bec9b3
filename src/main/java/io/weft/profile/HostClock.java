package io.weft.profile;

import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The clock of the measuring thread, and the time that just-in-time compilers have used. */
interface HostClock {
    /** The clock of this machine. */
    HostClock SYSTEM = new HostClock() {
        @Override
        public long nanos() {
            return System.nanoTime();
        }

        @Override
        public long compilingNanos() {
            return Optional.ofNullable(ManagementFactory.getCompilationMXBean())
                    .filter(CompilationMXBean::isCompilationTimeMonitoringSupported)
                    .map(CompilationMXBean::getTotalCompilationTime)
                    .map(TimeUnit.MILLISECONDS::toNanos)
                    .orElse(0L);
        }
    };

    /** Nanoseconds since some point in time, as of {@link System#nanoTime}. */
    long nanos();

    /** How long compilers have worked so far; 0 if there are none. */
    long compilingNanos();
}
