package io.weft.api.http;

import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.HealthCheckResponseBuilder;
import org.eclipse.microprofile.health.Liveness;
import org.eclipse.microprofile.health.Readiness;
import org.eclipse.microprofile.health.Startup;

/**
 * Health of the engine. Started: it has served. Ready: it serves and its queue has room. Live: it has not failed, which
 * includes that no step hangs, whatever the queue.
 */
@Singleton
class EngineHealth {
    private static final String NAME = "engine";

    private final Engine engine;
    private final AtomicBoolean hasServed = new AtomicBoolean();

    EngineHealth(Engine engine) {
        this.engine = engine;
    }

    @Produces
    @Startup
    HealthCheck started() {
        return this::startedNow;
    }

    @Produces
    @Readiness
    HealthCheck ready() {
        return this::readyNow;
    }

    @Produces
    @Liveness
    HealthCheck live() {
        return this::liveNow;
    }

    private HealthCheckResponse startedNow() {
        EngineStatus status = engine.status();
        if (status instanceof EngineStatus.Serving || status instanceof EngineStatus.Draining) {
            hasServed.set(true);
        }
        return describe(status).status(hasServed.get()).build();
    }

    private HealthCheckResponse readyNow() {
        EngineStatus status = engine.status();
        boolean ready = switch (status) {
            case EngineStatus.Serving serving -> serving.room() > 0;
            case EngineStatus.Starting starting -> false;
            case EngineStatus.Draining draining -> false;
            case EngineStatus.Failed failed -> false;
        };
        return describe(status).status(ready).build();
    }

    private HealthCheckResponse liveNow() {
        EngineStatus status = engine.status();
        boolean live = switch (status) {
            case EngineStatus.Serving serving -> true;
            case EngineStatus.Draining draining -> true;
            case EngineStatus.Starting starting -> true;
            case EngineStatus.Failed failed -> false;
        };
        return describe(status).status(live).build();
    }

    private static HealthCheckResponseBuilder describe(EngineStatus status) {
        HealthCheckResponseBuilder response = HealthCheckResponse.named(NAME);
        return switch (status) {
            case EngineStatus.Starting(String phase) ->
                response.withData("state", "starting").withData("phase", phase);
            case EngineStatus.Serving serving ->
                response.withData("state", "serving")
                        .withData("running", serving.running())
                        .withData("waiting", serving.waiting())
                        .withData("queueLimit", serving.queueLimit())
                        .withData("sinceLastTickMillis", serving.sinceLastTick().toMillis());
            case EngineStatus.Draining draining ->
                response.withData("state", "draining")
                        .withData("running", draining.running())
                        .withData(
                                "sinceLastTickMillis", draining.sinceLastTick().toMillis());
            case EngineStatus.Failed(String cause, EngineStatus.Fault fault) ->
                response.withData("state", "failed")
                        .withData("fault", fault.name().toLowerCase(Locale.ROOT))
                        .withData("cause", cause);
        };
    }
}
