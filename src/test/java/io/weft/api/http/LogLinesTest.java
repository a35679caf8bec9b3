package io.weft.api.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.weft.engine.EngineFailedException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import org.jboss.logging.MDC;
import org.jboss.logmanager.ExtLogRecord;
import org.jboss.logmanager.Logger;
import org.jboss.logmanager.formatters.JsonFormatter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The log's lines of a request. */
class LogLinesTest {
    /** Keeps the lines that would be written. */
    private static final class Lines extends Handler {
        private final List<String> lines = new ArrayList<>();

        @Override
        public void publish(LogRecord line) {
            lines.add(new JsonFormatter().format(ExtLogRecord.wrap(line)));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

    @Test
    void aLineOfARequestHasItsIdInAFieldOfItsOwn() throws Exception {
        Lines lines = new Lines();
        Logger logger = Logger.getLogger(Errors.class.getName());
        logger.addHandler(lines);
        try {
            Errors.of(new IllegalStateException("\"quoted\"\n and broken"), "id-1");
            Errors.of(new EngineFailedException("the device is gone", null), "id-2");
        } finally {
            logger.removeHandler(lines);
        }

        List<JsonNode> read = new ArrayList<>();
        for (String line : lines.lines) {
            assertThat(line.strip().lines()).hasSize(1);
            read.add(new ObjectMapper().readTree(line));
        }
        assertThat(read).extracting(line -> line.at("/mdc/request_id").asText()).containsExactly("id-1", "id-2");
        assertThat(read).extracting(line -> line.path("level").asText()).containsOnly("ERROR");
        assertThat(MDC.get("request_id")).isNull();
    }

    @ParameterizedTest
    @CsvSource({"text, false", "json, true"})
    void theSettingChoosesTheFormOfTheLines(String format, boolean json) throws Exception {
        SmallRyeConfig config = new SmallRyeConfigBuilder()
                .addDefaultInterceptors()
                .withSources(new PropertiesConfigSource(
                        Objects.requireNonNull(getClass().getResource("/application.properties")), 100))
                .withSources(new PropertiesConfigSource(Map.of("weft.log-format", format), "test", 200))
                .build();

        assertThat(config.getValue("quarkus.log.console.json.enabled", Boolean.class))
                .isEqualTo(json);
    }
}
