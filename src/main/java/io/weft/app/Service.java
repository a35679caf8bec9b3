package io.weft.app;

import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.ShutdownDelayInitiatedEvent;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.weft.api.http.ApiSettings;
import io.weft.api.http.ServerLimits;
import io.weft.cache.KvCache;
import io.weft.engine.BatchingEngine;
import io.weft.engine.Engine;
import io.weft.engine.EngineFailedException;
import io.weft.engine.EngineOptions;
import io.weft.engine.EngineRuntime;
import io.weft.observe.Observatory;
import io.weft.profile.HardwareProfiler;
import io.weft.text.ChatTemplate;
import io.weft.text.Tokenizer;
import io.weft.text.tools.OutputFormats;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** The parts of the running service that the API uses, and their life cycle. */
@Singleton
final class Service {
    private static final Logger LOG = Logger.getLogger(Service.class);

    private static final Duration PROGRESS_PAUSE = Duration.ofSeconds(3);
    /** The part of the drain timeout that running requests have; in the rest they get their answer. */
    private static final double DRAIN_PART = 0.9;

    private final Settings settings;
    private final ModelLoading loading;
    private final Tokenizer tokenizer;
    private final BatchingEngine engine;

    private final Observatory observatory = new Observatory();

    /** Null while the model loads. */
    private volatile @Nullable KvCache cache;

    private volatile Runnable hostGrowth = () -> {};
    private volatile LongSupplier pinnedBytes = () -> 0;

    Service(ModelLoading loading, HardwareProfiler profiler, MeterRegistry metrics) {
        this.settings = Settings.current();
        this.loading = loading;
        this.tokenizer = loading.tokenizer();
        this.engine = new BatchingEngine(
                phase -> {
                    Assembly assembly = loading.await(profiler, phase.andThen(paced(LOG::info)));
                    LOG.infof(
                            "%s, model %s, cache %s%n%s",
                            assembly.deviceName(),
                            Assembly.servedName(settings),
                            settings.cache().encoding().label(),
                            assembly.budget());
                    EngineRuntime runtime = assembly.runtime(settings.cache().schedule(), observatory);
                    cache = runtime.cache();
                    pinnedBytes = assembly::pinnedBytes;
                    hostGrowth = assembly.hostGrowth(this::wantsMemory, this::memoryChanged);
                    return runtime;
                },
                new EngineOptions(
                        settings.server().queueLimit(),
                        settings.server().scheduling().scheduling(),
                        settings.server().stepTimeout(),
                        settings.batch().speculation().speculation()));
        CacheMetrics.register(
                metrics, settings.cache().encoding().policy(), () -> Optional.ofNullable(cache), engine::preemptions);
        StepMetrics.register(metrics, observatory, () -> pinnedBytes.getAsLong());
    }

    private boolean wantsMemory() {
        return engine.wantsMemory();
    }

    private void memoryChanged() {
        engine.memoryChanged();
    }

    /** Reports the progress of long work every few seconds, and nothing of short work. */
    private static Consumer<String> paced(Consumer<String> log) {
        AtomicLong lastNanos = new AtomicLong(System.nanoTime());
        return what -> {
            long now = System.nanoTime();
            if (now - lastNanos.get() > PROGRESS_PAUSE.toNanos()) {
                lastNanos.set(now);
                log.accept(what);
            }
        };
    }

    /** Starts the service. A model that cannot be loaded stops the process. */
    void start(@Observes StartupEvent event, Vertx vertx) {
        endWithoutMemory(vertx);
        loading.serverStarted();
        Thread.ofVirtual().name("weft-start").start(() -> {
            try {
                engine.awaitServing();
                LOG.infof("ready %.1f s after the process started", secondsSinceStart());
                Thread.ofPlatform().name("weft-pin").daemon().start(hostGrowth);
            } catch (EngineFailedException e) {
                LOG.errorf("cannot start: %s", e.getMessage());
                Quarkus.asyncExit(1);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /** The server's threads catch everything, and would only log a lack of memory. */
    private static void endWithoutMemory(Vertx vertx) {
        Handler<Throwable> logging = vertx.exceptionHandler();
        vertx.exceptionHandler(failure -> {
            if (failure instanceof OutOfMemoryError) {
                Thread thread = Thread.currentThread();
                thread.getUncaughtExceptionHandler().uncaughtException(thread, failure);
            } else if (logging != null) {
                logging.handle(failure);
            }
        });
    }

    private static double secondsSinceStart() {
        return (System.currentTimeMillis()
                        - ManagementFactory.getRuntimeMXBean().getStartTime())
                / 1000.0;
    }

    /** Refuses new requests and turns readiness red, before the server waits for running ones. */
    void drain(@Observes ShutdownDelayInitiatedEvent event) throws InterruptedException {
        engine.drain(Duration.ZERO);
        Thread.ofPlatform().name("weft-drain").daemon().start(this::endWhatIsLate);
    }

    /** Ends late requests with an error while the server can still answer. */
    private void endWhatIsLate() {
        try {
            engine.drain(Duration.ofNanos(
                    Math.round(DRAIN_PART * settings.server().drainTimeout().toNanos())));
            engine.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Stops the engine, after running requests have ended or the server has stopped waiting for them. */
    void stop(@Observes ShutdownEvent event) {
        engine.close();
        tokenizer.close();
    }

    @Produces
    @ApplicationScoped
    Engine engine() {
        return engine;
    }

    @Produces
    @Singleton
    Observatory observatory() {
        return observatory;
    }

    @Produces
    @Singleton
    Tokenizer tokenizer() {
        return tokenizer;
    }

    @Produces
    @Singleton
    OutputFormats outputFormats() {
        return settings.model()
                .formats(tokenizer.toolTemplate().map(ChatTemplate::source).orElse(""));
    }

    @Produces
    @Singleton
    ApiSettings apiSettings() {
        return new ApiSettings(
                Assembly.servedNames(settings),
                settings.server().apiKeys(),
                settings.requests().maxTokens(),
                settings.requests().temperature(),
                settings.requests().seed(),
                settings.server().managementPort(),
                settings.server().page(),
                ApiSettings.DEFAULT_MAX_CHOICES,
                settings.server().corsOrigins(),
                settings.server().cacheIsolation().isolation());
    }

    @Produces
    @Singleton
    ServerLimits serverLimits() {
        Settings.Limits limits = settings.limits();
        return new ServerLimits(
                limits.maxConnections(),
                limits.maxStreams(),
                limits.headerTimeout(),
                limits.bodyTimeout(),
                limits.bodyBytes(),
                ServerLimits.DEFAULT_MAX_BODY_BYTES,
                limits.idleTimeout(),
                limits.streamBufferBytes(),
                limits.writeTimeout());
    }
}
