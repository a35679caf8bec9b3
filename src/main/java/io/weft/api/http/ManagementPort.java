package io.weft.api.http;

import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import jakarta.annotation.Priority;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.jspecify.annotations.Nullable;

/**
 * A second port only for probes and Prometheus, with the same paths as on the first one. It can be hidden from users of
 * the API, needs no key, and still answers while the first port drains.
 */
@Singleton
class ManagementPort {
    /** Runs after all others, so that a watcher of a stopping process sees it stop. */
    private static final int LAST = Integer.MAX_VALUE;

    private final Vertx vertx;
    private final Probes probes;
    private final Connections connections;
    private final ApiSettings settings;
    private final String host;
    private @Nullable HttpServer server;

    ManagementPort(
            Vertx vertx,
            Probes probes,
            Connections connections,
            ApiSettings settings,
            @ConfigProperty(name = "quarkus.http.host", defaultValue = "0.0.0.0") String host) {
        this.vertx = vertx;
        this.probes = probes;
        this.connections = connections;
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
                    .requestHandler(probes::answer)
                    .listen(port, host)
                    .toCompletionStage()
                    .toCompletableFuture()
                    .join();
            connections.manage(server.actualPort());
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
}
