package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheus.PrometheusConfig;
import io.micrometer.prometheus.PrometheusMeterRegistry;
import io.weft.app.Settings.MetricsPrefix;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

@SuppressWarnings("deprecation") // Quarkus has the registry of Prometheus' older client
class MetricNamesTest {
    private static String scraped(MetricsPrefix prefix) {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        registry.config().meterFilter(MetricNames.of(prefix, "a/b"));
        Gauge.builder("weft.num.requests.running", () -> 3).register(registry);
        Counter.builder("weft.request.success")
                .tag("finished_reason", "stop")
                .register(registry)
                .increment();
        Timer.builder("weft.time.to.first.token")
                .serviceLevelObjectives(Duration.ofSeconds(1))
                .register(registry)
                .record(Duration.ofMillis(500));
        Counter.builder("weft.slow.readers").register(registry).increment();
        return registry.scrape();
    }

    @Test
    void dashboardsOfVllmFindTheirNames() {
        assertThat(scraped(MetricsPrefix.VLLM))
                .contains("\nvllm:num_requests_running{model_name=\"a/b\",} 3.0")
                .contains("\nvllm:request_success_total{finished_reason=\"stop\",model_name=\"a/b\",} 1.0")
                .contains("\nvllm:time_to_first_token_seconds_bucket{model_name=\"a/b\",le=\"1.0\",} 1.0")
                .contains("\nvllm:time_to_first_token_seconds_count{model_name=\"a/b\",} 1.0")
                .contains("\nweft_slow_readers_total 1.0")
                .doesNotContain("weft_num", "weft_time", "weft_request");
        assertThat(scraped(MetricsPrefix.WEFT))
                .contains("\nweft_num_requests_running 3.0")
                .doesNotContain("vllm", "model_name");
    }

    private static String prometheus(String meter) {
        return meter.replace('.', '_');
    }

    /** But for units and ends, which Prometheus adds to both. */
    @Test
    void theDocumentationHasTheSameTable() throws IOException {
        Pattern row = Pattern.compile("\\| `(vllm:\\w+)` \\| `(weft_\\w+)` \\|");
        Map<String, String> documented = row.matcher(Files.readString(Path.of("docs/operations.md")))
                .results()
                .collect(Collectors.toMap(
                        MetricNamesTest::own, match -> match.group(1).replaceAll("(_seconds|_total)$", "")));

        assertThat(documented)
                .isEqualTo(MetricNames.VLLM.entrySet().stream()
                        .collect(Collectors.toMap(name -> prometheus(name.getKey()), Map.Entry::getValue)));
    }

    private static String own(MatchResult row) {
        return row.group(2).replaceAll("(_seconds|_total)$", "");
    }
}
