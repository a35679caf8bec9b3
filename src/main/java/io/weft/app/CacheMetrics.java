package io.weft.app;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.weft.cache.CacheUsage;
import io.weft.cache.DiskUsage;
import io.weft.cache.KvCache;
import io.weft.cache.PoolUsage;
import io.weft.model.CachePolicy;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** Metrics of the cache's usage by tier, for endpoint pickers and alerts. 0 while the model loads. */
final class CacheMetrics {
    private CacheMetrics() {}

    /**
     * @param policy how true the cache is, as the label of a gauge that is always 1
     * @param cache asked by the registry's threads, so approximate; empty while there is no cache
     * @param preemptions how often a request has lost its place
     */
    static void register(
            MeterRegistry registry, CachePolicy policy, Supplier<Optional<KvCache>> cache, LongSupplier preemptions) {
        Gauge.builder("weft.cache.info", () -> 1)
                .description("How the cache is set up, in labels; always 1")
                .tag("encoding", policy.label())
                .register(registry);
        Supplier<Optional<CacheUsage>> usage = () -> cache.get().map(KvCache::usage);
        // Copies are no reason for requests to wait or for an alert.
        register(registry, "device", usage, one -> one.withoutCopies().device());
        register(registry, "host", usage, CacheUsage::host);
        evictions(
                registry, "device", () -> cache.get().map(one -> one.evictions().fromDevice()));
        evictions(registry, "host", () -> cache.get().map(one -> one.evictions().fromHost()));
        disk(
                registry,
                () -> cache.get().flatMap(KvCache::diskUsage),
                () -> cache.get().map(KvCache::skippedWrites));
        FunctionCounter.builder("weft.num.preemptions", registry, _ -> preemptions.getAsLong())
                .description("Running requests that had to wait for memory, to go on later")
                .register(registry);
    }

    private static void disk(
            MeterRegistry registry, Supplier<Optional<DiskUsage>> usage, Supplier<Optional<Long>> skippedWrites) {
        bytes(
                registry,
                "disk",
                "kept",
                () -> usage.get().map(disk -> disk.bytes().usedBytes()));
        bytes(
                registry,
                "disk",
                "all",
                () -> usage.get().map(disk -> disk.bytes().totalBytes()));
        evictions(registry, "disk", () -> usage.get().map(DiskUsage::evictedFiles));
        reads(registry, "read", () -> usage.get().map(DiskUsage::readBlocks));
        reads(registry, "missed", () -> usage.get().map(disk -> disk.missedReads() - disk.damagedFiles()));
        reads(registry, "damaged", () -> usage.get().map(DiskUsage::damagedFiles));
        writes(registry, "written", () -> usage.get().map(DiskUsage::writtenBlocks));
        writes(registry, "failed", () -> usage.get().map(DiskUsage::failedWrites));
        writes(registry, "skipped", skippedWrites);
        diskBytes(registry, "read", () -> usage.get().map(DiskUsage::readBytes));
        diskBytes(registry, "written", () -> usage.get().map(DiskUsage::writtenBytes));
    }

    private static void reads(MeterRegistry registry, String result, Supplier<Optional<Long>> blocks) {
        counter(registry, "weft.cache.disk.reads", "Blocks that were to be read from the cache's directory", blocks)
                .tag("result", result)
                .register(registry);
    }

    private static void writes(MeterRegistry registry, String result, Supplier<Optional<Long>> blocks) {
        counter(registry, "weft.cache.disk.writes", "Blocks that were to be written to the cache's directory", blocks)
                .tag("result", result)
                .register(registry);
    }

    private static void diskBytes(MeterRegistry registry, String direction, Supplier<Optional<Long>> bytes) {
        counter(registry, "weft.cache.disk.bytes", "Bytes from and to the cache's directory", bytes)
                .tag("direction", direction)
                .register(registry);
    }

    /** Of the object that it is about a counter keeps no hold, so that is the registry, and not the function. */
    private static FunctionCounter.Builder<MeterRegistry> counter(
            MeterRegistry registry, String name, String description, Supplier<Optional<Long>> count) {
        return FunctionCounter.builder(name, registry, _ -> count.get().orElse(0L))
                .description(description);
    }

    private static void evictions(MeterRegistry registry, String tier, Supplier<Optional<Long>> blocks) {
        counter(registry, "weft.cache.evictions", "Blocks kept for prompts to come that gave up their memory", blocks)
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
        bytes(registry, tier, "used", () -> usage.get().map(pool).map(PoolUsage::usedBytes));
        bytes(registry, tier, "kept", () -> usage.get().map(pool).map(PoolUsage::idleBytes));
        bytes(registry, tier, "all", () -> usage.get().map(pool).map(PoolUsage::totalBytes));
    }

    private static void bytes(MeterRegistry registry, String tier, String what, Supplier<Optional<Long>> bytes) {
        Gauge.builder("weft.cache.bytes", () -> bytes.get().orElse(0L))
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
