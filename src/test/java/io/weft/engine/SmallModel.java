package io.weft.engine;

import io.weft.cache.BlockNaming;
import io.weft.cache.KvCache;
import io.weft.device.Device;
import io.weft.device.HostBuffer;
import io.weft.device.HostRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.engine.ServedModel.SamplingDefaults;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.model.ModelWeights;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.Workspace;
import io.weft.plan.placement.Planning;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A small real model on a device, for an engine.
 *
 * @param deviceTokens tokens of the cache on the device
 * @param hostTokens tokens of the cache on the host
 * @param hostMemory how far the link reaches its host memory
 * @param seats requests that run at once
 * @param naming names its blocks; without it, none outlives its request
 * @param golden which model
 * @param policy how true its cache is
 */
record SmallModel(
        int deviceTokens,
        int hostTokens,
        Function<HostBuffer, HostRegion> hostMemory,
        int seats,
        Optional<BlockNaming> naming,
        Path golden,
        CachePolicy policy) {
    static final Path GOLDEN = Path.of("src/test/resources/goldens/opt");
    static final int CONTEXT_TOKENS = 400;
    static final int BLOCK_TOKENS = 16;
    static final int SEATS = 4;
    static final int STEP_ROWS = 64;
    static final long STAGING_BYTES = 2 << 20;

    SmallModel(int deviceTokens, int hostTokens) {
        this(deviceTokens, hostTokens, HostRegion::of);
    }

    SmallModel(int deviceTokens, int hostTokens, Function<HostBuffer, HostRegion> hostMemory) {
        this(deviceTokens, hostTokens, hostMemory, SEATS, Optional.empty(), GOLDEN, CachePolicy.EXACT);
    }

    /** The same, whose blocks outlive their requests. */
    static SmallModel keeping(int seats, int deviceTokens, int hostTokens) {
        return new SmallModel(
                deviceTokens,
                hostTokens,
                HostRegion::of,
                seats,
                Optional.of(new BlockNaming(new byte[] {1, 2, 3}, maxTokens -> 0)),
                GOLDEN,
                CachePolicy.EXACT);
    }

    /** The same memory for another model. */
    SmallModel of(String name) {
        return new SmallModel(deviceTokens, hostTokens, hostMemory, seats, naming, GOLDEN.resolveSibling(name), policy);
    }

    /** The same under a policy; memory for as many tokens. */
    SmallModel under(CachePolicy other) {
        return new SmallModel(deviceTokens, hostTokens, hostMemory, seats, naming, golden, other);
    }

    /**
     * An engine that serves it on a device of the CPU, with many places in its queue.
     *
     * @param loaded is told of its cache
     */
    BatchingEngine serve(
            Function<CacheGeometry, Supplier<Planning>> planning,
            StepObserver observer,
            Speculation speculation,
            Consumer<KvCache> loaded)
            throws InterruptedException {
        BatchingEngine engine = new BatchingEngine(
                phase -> {
                    EngineRuntime runtime = load(
                            new CpuDevice(new CpuOptions(256 << 20, 256 << 20, OptionalDouble.empty(), 2)),
                            planning,
                            observer,
                            () -> {});
                    loaded.accept(runtime.cache());
                    return runtime;
                },
                EngineOptions.queueing(1 << 16).with(speculation));
        engine.awaitServing();
        return engine;
    }

    /**
     * Loads it.
     *
     * @param planning the planning in force, given the geometry
     * @param closed told when the engine has closed it, device included
     */
    EngineRuntime load(
            Device device,
            Function<CacheGeometry, Supplier<Planning>> planning,
            StepObserver observer,
            Runnable closed) {
        ModelFiles files = ModelFiles.open(new ModelSource.Directory(golden));
        try {
            return load(files, device, planning, observer, closed);
        } catch (RuntimeException e) {
            files.close();
            device.close();
            throw e;
        }
    }

    private EngineRuntime load(
            ModelFiles files,
            Device device,
            Function<CacheGeometry, Supplier<Planning>> planning,
            StepObserver observer,
            Runnable closed) {
        int logitRows = Math.max(seats, STEP_ROWS / 2);
        StepLimits limits = new StepLimits(seats, STEP_ROWS, logitRows, logitRows - seats, CONTEXT_TOKENS);
        ModelWeights weights = ModelWeights.load(files, device, CONTEXT_TOKENS, (layer, layers) -> {});
        CacheGeometry geometry = new CacheGeometry(
                files.architecture().dimensions(),
                device.elementType(),
                BLOCK_TOKENS,
                policy.isLossy() ? BLOCK_TOKENS : 2 * BLOCK_TOKENS,
                policy);
        long blockBytes = geometry.blockBytes(policy.encodings().getFirst());
        Workspace workspace = Workspace.allocate(device, geometry, limits, STAGING_BYTES);
        long hostBytes = hostTokens / BLOCK_TOKENS * blockBytes;
        KvCache cache = new KvCache(
                device,
                geometry,
                limits.cacheNeeds(BLOCK_TOKENS),
                deviceTokens / BLOCK_TOKENS * blockBytes,
                hostMemory.apply(device.allocateHost("cache on the host", hostBytes)),
                naming);
        return new EngineRuntime(
                new ServedModel("opt", Instant.EPOCH, CONTEXT_TOKENS, 384, Set.of(2), new SamplingDefaults(1, 1, 0)),
                cache,
                new StepPipeline(device, weights, cache, workspace),
                planning.apply(geometry),
                observer,
                () -> {
                    device.close();
                    files.close();
                    closed.run();
                });
    }
}
