package io.weft.api.http;

import io.micrometer.prometheus.PrometheusMeterRegistry;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import io.smallrye.health.SmallRyeHealth;
import io.smallrye.health.SmallRyeHealthReporter;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import jakarta.annotation.Priority;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.jspecify.annotations.Nullable;

/**
 * A second port only for probes and Prometheus, with the same paths as on the first one. It can be hidden from users of
 * the API, needs no key, and still answers while the first port drains.
 */
@Singleton
@SuppressWarnings("deprecation") // Quarkus has the registry of Prometheus' older client
class ManagementPort {
    /** Runs after all others, so that a watcher of a stopping process sees it stop. */
    private static final int LAST = Integer.MAX_VALUE;

    private static final String METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

    private final Vertx vertx;
    private final SmallRyeHealthReporter health;
    private final PrometheusMeterRegistry registry;
    private final ApiSettings settings;
    private final String host;
    private @Nullable HttpServer server;

    ManagementPort(
            Vertx vertx,
            SmallRyeHealthReporter health,
            PrometheusMeterRegistry registry,
            ApiSettings settings,
            @ConfigProperty(name = "quarkus.http.host", defaultValue = "0.0.0.0") String host) {
        this.vertx = vertx;
        this.health = health;
        this.registry = registry;
        this.settings = settings;
        this.host = host;
    }

    void start(@Observes StartupEvent event) {
        if (settings.managementPort().isPresent()) {
            listen(settings.managementPort().getAsInt());
        }
    }

    /** The port in use; 0 for none. */
    int port() {
        return server == null ? 0 : server.actualPort();
    }

    /**
     * Starts to listen.
     *
     * @param port 0 for any free port
     */
    void listen(int port) {
        try {
            server = vertx.createHttpServer()
                    .requestHandler(this::answer)
                    .listen(port, host)
                    .toCompletionStage()
                    .toCompletableFuture()
                    .join();
        } catch (CompletionException e) {
            throw new IllegalStateException(
                    "weft.management-port %d on %s cannot be opened: %s"
                            .formatted(
                                    port,
                                    host,
                                    Optional.ofNullable(e.getCause())
                                            .map(Throwable::getMessage)
                                            .orElse("")),
                    e);
        }
    }

    void stop(@Observes @Priority(LAST) ShutdownEvent event) {
        if (server != null) {
            server.close();
        }
    }

    private void answer(HttpServerRequest request) {
        if (!request.method().equals(HttpMethod.GET) && !request.method().equals(HttpMethod.HEAD)) {
            request.response().setStatusCode(405).end();
            return;
        }
        switch (Optional.ofNullable(request.path()).orElse("/")) {
            case "/q/health/started" -> answerHealth(request.response(), health::getStartup);
            case "/q/health/ready", "/health" -> answerHealth(request.response(), health::getReadiness);
            case "/q/health/live" -> answerHealth(request.response(), health::getLiveness);
            case "/q/health" -> answerHealth(request.response(), health::getHealth);
            case "/q/metrics", "/metrics" -> answerMetrics(request.response());
            default -> request.response().setStatusCode(404).end();
        }
    }

    private void answerHealth(HttpServerResponse response, Callable<SmallRyeHealth> question) {
        vertx.executeBlocking(question, false).onComplete(answer -> {
            response.putHeader(HttpHeaders.CONTENT_TYPE, "application/json");
            if (answer.succeeded()) {
                response.setStatusCode(answer.result().isDown() ? 503 : 200)
                        .end(answer.result().getPayload().toString());
            } else {
                response.setStatusCode(503).end();
            }
        });
    }

    private void answerMetrics(HttpServerResponse response) {
        Callable<String> scrape = registry::scrape;
        vertx.executeBlocking(scrape, false)
                .onSuccess(text -> response.putHeader(HttpHeaders.CONTENT_TYPE, METRICS_TYPE)
                        .end(text))
                .onFailure(failure -> response.setStatusCode(500).end());
    }
}
