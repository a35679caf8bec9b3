package io.weft.api.openai;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.quarkus.runtime.Startup;
import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import io.weft.engine.GenerationEvent.FinishReason;
import io.weft.engine.NonFiniteLogitsException;
import io.weft.engine.PrefixHit;
import io.weft.engine.RequestRejectedException;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.DoubleStream;

/**
 * Metrics of requests. Dashboards for vLLM work with its prefix changed to {@code weft_}: names and units are the same.
 */
@Startup
@Singleton
class ApiMetrics {
    private static final Duration[] FIRST_TOKEN_BUCKETS =
            buckets(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80);
    private static final Duration[] INTER_TOKEN_BUCKETS =
            buckets(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5);
    private static final Duration[] REQUEST_BUCKETS =
            buckets(0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960);

    private final MeterRegistry registry;
    private final Timer queueTime;
    private final Timer firstToken;
    private final Timer interToken;
    private final Timer wholeRequest;
    private final Counter promptTokens;
    private final Counter askedPromptTokens;
    private final Counter hitPromptTokens;
    private final Counter diskPromptTokens;
    private final Counter generatedTokens;
    private final Counter nonFinite;
    private final Counter slowReaders;
    private final Counter malformedToolCalls;

    ApiMetrics(MeterRegistry registry, Engine engine) {
        this.registry = registry;
        this.queueTime = timer("weft.request.queue.time", "Time in the queue", REQUEST_BUCKETS);
        this.firstToken = timer("weft.time.to.first.token", "Time to the first token", FIRST_TOKEN_BUCKETS);
        this.interToken = timer("weft.inter.token.latency", "Time between two tokens", INTER_TOKEN_BUCKETS);
        this.wholeRequest = timer("weft.e2e.request.latency", "Time from arrival to the last token", REQUEST_BUCKETS);
        this.promptTokens = registry.counter("weft.prompt.tokens");
        this.askedPromptTokens = Counter.builder("weft.prefix.cache.queries")
                .description("Tokens of prompts that were looked up in the cache")
                .register(registry);
        this.hitPromptTokens = Counter.builder("weft.prefix.cache.hits")
                .description("Tokens of prompts that were cached already")
                .register(registry);
        this.diskPromptTokens = Counter.builder("weft.prefix.cache.disk.hits")
                .description("Tokens of prompts that were brought from the cache's directory")
                .register(registry);
        this.generatedTokens = registry.counter("weft.generation.tokens");
        this.nonFinite = Counter.builder("weft.requests.nonfinite")
                .description("Requests that ended because the model's logits were not numbers")
                .register(registry);
        this.slowReaders = Counter.builder("weft.slow.readers")
                .description("Responses that ended because their client did not read them")
                .register(registry);
        this.malformedToolCalls = Counter.builder("weft.tool.calls.malformed")
                .description("Calls of tools whose JSON was wrong or incomplete")
                .register(registry);
        for (Outcome outcome : Outcome.values()) {
            success(outcome);
        }
        for (Class<?> reason : RequestRejectedException.Reason.class.getPermittedSubclasses()) {
            refused(reason);
        }
        FunctionCounter.builder("weft.watchdog.failures", engine, ApiMetrics::hangs)
                .description("Steps that hung, after which the service cannot go on")
                .register(registry);
        Gauge.builder("weft.num.requests.running", engine, ApiMetrics::running)
                .description("Requests in the batch")
                .register(registry);
        Gauge.builder("weft.num.requests.waiting", engine, ApiMetrics::waiting)
                .description("Requests in the queue")
                .register(registry);
    }

    private enum Outcome {
        STOP("stop"),
        LENGTH("length"),
        ABORT("abort"),
        ERROR("error");

        private final String label;

        Outcome(String label) {
            this.label = label;
        }
    }

    private static Duration[] buckets(double... seconds) {
        return DoubleStream.of(seconds)
                .mapToObj(bound -> Duration.ofNanos(Math.round(bound * 1e9)))
                .toArray(Duration[]::new);
    }

    private Timer timer(String name, String description, Duration... buckets) {
        return Timer.builder(name)
                .description(description)
                .serviceLevelObjectives(buckets)
                .register(registry);
    }

    private Counter success(Outcome outcome) {
        return registry.counter("weft.request.success", "finished_reason", outcome.label);
    }

    private Counter refused(Class<?> reason) {
        String label = reason.getSimpleName().replaceAll("(?<=.)([A-Z])", "_$1").toLowerCase(Locale.ROOT);
        return Counter.builder("weft.requests.refused")
                .description("Requests that the engine did not run to their end, by reason")
                .tag("reason", label)
                .register(registry);
    }

    private static double hangs(Engine engine) {
        boolean hangs =
                engine.status() instanceof EngineStatus.Failed failed && failed.fault() == EngineStatus.Fault.HANG;
        return hangs ? 1 : 0;
    }

    private static double running(Engine engine) {
        return switch (engine.status()) {
            case EngineStatus.Serving serving -> serving.running();
            case EngineStatus.Draining draining -> draining.running();
            case EngineStatus.Starting starting -> 0;
            case EngineStatus.Failed failed -> 0;
        };
    }

    private static double waiting(Engine engine) {
        return engine.status() instanceof EngineStatus.Serving serving ? serving.waiting() : 0;
    }

    /** Counts a response that ends because its client does not read it. */
    void slowReader() {
        slowReaders.increment();
    }

    /** Counts calls of tools that are no JSON. */
    void malformedCalls(int calls) {
        malformedToolCalls.increment(calls);
    }

    /** Starts to measure a request that goes to the engine. */
    Meter submitted(Choice choice) {
        return new Meter(choice.request().promptTokens().size(), choice.trace().submitted(choice));
    }

    /** Measures one request. Ends once, with the first of several possible ends. */
    final class Meter {
        private final int tokens;
        private final RequestTrace.ChoiceTrace trace;
        private final long startedNanos = System.nanoTime();
        private long lastTokenNanos;
        private int generated;
        private boolean ended;

        private Meter(int tokens, RequestTrace.ChoiceTrace trace) {
            this.tokens = tokens;
            this.trace = trace;
        }

        /** The request left the queue. */
        synchronized void admitted(Duration queued, PrefixHit hit) {
            queueTime.record(queued);
            askedPromptTokens.increment(tokens);
            hitPromptTokens.increment(hit.tokens());
            diskPromptTokens.increment(hit.diskTokens());
            if (!ended) {
                trace.admitted(hit);
            }
        }

        /** A token arrived. */
        synchronized void token() {
            long now = System.nanoTime();
            if (generated == 0) {
                firstToken.record(Duration.ofNanos(now - startedNanos));
                if (!ended) {
                    trace.firstToken();
                }
            } else {
                interToken.record(now - lastTokenNanos, TimeUnit.NANOSECONDS);
            }
            lastTokenNanos = now;
            generated++;
            generatedTokens.increment();
        }

        void finished(FinishReason reason) {
            end(
                    switch (reason) {
                        case STOP -> Outcome.STOP;
                        case LENGTH -> Outcome.LENGTH;
                    },
                    Optional.empty());
        }

        /** A rejected request does not count. */
        void failed(Throwable cause) {
            end(Outcome.ERROR, Optional.of(cause));
        }

        private void count(Throwable failure) {
            switch (failure) {
                case RequestRejectedException rejected ->
                    refused(rejected.reason().getClass()).increment();
                case NonFiniteLogitsException wrong -> nonFinite.increment();
                default -> {}
            }
        }

        void cancelled() {
            end(Outcome.ABORT, Optional.empty());
        }

        private synchronized void end(Outcome outcome, Optional<Throwable> failure) {
            if (ended) {
                return;
            }
            ended = true;
            trace.ended(outcome.label, generated, failure);
            failure.ifPresent(this::count);
            if (failure.filter(RequestRejectedException.class::isInstance).isEmpty()) {
                promptTokens.increment(tokens);
                wholeRequest.record(Duration.ofNanos(System.nanoTime() - startedNanos));
                success(outcome).increment();
            }
        }
    }
}
