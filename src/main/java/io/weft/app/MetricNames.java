package io.weft.app;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.config.MeterFilter;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.Map;

/** Names of metrics for dashboards that were made for vLLM. */
final class MetricNames {
    /** vLLM's names of the metrics that mean the same; Prometheus adds units. */
    static final Map<String, String> VLLM = Map.ofEntries(
            Map.entry("weft.num.requests.running", "vllm:num_requests_running"),
            Map.entry("weft.num.requests.waiting", "vllm:num_requests_waiting"),
            Map.entry("weft.num.preemptions", "vllm:num_preemptions"),
            Map.entry("weft.time.to.first.token", "vllm:time_to_first_token"),
            Map.entry("weft.inter.token.latency", "vllm:inter_token_latency"),
            Map.entry("weft.e2e.request.latency", "vllm:e2e_request_latency"),
            Map.entry("weft.request.queue.time", "vllm:request_queue_time"),
            Map.entry("weft.prompt.tokens", "vllm:prompt_tokens"),
            Map.entry("weft.generation.tokens", "vllm:generation_tokens"),
            Map.entry("weft.request.success", "vllm:request_success"),
            Map.entry("weft.prefix.cache.queries", "vllm:prefix_cache_queries"),
            Map.entry("weft.prefix.cache.hits", "vllm:prefix_cache_hits"),
            Map.entry("weft.drafted.tokens", "vllm:spec_decode_num_draft_tokens"),
            Map.entry("weft.accepted.tokens", "vllm:spec_decode_num_accepted_tokens"),
            Map.entry("weft.cache.usage.ratio", "vllm:kv_cache_usage_perc"));

    private MetricNames() {}

    @Produces
    @Singleton
    static MeterFilter names() {
        Settings settings = Settings.current();
        return of(settings.telemetry().metricsPrefix(), Assembly.servedName(settings));
    }

    /** @param model name of the model, which is a label of each of vLLM's metrics */
    static MeterFilter of(Settings.MetricsPrefix prefix, String model) {
        Map<String, String> names = switch (prefix) {
            case WEFT -> Map.of();
            case VLLM -> VLLM;
        };
        return new MeterFilter() {
            @Override
            public Meter.Id map(Meter.Id id) {
                String name = names.get(id.getName());
                return name == null ? id : id.withName(name).withTag(Tag.of("model_name", model));
            }
        };
    }
}
