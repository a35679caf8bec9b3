package io.weft.profile;

import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** What time it is for the thread that measures, and how much of it just-in-time compilers had. */
interface HostClock {
    /** This machine's. */
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

    /** For how long compilers have worked so far; 0 where there is none. */
    long compilingNanos();
}
