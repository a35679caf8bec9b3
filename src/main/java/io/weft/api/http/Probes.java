package io.weft.api.http;

import io.micrometer.prometheus.PrometheusMeterRegistry;
import io.prometheus.client.exporter.common.TextFormat;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.smallrye.health.AsyncHealthCheckFactory;
import io.smallrye.health.SmallRyeHealth;
import io.smallrye.health.SmallRyeHealthReporter;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.RoutingContext;
import jakarta.annotation.PreDestroy;
import jakarta.annotation.Priority;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Alternative;
import jakarta.inject.Singleton;
import java.util.Optional;
import java.util.concurrent.Callable;

/**
 * Answers probes and Prometheus, on the management port if there is one and else on the API's, with threads of their
 * own: they answer whatever the API's requests do.
 */
@Singleton
@SuppressWarnings("deprecation") // Quarkus has the registry of Prometheus' older client
class Probes {
    /** After {@link RequestEdge}. */
    private static final int PRIORITY = 900;

    private static final int THREADS = 2;
    /** What SageMaker asks, by either method. */
    private static final String PING = "/ping";

    private final SmallRyeHealthReporter health;
    private final PrometheusMeterRegistry registry;
    private final ApiSettings settings;
    private final ErrorResponses errors;
    private final WorkerExecutor threads;

    Probes(
            Vertx vertx,
            SmallRyeHealthReporter health,
            PrometheusMeterRegistry registry,
            ApiSettings settings,
            ErrorResponses errors) {
        this.health = health;
        this.registry = registry;
        this.settings = settings;
        this.errors = errors;
        this.threads = vertx.createSharedWorkerExecutor("weft-probe", THREADS);
    }

    /** Calls checks where they are asked for: on threads of this class, and not on those that all share. */
    @Alternative
    @Priority(1)
    @Singleton
    static class Checks extends AsyncHealthCheckFactory {}

    void register(@Observes Filters filters) {
        filters.register(this::handle, PRIORITY);
    }

    @PreDestroy
    void close() {
        threads.close();
    }

    private void handle(RoutingContext routing) {
        HttpServerRequest request = routing.request();
        String path = path(request);
        boolean isProbe = path.equals("/health")
                || path.equals(PING)
                || path.equals("/metrics")
                || path.equals("/q/metrics")
                || path.equals("/q/health")
                || path.startsWith("/q/health/");
        if (isProbe && settings.managementPort().isEmpty()) {
            answer(request);
        } else if (isProbe) {
            errors.end(request, ApiError.nothingHere());
        } else {
            routing.next();
        }
    }

    private static String path(HttpServerRequest request) {
        return Optional.ofNullable(request.path()).orElse("/");
    }

    /** Answers a probe, or that there is none at this path. */
    void answer(HttpServerRequest request) {
        boolean mayPost = path(request).equals(PING) && request.method().equals(HttpMethod.POST);
        if (!mayPost
                && !request.method().equals(HttpMethod.GET)
                && !request.method().equals(HttpMethod.HEAD)) {
            errors.end(request, ApiError.otherMethod());
            return;
        }
        switch (path(request)) {
            case "/q/health/started" -> answer(request, health::getStartup);
            case "/q/health/ready", "/health", PING -> answer(request, health::getReadiness);
            case "/q/health/live" -> answer(request, health::getLiveness);
            case "/q/health" -> answer(request, health::getHealth);
            case "/q/metrics", "/metrics" -> answerMetrics(request);
            default -> errors.end(request, ApiError.nothingHere());
        }
    }

    private void answer(HttpServerRequest request, Callable<SmallRyeHealth> question) {
        Future<SmallRyeHealth> answer = threads.executeBlocking(question, false);
        answer.onSuccess(found -> response(request, "application/json")
                        .setStatusCode(found.isDown() ? 503 : 200)
                        .end(found.getPayload().toString()))
                .onFailure(failure -> request.response().setStatusCode(503).end());
    }

    private void answerMetrics(HttpServerRequest request) {
        String type = TextFormat.chooseContentType(request.getHeader(HttpHeaders.ACCEPT));
        Future<String> answer = threads.executeBlocking(() -> registry.scrape(type), false);
        answer.onSuccess(text -> response(request, type).end(text))
                .onFailure(failure -> request.response().setStatusCode(500).end());
    }

    private static HttpServerResponse response(HttpServerRequest request, String type) {
        return request.response().putHeader(HttpHeaders.CONTENT_TYPE, type);
    }
}
