package io.weft.api;

import io.quarkus.runtime.ShutdownEvent;
import io.weft.api.http.ApiSettings;
import io.weft.api.http.ServerLimits;
import io.weft.cache.BlockNaming;
import io.weft.cache.CacheUsage;
import io.weft.cache.KvCache;
import io.weft.device.HostRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.engine.BatchingEngine;
import io.weft.engine.Engine;
import io.weft.engine.EngineOptions;
import io.weft.engine.EngineRuntime;
import io.weft.engine.ServedModel;
import io.weft.engine.ServedModel.SamplingDefaults;
import io.weft.engine.Speculation;
import io.weft.engine.StepObserver;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.model.ModelWeights;
import io.weft.model.WeightBits;
import io.weft.observe.Observatory;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepPipeline;
import io.weft.pipeline.Workspace;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.placement.Planning;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.whatif.WhatIf;
import io.weft.text.ChatTemplate;
import io.weft.text.Tokenizer;
import io.weft.text.tools.OutputFormats;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Alternative;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/**
 * A real engine on the CPU device, with a model of {@code weft.test.model}; half of the cache's blocks are recomputed.
 * It starts to load once {@code weft.test.gate} is open.
 */
@Alternative
@Singleton
public class TestService {
    static final int CONTEXT_TOKENS = 512;
    static final int SEQUENCES = 8;
    static final String MODEL_ID = "test-model";
    private static final int BLOCK_TOKENS = 16;

    private final ModelSource source;
    private final CachePolicy policy;
    private final ApiSettings settings;
    private final ServerLimits limits;
    private final BatchingEngine engine;
    private final Observatory observatory = new Observatory();
    private final CompletableFuture<Void> gate = new CompletableFuture<>();
    /** Steps that may still begin. */
    private final Semaphore steps = new Semaphore(Integer.MAX_VALUE);

    private final AtomicLong rows = new AtomicLong();
    private final Optional<BlockNaming> naming;

    private final CompletableFuture<KvCache> cache = new CompletableFuture<>();

    /** Whether the engine loads at once. */
    enum Gate {
        OPEN,
        SHUT
    }

    TestService(
            @ConfigProperty(name = "weft.test.model", defaultValue = "demo") String model,
            @ConfigProperty(name = "weft.test.api-key") Optional<String> apiKey,
            @ConfigProperty(name = "weft.test.max-body-bytes", defaultValue = "1048576") long maxBodyBytes,
            @ConfigProperty(name = "weft.test.body-bytes", defaultValue = "16777216") long bodyBytes,
            @ConfigProperty(name = "weft.test.max-connections") Optional<Integer> maxConnections,
            @ConfigProperty(name = "weft.test.max-streams", defaultValue = "128") int maxStreams,
            @ConfigProperty(name = "weft.test.header-timeout", defaultValue = "PT10M") Duration headerTimeout,
            @ConfigProperty(name = "weft.test.body-timeout", defaultValue = "PT10M") Duration bodyTimeout,
            @ConfigProperty(name = "weft.test.idle-timeout", defaultValue = "PT10M") Duration idleTimeout,
            @ConfigProperty(name = "weft.test.write-timeout", defaultValue = "PT10M") Duration writeTimeout,
            @ConfigProperty(name = "weft.test.queue-limit", defaultValue = "64") int queueLimit,
            @ConfigProperty(name = "weft.test.cors-origins") Optional<List<String>> corsOrigins,
            @ConfigProperty(name = "weft.test.page", defaultValue = "true") boolean page,
            @ConfigProperty(name = "weft.test.cache-isolation", defaultValue = "NONE")
                    ApiSettings.CacheIsolation isolation,
            @ConfigProperty(name = "weft.test.prefix-cache", defaultValue = "false") boolean prefixCache,
            @ConfigProperty(name = "weft.test.cache-encoding", defaultValue = "EXACT") CachePolicy policy,
            @ConfigProperty(name = "weft.test.gate", defaultValue = "OPEN") Gate gate)
            throws InterruptedException {
        this.source = ModelSource.parse(model);
        this.policy = policy;
        this.naming = prefixCache ? Optional.of(new BlockNaming(new byte[] {1}, maxTokens -> 0)) : Optional.empty();
        this.settings = new ApiSettings(
                List.of(MODEL_ID),
                apiKey.stream().flatMap(keys -> Stream.of(keys.split("\\|"))).toList(),
                OptionalInt.empty(),
                OptionalDouble.empty(),
                OptionalLong.empty(),
                OptionalInt.empty(),
                page,
                16,
                corsOrigins.orElse(List.of()),
                isolation);
        this.limits = new ServerLimits(
                maxConnections.map(OptionalInt::of).orElseGet(OptionalInt::empty),
                maxStreams,
                headerTimeout,
                bodyTimeout,
                OptionalLong.of(bodyBytes),
                maxBodyBytes,
                idleTimeout,
                1 << 20,
                writeTimeout);
        this.engine = new BatchingEngine(
                phase -> load(),
                // A test may hold the steps.
                new EngineOptions(
                        queueLimit,
                        EngineOptions.Scheduling.FAIR,
                        OperationsTest.HANG,
                        Speculation.ngrams(Speculation.Lengths.ALL)));
        if (gate == Gate.OPEN) {
            openGate();
            engine.awaitServing();
        }
    }

    private EngineRuntime load() {
        gate.join();
        ModelFiles files = ModelFiles.open(source);
        CpuDevice device = new CpuDevice(new CpuOptions(256L << 20, 256L << 20, OptionalDouble.empty(), 2));
        StepLimits limits = new StepLimits(SEQUENCES, 128, 64, 32, CONTEXT_TOKENS);
        ModelWeights weights = ModelWeights.load(files, device, CONTEXT_TOKENS, (layer, layers) -> {});
        CacheGeometry geometry = new CacheGeometry(
                files.architecture().dimensions(),
                device.elementType(),
                BLOCK_TOKENS,
                policy.isLossy() ? BLOCK_TOKENS : 2 * BLOCK_TOKENS,
                policy);
        Workspace workspace = Workspace.allocate(device, geometry, limits, 8 << 20);
        long bytes = SEQUENCES * (long) geometry.blocks(CONTEXT_TOKENS) * geometry.blockBytes(Content.KEY_VALUE);
        KvCache loaded = new KvCache(
                device,
                geometry,
                limits.cacheNeeds(BLOCK_TOKENS),
                bytes / 4,
                HostRegion.of(device.allocateHost(KvCache.HOST_PURPOSE, bytes)),
                naming);
        cache.complete(loaded);
        observatory.begin(
                new WhatIf(
                        HardwarePreset.T4.spec().profile(geometry),
                        true,
                        geometry,
                        WeightBits.PLAIN,
                        SEQUENCES,
                        CONTEXT_TOKENS,
                        256 << 20,
                        256 << 20,
                        8 << 20,
                        new TreeSet<>(policy.forms())),
                profile -> {});
        return new EngineRuntime(
                new ServedModel(
                        MODEL_ID,
                        Instant.EPOCH,
                        CONTEXT_TOKENS,
                        files.architecture().dimensions().vocabularySize(),
                        files.generation().endTokens(),
                        new SamplingDefaults(0, 1, 0)),
                loaded,
                new StepPipeline(device, weights, loaded, workspace),
                () -> planning(geometry),
                observed(),
                () -> {
                    device.close();
                    files.close();
                });
    }

    private static Planning planning(CacheGeometry geometry) {
        return Planning.fixed(
                new StepPlanner(geometry, Schedule.CHUNKED, 8 << 20, 64, 3),
                (block, promptTokens) -> List.of(block % 2 == 0 ? CacheForm.HOST_ACT : CacheForm.HOST_KV));
    }

    private StepObserver observed() {
        return new StepObserver() {
            @Override
            public boolean timesNextStep() {
                steps.acquireUninterruptibly();
                return observatory.timesNextStep();
            }

            @Override
            public void found(int tokens) {
                observatory.found(tokens);
            }

            @Override
            public void generated(int passes, int drafted, int accepted) {
                rows.addAndGet(accepted - drafted);
                observatory.generated(passes, drafted, accepted);
            }

            @Override
            public void stepped(StepPlan plan, long nanos, Optional<Timeline> measured) {
                rows.addAndGet(plan.shape().rows());
                observatory.stepped(plan, nanos, measured);
            }
        };
    }

    /** Lets the engine load. */
    void openGate() {
        gate.complete(null);
    }

    /** Lets so many more steps end; the one after them does not before {@link #letStepsRun}. */
    void holdStepsAfter(int more) {
        steps.drainPermits();
        steps.release(more);
    }

    void letStepsRun() {
        holdStepsAfter(Integer.MAX_VALUE);
    }

    BatchingEngine batchingEngine() {
        return engine;
    }

    /** The rows of all steps so far, but for drafts that were wrong. */
    long rows() {
        return rows.get();
    }

    CacheUsage cacheUsage() {
        return cache.join().usage();
    }

    @Produces
    @Singleton
    ApiSettings settings() {
        return settings;
    }

    @Produces
    @Singleton
    ServerLimits limits() {
        return limits;
    }

    @Produces
    @Singleton
    Observatory observatory() {
        return observatory;
    }

    @Produces
    @Singleton
    Engine engine() {
        return engine;
    }

    @Produces
    @Singleton
    OutputFormats outputFormats(Tokenizer tokenizer) {
        return OutputFormats.of(
                tokenizer.toolTemplate().map(ChatTemplate::source).orElse(""));
    }

    @Produces
    @Singleton
    Tokenizer tokenizer() {
        try (ModelFiles files = ModelFiles.open(source)) {
            return Tokenizer.open(files.directory());
        }
    }

    void stop(@Observes ShutdownEvent event) {
        openGate();
        letStepsRun();
        engine.close();
    }
}
