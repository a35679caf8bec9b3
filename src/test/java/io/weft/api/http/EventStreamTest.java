package io.weft.api.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.Multi;
import io.weft.engine.EngineFailedException;
import io.weft.engine.RequestRejectedException;
import io.weft.engine.RequestRejectedException.Reason;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Failures of a stream: with a status before the first frame, as a frame after it. */
class EventStreamTest {
    private static String sent(Multi<Object> objects) {
        EventStream stream = new EventStream(new ObjectMapper(), "request-1");
        return stream.frames(objects).collect().asList().await().indefinitely().stream()
                .map(frame -> new String(frame, StandardCharsets.UTF_8))
                .collect(Collectors.joining());
    }

    private static Multi<Object> failingAfter(Object first, Throwable failure) {
        return Multi.createBy()
                .concatenating()
                .streams(Multi.createFrom().item(first), Multi.createFrom().failure(failure));
    }

    @Test
    void theLastFrameSaysSo() {
        assertThat(sent(Multi.createFrom().items(Map.of("text", "a"), Map.of("text", "b"))))
                .isEqualTo("data: {\"text\":\"a\"}\n\ndata: {\"text\":\"b\"}\n\ndata: [DONE]\n\n");
    }

    @Test
    void aFailureAfterTheFirstFrameIsAFrame() {
        String sent = sent(failingAfter(Map.of("text", "ab\n"), new EngineFailedException("link lost", null)));

        assertThat(sent)
                .isEqualTo("data: {\"text\":\"ab\\n\"}\n\n"
                        + "event: error\ndata: {\"error\":{\"message\":\"The device failed: link lost\","
                        + "\"type\":\"service_unavailable_error\",\"param\":null,\"code\":\"engine_failed\"}}\n\n"
                        + "data: [DONE]\n\n");
    }

    @Test
    void aFaultOfOursIsNotTold() {
        String sent = sent(failingAfter(Map.of("text", "a"), new IllegalStateException("secret")));

        assertThat(sent)
                .contains("event: error\ndata: ", "request-1", "internal_error")
                .doesNotContain("secret");
    }

    @Test
    void aFailureBeforeTheFirstFrameIsTheStreams() {
        RequestRejectedException rejection =
                new RequestRejectedException(new Reason.QueueFull(3, Duration.ofSeconds(1)));

        assertThatThrownBy(() -> sent(Multi.createFrom().failure(rejection))).isSameAs(rejection);
    }
}
