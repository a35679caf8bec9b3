package io.weft.app;

import io.weft.cache.KvCache;
import io.weft.device.DeviceException;
import io.weft.device.HostRegion;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jboss.logging.Logger;

/**
 * Gets the rest of the cache's host memory while the service runs: pinning 60 GB takes half a minute. The driver issues
 * nothing while it pins, so a part is pinned only while no request runs, or while one waits for memory. A part that the
 * system refuses is the end of it, and the service goes on with what is there.
 */
final class HostGrowth implements Runnable {
    private static final Logger LOG = Logger.getLogger(HostGrowth.class);
    private static final Duration PAUSE = Duration.ofMillis(20);

    private final HostRegion memory;
    private final KvCache cache;
    private final BooleanSupplier isWanted;
    private final Runnable changed;

    /**
     * @param memory the cache's host memory
     * @param isWanted whether a part may be pinned now
     * @param changed called after each part, and at the end
     */
    HostGrowth(HostRegion memory, KvCache cache, BooleanSupplier isWanted, Runnable changed) {
        this.memory = memory;
        this.cache = cache;
        this.isWanted = isWanted;
        this.changed = changed;
    }

    private boolean extend() {
        while (!isWanted.getAsBoolean()) {
            LockSupport.parkNanos(this, PAUSE.toNanos());
        }
        return memory.extend();
    }

    /** Returns once all memory is there, once a part is refused, or soon after the device has closed. */
    @Override
    public void run() {
        long firstBytes = memory.reachableBytes();
        long startedNanos = System.nanoTime();
        try {
            while (extend()) {
                changed.run();
            }
            long grownBytes = memory.reachableBytes() - firstBytes;
            if (grownBytes > 0 && memory.reachableBytes() == memory.memory().bytes()) {
                LOG.infof(
                        "all host memory is there: pinned %.1f GB in %.1f s while serving",
                        grownBytes / 1e9, (System.nanoTime() - startedNanos) / 1e9);
            }
        } catch (DeviceException e) {
            LOG.warnf(
                    "the service goes on with %.1f GB of its %.1f GB of host memory: %s",
                    memory.reachableBytes() / 1e9, memory.memory().bytes() / 1e9, e.getMessage());
        } finally {
            cache.endHostGrowth();
            changed.run();
        }
    }
}
