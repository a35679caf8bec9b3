package io.weft.api.http;

import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.HealthCheckResponseBuilder;
import org.eclipse.microprofile.health.Liveness;
import org.eclipse.microprofile.health.Readiness;
import org.eclipse.microprofile.health.Startup;

/**
 * Health of the engine. Started: it has served. Ready: it serves and its queue has room. Live: it has not failed and
 * its step loop runs, whatever the queue.
 */
@Singleton
class EngineHealth {
    private static final String NAME = "engine";

    private final Engine engine;
    private final ApiSettings settings;
    private final AtomicBoolean hasServed = new AtomicBoolean();

    EngineHealth(Engine engine, ApiSettings settings) {
        this.engine = engine;
        this.settings = settings;
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
            case EngineStatus.Serving serving -> ticks(serving.sinceLastTick());
            case EngineStatus.Draining draining -> draining.running() == 0 || ticks(draining.sinceLastTick());
            case EngineStatus.Starting starting -> true;
            case EngineStatus.Failed failed -> false;
        };
        return describe(status).status(live).build();
    }

    private boolean ticks(Duration sinceLastTick) {
        return sinceLastTick.compareTo(settings.livenessStall()) <= 0;
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
            case EngineStatus.Failed(String cause) ->
                response.withData("state", "failed").withData("cause", cause);
        };
    }
}
