package io.weft.api.weft;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.weft.api.http.ApiSettings;
import io.weft.api.http.Guarded;
import io.weft.api.weft.StatusResponse.Latency;
import io.weft.engine.Engine;
import io.weft.engine.EngineStatus;
import io.weft.model.CachePolicy;
import io.weft.observe.Observatory;
import io.weft.plan.step.StepTokens;
import io.weft.text.Tokenizer;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.eclipse.microprofile.openapi.annotations.Operation;

/** {@code GET /weft/v1/status}: what the service does now and has done so far, in every state. */
@Path("/weft/v1/status")
@Produces(MediaType.APPLICATION_JSON)
@Guarded
class StatusResource {
    private final Engine engine;
    private final ApiSettings settings;
    private final Tokenizer tokenizer;
    private final Observatory observatory;
    private final MeterRegistry metrics;

    StatusResource(
            Engine engine, ApiSettings settings, Tokenizer tokenizer, Observatory observatory, MeterRegistry metrics) {
        this.engine = engine;
        this.settings = settings;
        this.tokenizer = tokenizer;
        this.observatory = observatory;
        this.metrics = metrics;
    }

    @GET
    @Operation(summary = "Tell what the service does now, and sums since its start")
    public StatusResponse status() {
        return new StatusResponse(
                requests(engine.status()),
                settings.servedModelName(),
                policy().map(CachePolicy::label),
                tokenizer.chatTemplate().isPresent(),
                StatusResponse.Steps.of(observatory.totals()),
                observatory.lastStep().map(StatusResponse.TimedStep::of),
                count("weft.prompt.tokens"),
                count("weft.generation.tokens"),
                latency("weft.request.queue.time"),
                latency("weft.time.to.first.token"),
                latency("weft.inter.token.latency"));
    }

    private StatusResponse.Requests requests(EngineStatus status) {
        return switch (status) {
            case EngineStatus.Starting(String phase) -> StatusResponse.Requests.none("starting", phase);
            case EngineStatus.Failed failed -> StatusResponse.Requests.none("failed", failed.cause());
            case EngineStatus.Draining draining ->
                new StatusResponse.Requests(
                        "draining", Optional.empty(), draining.running(), 0, 0, 0, cached(draining.running()));
            case EngineStatus.Serving serving ->
                new StatusResponse.Requests(
                        "serving",
                        Optional.empty(),
                        serving.running(),
                        serving.waiting(),
                        serving.seats(),
                        serving.queueLimit(),
                        cached(serving.running()));
        };
    }

    private Map<String, Long> cached(int running) {
        return StatusResponse.byForm(
                running == 0 ? StepTokens.NONE : observatory.cached(), policy().orElse(CachePolicy.EXACT));
    }

    /** Empty while the model loads. */
    private Optional<CachePolicy> policy() {
        return observatory.inForce().map(plan -> plan.geometry().policy());
    }

    private long count(String name) {
        Counter counter = metrics.find(name).counter();
        return counter == null ? 0 : (long) counter.count();
    }

    private Latency latency(String name) {
        Timer timer = metrics.find(name).timer();
        return timer == null ? new Latency(0, 0) : new Latency(timer.count(), timer.totalTime(TimeUnit.MILLISECONDS));
    }
}
