package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.opentelemetry.api.OpenTelemetry;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NoTracesTest {
    @Test
    void withoutACollectorThereIsNoExporter() {
        assertThat(new Tracing().openTelemetry()).isSameAs(OpenTelemetry.noop());
    }

    @ParameterizedTest
    @ValueSource(strings = {"collector:4318", "ftp://collector", "http://", "http:// x", "http://a b"})
    void aCollectorThatIsNoAddressIsRefused(String endpoint) {
        assertThatThrownBy(() -> new Settings.Telemetry(
                        Settings.LogFormat.TEXT, Optional.of(endpoint), Settings.MetricsPrefix.WEFT))
                .isInstanceOf(SettingException.class)
                .hasMessageContaining("weft.otlp-endpoint");
    }
}
