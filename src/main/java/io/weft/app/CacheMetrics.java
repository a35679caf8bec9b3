package io.weft.app;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.weft.cache.CacheUsage;
import io.weft.cache.PoolUsage;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;

/** Metrics of the cache's usage by tier, for endpoint pickers and alerts. 0 while the model loads. */
final class CacheMetrics {
    private CacheMetrics() {}

    /** @param usage called by the registry's threads, so approximate; empty while there is no cache */
    static void register(MeterRegistry registry, Supplier<Optional<CacheUsage>> usage) {
        // Copies are no reason for requests to wait or for an alert.
        register(registry, "device", usage, one -> one.withoutCopies().device());
        register(registry, "host", usage, CacheUsage::host);
    }

    private static void register(
            MeterRegistry registry,
            String tier,
            Supplier<Optional<CacheUsage>> usage,
            Function<CacheUsage, PoolUsage> pool) {
        Gauge.builder("weft.cache.usage.ratio", () -> ratio(usage.get().map(pool)))
                .description("Part of the cache's memory that is given out")
                .tag("tier", tier)
                .register(registry);
    }

    private static double ratio(Optional<PoolUsage> pool) {
        return pool.filter(usage -> usage.totalBytes() > 0)
                .map(usage -> (double) usage.usedBytes() / usage.totalBytes())
                .orElse(0.0);
    }
}
