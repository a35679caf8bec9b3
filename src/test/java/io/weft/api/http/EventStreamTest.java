package io.weft.api.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.engine.EngineFailedException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Frames, and the ends of a stream. */
class EventStreamTest {
    /** All bytes of a stream that has ended. */
    private static String sent(Consumer<EventStream> writer) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        StringBuilder ends = new StringBuilder();
        writer.accept(new EventStream(new ObjectMapper(), "request-1", new EventStream.ByteSink() {
            @Override
            public void write(byte[] written) {
                bytes.writeBytes(written);
            }

            @Override
            public void end() {
                ends.append("end");
            }
        }));
        assertThat(ends.toString()).isEqualTo("end");
        return bytes.toString(StandardCharsets.UTF_8);
    }

    @Test
    void theLastFrameSaysSo() {
        assertThat(sent(stream -> {
                    stream.data(Map.of("text", "a"));
                    stream.write(EventStream.frame("{\"text\":\"b\"}".getBytes(StandardCharsets.UTF_8)));
                    stream.done();
                }))
                .isEqualTo("data: {\"text\":\"a\"}\n\ndata: {\"text\":\"b\"}\n\ndata: [DONE]\n\n");
    }

    @Test
    void aFailureIsAFrame() {
        assertThat(sent(stream -> {
                    stream.data(Map.of("text", "ab\n"));
                    stream.fail(new EngineFailedException("link lost", null));
                }))
                .isEqualTo("data: {\"text\":\"ab\\n\"}\n\n"
                        + "event: error\ndata: {\"error\":{\"message\":\"The service is out of order: link lost\","
                        + "\"type\":\"service_unavailable_error\",\"param\":null,\"code\":\"engine_failed\"}}\n\n"
                        + "data: [DONE]\n\n");
    }

    @Test
    void aFaultOfOursIsNotTold() {
        assertThat(sent(stream -> stream.fail(new IllegalStateException("secret"))))
                .contains("event: error\ndata: ", "request-1", "internal_error")
                .doesNotContain("secret");
    }
}
