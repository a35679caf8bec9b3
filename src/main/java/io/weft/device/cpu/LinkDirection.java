package io.weft.device.cpu;

import java.util.OptionalDouble;
import java.util.concurrent.locks.LockSupport;

/** One direction of the link: copies share its bandwidth. */
final class LinkDirection {
    private final double nanosPerByte;
    private long busyUntilNanos = System.nanoTime();

    LinkDirection(OptionalDouble gigabytesPerSecond) {
        this.nanosPerByte = gigabytesPerSecond.isPresent() ? 1 / gigabytesPerSecond.getAsDouble() : 0;
    }

    /**
     * Copies, and returns when the link would be done. The link starts as soon as the copy is ready and the one before
     * has ended, even if its thread is late because it slept or because kernels had its processor.
     *
     * @param readyNanos when everything that the copy waits for was done, by {@link System#nanoTime}
     */
    void copy(long from, long to, long bytes, long readyNanos) {
        long until = reserve(bytes, readyNanos);
        Memory.copy(from, to, bytes);
        for (long left = until - System.nanoTime(); left > 0; left = until - System.nanoTime()) {
            LockSupport.parkNanos(this, left);
        }
    }

    private synchronized long reserve(long bytes, long readyNanos) {
        if (readyNanos - busyUntilNanos > 0) {
            busyUntilNanos = readyNanos;
        }
        busyUntilNanos += Math.round(bytes * nanosPerByte);
        return busyUntilNanos;
    }
}
