package io.weft.app;

import io.weft.cache.KvCache;
import io.weft.device.DeviceException;
import io.weft.device.HostRegion;
import org.jboss.logging.Logger;

/**
 * Gets the rest of the cache's host memory while the service runs: pinning 60 GB takes half a minute. A part that the
 * system refuses is the end of it, and the service goes on with what is there.
 */
final class HostGrowth implements Runnable {
    private static final Logger LOG = Logger.getLogger(HostGrowth.class);

    private final HostRegion memory;
    private final KvCache cache;
    private final Runnable changed;

    /**
     * @param memory the cache's host memory
     * @param changed called after each part, and at the end
     */
    HostGrowth(HostRegion memory, KvCache cache, Runnable changed) {
        this.memory = memory;
        this.cache = cache;
        this.changed = changed;
    }

    /** Returns once all memory is there, once a part is refused, or soon after the device has closed. */
    @Override
    public void run() {
        long firstBytes = memory.reachableBytes();
        long startedNanos = System.nanoTime();
        try {
            while (memory.extend()) {
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
