package io.weft.cli;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.Startup;
import io.weft.cache.CacheUsage;
import io.weft.cache.PoolUsage;
import jakarta.inject.Singleton;
import java.util.function.Function;

/** How full the cache is, by tier: what an endpoint picker and an alert look at. 0 while the model loads. */
@Singleton
@Startup
final class CacheMetrics {
    CacheMetrics(MeterRegistry registry, Service service) {
        register(registry, service, "device", CacheUsage::device);
        register(registry, service, "host", CacheUsage::host);
    }

    private static void register(
            MeterRegistry registry, Service service, String tier, Function<CacheUsage, PoolUsage> pool) {
        Gauge.builder("weft.cache.usage.ratio", service, read -> ratio(read, pool))
                .description("Part of the cache's memory that is given out")
                .tag("tier", tier)
                .strongReference(true)
                .register(registry);
    }

    private static double ratio(Service service, Function<CacheUsage, PoolUsage> pool) {
        return service.cacheUsage()
                .map(pool)
                .filter(usage -> usage.totalBytes() > 0)
                .map(usage -> (double) usage.usedBytes() / usage.totalBytes())
                .orElse(0.0);
    }
}
