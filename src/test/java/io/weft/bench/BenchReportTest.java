package io.weft.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchReportTest {
    static BenchReport report(Double othersPercent) {
        return new BenchReport(
                "chunked",
                "demo",
                "a device",
                "4x512",
                4,
                512,
                16,
                null,
                List.of("host_kv", "host_act"),
                0,
                0,
                1,
                Map.of("host_kv", 100L, "host_act", 28L),
                1e8,
                1,
                12.5,
                320,
                1e6,
                0.9,
                12,
                0.96,
                -4,
                11,
                othersPercent,
                0.5);
    }

    @ParameterizedTest
    @CsvSource({"0, false", "10, false", "10.5, true", "80, true"})
    void aFigureOfABusyMachineIsMarked(double othersPercent, boolean busy) {
        BenchReport report = report(othersPercent);
        JsonNode json = new ObjectMapper().valueToTree(report);

        assertThat(report.busy()).isEqualTo(busy);
        assertThat(json.path("busy").booleanValue()).isEqualTo(busy);
        assertThat(json.path("others_percent").doubleValue()).isEqualTo(othersPercent);
        String row = BenchReport.table(List.of(report))
                .lines()
                .filter(line -> line.startsWith("4x512"))
                .findFirst()
                .orElseThrow();
        assertThat(row.contains("12.50!")).isEqualTo(busy);
    }

    @Test
    void theTableSaysWhatTheMarkMeans() {
        String table = BenchReport.table(List.of(report(3.0), report(41.4), report(80.0)));

        assertThat(table).contains("!: measured while others took up to 80 per cent of the processors. More than 10 ");
        assertThat(table.lines()).allMatch(line -> line.length() <= 120);
        assertThat(BenchReport.table(List.of(report(3.0)))).doesNotContain("!");
    }

    @Test
    void whereTheSystemDoesNotSayNothingIsMarked() {
        assertThat(report(null).busy()).isFalse();
        assertThat(new ObjectMapper()
                        .valueToTree(report(null))
                        .path("others_percent")
                        .isNull())
                .isTrue();
    }
}
