package io.weft.device.cpu;

import java.util.OptionalDouble;
import java.util.concurrent.locks.LockSupport;

/** One direction of the link: copies share its bandwidth. */
final class LinkDirection {
    /**
     * A sleep ends late; a copy that was waiting for that long starts where the one before ended. A longer pause is
     * idleness, which earns no credit.
     */
    private static final long CATCH_UP_NANOS = 1_000_000;

    private final double nanosPerByte;
    private long busyUntilNanos = System.nanoTime();

    LinkDirection(OptionalDouble gigabytesPerSecond) {
        this.nanosPerByte = gigabytesPerSecond.isPresent() ? 1 / gigabytesPerSecond.getAsDouble() : 0;
    }

    /** Copies, and returns when the link would be done. */
    void copy(long from, long to, long bytes) {
        long until = reserve(bytes);
        Memory.copy(from, to, bytes);
        for (long left = until - System.nanoTime(); left > 0; left = until - System.nanoTime()) {
            LockSupport.parkNanos(this, left);
        }
    }

    private synchronized long reserve(long bytes) {
        long now = System.nanoTime();
        if (now - busyUntilNanos > CATCH_UP_NANOS) {
            busyUntilNanos = now;
        }
        busyUntilNanos += Math.round(bytes * nanosPerByte);
        return nanosPerByte == 0 ? now : busyUntilNanos;
    }
}
