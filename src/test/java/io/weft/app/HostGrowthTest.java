package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.KvCache;
import io.weft.cache.PoolUsage;
import io.weft.device.GrowingRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheGeometry;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class HostGrowthTest {
    private static final long SLAB = 1L << 30;
    /** Never touched, so it takes no memory. */
    private static final long BYTES = 3 * SLAB + (SLAB >> 1);

    private final CpuDevice device = new CpuDevice(new CpuOptions(64 << 20, BYTES, OptionalDouble.empty(), 1));
    private final List<PoolUsage> seen = new ArrayList<>();

    @AfterEach
    void close() {
        device.close();
    }

    private KvCache cache(GrowingRegion region) {
        CacheGeometry geometry = new CacheGeometry(
                ModelDimensions.uniform(
                        3,
                        8,
                        32,
                        256,
                        new LayerDimensions(
                                2,
                                2,
                                4,
                                LayerDimensions.NO_WINDOW,
                                FeedForwardDimensions.dense(FeedForwardDimensions.Kind.PLAIN, 16))),
                4,
                4,
                8);
        return new KvCache(device, geometry, new KvCache.StepNeeds(1, 1), 0, region);
    }

    private GrowingRegion region(long refusedBytes) {
        return new GrowingRegion(device.allocateHost("host", BYTES), SLAB, refusedBytes);
    }

    @Test
    void everyPartIsToldWhenItIsThere() {
        GrowingRegion region = region(Long.MAX_VALUE);
        KvCache cache = cache(region);
        region.extend();

        new HostGrowth(region, cache, () -> true, () -> seen.add(cache.usage().host())).run();

        assertThat(seen)
                .containsExactly(
                        new PoolUsage(0, 0, BYTES, BYTES - 2 * SLAB),
                        new PoolUsage(0, 0, BYTES, BYTES - 3 * SLAB),
                        new PoolUsage(0, BYTES),
                        new PoolUsage(0, BYTES));
    }

    @Test
    void theServiceGoesOnWithWhatTheSystemGaveIt() {
        GrowingRegion region = region(2 * SLAB + 1);
        KvCache cache = cache(region);
        region.extend();

        new HostGrowth(region, cache, () -> true, () -> seen.add(cache.usage().host())).run();

        assertThat(seen).containsExactly(new PoolUsage(0, 0, BYTES, BYTES - 2 * SLAB), new PoolUsage(0, 2 * SLAB));
    }

    /** A device that closes meanwhile adds nothing more. */
    @Test
    void itEndsWithTheDevice() throws InterruptedException {
        GrowingRegion region = region(Long.MAX_VALUE);
        KvCache cache = cache(region);
        Thread growing =
                Thread.ofPlatform().start(new HostGrowth(region.extendWhenAllowed(), cache, () -> true, () -> {}));
        region.allow(1);
        while (region.reachableBytes() == 0) {
            Thread.sleep(1);
        }

        region.close();

        growing.join();
        assertThat(cache.usage().host()).isEqualTo(new PoolUsage(0, SLAB));
    }

    /** Each part asks anew, since requests come and go. */
    @Test
    void nothingIsPinnedWhileOthersRun() throws InterruptedException {
        GrowingRegion region = region(Long.MAX_VALUE);
        KvCache cache = cache(region);
        AtomicInteger wanted = new AtomicInteger();
        AtomicInteger asked = new AtomicInteger();
        Thread growing = Thread.ofPlatform()
                .start(new HostGrowth(
                        region,
                        cache,
                        () -> {
                            asked.incrementAndGet();
                            return wanted.getAndUpdate(left -> Math.max(0, left - 1)) > 0;
                        },
                        () -> {}));
        for (int parts = 0; parts < 3; parts++) {
            int before = asked.get();
            while (asked.get() < before + 3) {
                Thread.sleep(1);
            }
            assertThat(region.reachableBytes()).isEqualTo(parts * SLAB);
            wanted.incrementAndGet();
            while (region.reachableBytes() == parts * SLAB) {
                Thread.sleep(1);
            }
        }
        wanted.set(Integer.MAX_VALUE);
        growing.join();
        assertThat(region.reachableBytes()).isEqualTo(BYTES);
    }
}
