package io.weft.api.openai;

import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.HostAndPort;
import io.vertx.ext.web.RoutingContext;
import io.weft.api.http.RequestEdge;
import io.weft.engine.ServedModel;
import jakarta.inject.Singleton;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Makes the {@linkplain RequestTrace traces} of requests. A trace that the client began goes on. */
@Singleton
class Traces {
    private static final TextMapGetter<HttpServerRequest> HEADERS = new TextMapGetter<>() {
        @Override
        public Iterable<String> keys(HttpServerRequest request) {
            return request.headers().names();
        }

        @Override
        public @Nullable String get(@Nullable HttpServerRequest request, String key) {
            return request == null ? null : request.getHeader(key);
        }
    };

    private final OpenTelemetry telemetry;
    private final Tracer tracer;

    Traces(OpenTelemetry telemetry) {
        this.telemetry = telemetry;
        this.tracer = telemetry.getTracer("io.weft");
    }

    /** The trace of a request that has arrived. */
    RequestTrace begin(
            RequestTrace.Operation operation, ServedModel model, int prompts, int each, RoutingContext routing) {
        HttpServerRequest request = routing.request();
        Context parent = telemetry.getPropagators().getTextMapPropagator().extract(Context.root(), request, HEADERS);
        return new RequestTrace(
                tracer,
                parent,
                operation,
                model.id(),
                prompts,
                each,
                Optional.<HostAndPort>ofNullable(request.authority()),
                RequestEdge.requestId(routing));
    }
}
