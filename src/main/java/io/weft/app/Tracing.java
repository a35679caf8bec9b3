package io.weft.app;

import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.propagation.ContextPropagators;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Sends traces to the collector of {@code weft.otlp-endpoint}; without one there are none, and no thread for them. */
@Singleton
class Tracing {
    private static final String PATH = "/v1/traces";
    private static final Duration DELAY = Duration.ofSeconds(1);
    private static final long LAST_SECONDS = 2;

    @Produces
    @Singleton
    OpenTelemetry openTelemetry() {
        return Settings.current()
                .telemetry()
                .otlpEndpoint()
                .<OpenTelemetry>map(Tracing::exporting)
                .orElseGet(OpenTelemetry::noop);
    }

    private static OpenTelemetrySdk exporting(String endpoint) {
        String base = endpoint.endsWith("/") ? endpoint.substring(0, endpoint.length() - 1) : endpoint;
        OtlpHttpSpanExporter exporter = OtlpHttpSpanExporter.builder()
                .setEndpoint(base.endsWith(PATH) ? base : base + PATH)
                .build();
        SdkTracerProvider traces = SdkTracerProvider.builder()
                .setResource(Resource.getDefault()
                        .merge(Resource.create(Attributes.of(AttributeKey.stringKey("service.name"), "weft"))))
                .addSpanProcessor(BatchSpanProcessor.builder(exporter)
                        .setScheduleDelay(DELAY)
                        .build())
                .build();
        return OpenTelemetrySdk.builder()
                .setTracerProvider(traces)
                .setPropagators(ContextPropagators.create(W3CTraceContextPropagator.getInstance()))
                .build();
    }

    /** Sends what is left, if the collector takes it soon. */
    void stop(@Disposes OpenTelemetry telemetry) {
        if (telemetry instanceof OpenTelemetrySdk sdk) {
            sdk.getSdkTracerProvider().shutdown().join(LAST_SECONDS, TimeUnit.SECONDS);
        }
    }
}
