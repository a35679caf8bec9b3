package io.weft.app;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.weft.cache.CacheUsage;
import io.weft.cache.KvCache;
import io.weft.cache.PoolUsage;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** Metrics of the cache's usage by tier, for endpoint pickers and alerts. 0 while the model loads. */
final class CacheMetrics {
    private CacheMetrics() {}

    /**
     * @param cache asked by the registry's threads, so approximate; empty while there is no cache
     * @param preemptions how often a request has lost its place
     */
    static void register(MeterRegistry registry, Supplier<Optional<KvCache>> cache, LongSupplier preemptions) {
        Supplier<Optional<CacheUsage>> usage = () -> cache.get().map(KvCache::usage);
        // Copies are no reason for requests to wait or for an alert.
        register(registry, "device", usage, one -> one.withoutCopies().device());
        register(registry, "host", usage, CacheUsage::host);
        evictions(
                registry, "device", () -> cache.get().map(one -> one.evictions().fromDevice()));
        evictions(registry, "host", () -> cache.get().map(one -> one.evictions().fromHost()));
        FunctionCounter.builder("weft.num.preemptions", preemptions, LongSupplier::getAsLong)
                .description("Running requests that had to wait for memory, to go on later")
                .register(registry);
    }

    private static void evictions(MeterRegistry registry, String tier, Supplier<Optional<Long>> blocks) {
        FunctionCounter.builder("weft.cache.evictions", blocks, one -> one.get().orElse(0L))
                .description("Blocks kept for prompts to come that gave up their memory")
                .tag("tier", tier)
                .register(registry);
    }

    private static void register(
            MeterRegistry registry,
            String tier,
            Supplier<Optional<CacheUsage>> usage,
            Function<CacheUsage, PoolUsage> pool) {
        Gauge.builder("weft.cache.usage.ratio", () -> ratio(usage.get().map(pool)))
                .description("Part of the cache's memory that requests use")
                .tag("tier", tier)
                .register(registry);
        bytes(registry, tier, "used", usage, pool.andThen(PoolUsage::usedBytes));
        bytes(registry, tier, "kept", usage, pool.andThen(PoolUsage::idleBytes));
        bytes(registry, tier, "all", usage, pool.andThen(PoolUsage::totalBytes));
    }

    private static void bytes(
            MeterRegistry registry,
            String tier,
            String what,
            Supplier<Optional<CacheUsage>> usage,
            Function<CacheUsage, Long> bytes) {
        Gauge.builder("weft.cache.bytes", () -> usage.get().map(bytes).orElse(0L))
                .description("Memory of the cache: used by requests, kept for prompts to come, and all of it")
                .tag("tier", tier)
                .tag("what", what)
                .register(registry);
    }

    private static double ratio(Optional<PoolUsage> pool) {
        return pool.filter(usage -> usage.totalBytes() > 0)
                .map(usage -> (double) usage.usedBytes() / usage.totalBytes())
                .orElse(0.0);
    }
}
