package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.smallrye.mutiny.Multi;
import io.weft.engine.EngineFailedException;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.RequestRejectedException;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.engine.SamplingParameters;
import io.weft.text.Tokenizer.SpecialTokens;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Failures of a stream: with a status before the first frame, as a frame after it. */
class EventStreamTest {
    private static final Choice CHOICE = new Choice(
            0,
            new GenerationRequest(
                    List.of(5),
                    9,
                    SamplingParameters.greedy(),
                    EndTokens.IGNORE,
                    OptionalInt.empty(),
                    OptionalInt.empty()),
            Optional.empty(),
            List.of(),
            SpecialTokens.WITHOUT);

    /** Chunks that only have a text. */
    private static final class Texts implements ResponseShape {
        @Override
        public List<?> chunks(Delta delta, JsonNode usage) {
            return delta instanceof Delta.Token token ? List.of(Map.of("text", token.text())) : List.of();
        }

        @Override
        public Object usageChunk(JsonNode usage) {
            return usage;
        }

        @Override
        public Object whole(List<ChoiceResult> results, JsonNode usage) {
            return usage;
        }
    }

    private static String sent(Multi<Delta> deltas) {
        ObjectMapper json = new ObjectMapper();
        GenerationFields noWishes = json.convertValue(Map.of(), GenerationFields.class);
        EventStream stream = new EventStream(json, new Texts(), noWishes, 1, "request-1");
        return stream.frames(deltas).collect().asList().await().indefinitely().stream()
                .map(frame -> new String(frame, StandardCharsets.UTF_8))
                .collect(Collectors.joining());
    }

    private static Delta token(String text) {
        return new Delta.Token(CHOICE, text, 7, Optional.empty());
    }

    private static Multi<Delta> failingAfter(Delta delta, Throwable failure) {
        return Multi.createBy()
                .concatenating()
                .streams(Multi.createFrom().item(delta), Multi.createFrom().failure(failure));
    }

    @Test
    void aFailureAfterTheFirstFrameIsAFrame() {
        String sent = sent(failingAfter(token("ab\n"), new EngineFailedException("link lost", null)));

        assertThat(sent)
                .isEqualTo("data: {\"text\":\"ab\\n\"}\n\n"
                        + "event: error\ndata: {\"error\":{\"message\":\"The device failed: link lost\","
                        + "\"type\":\"service_unavailable_error\",\"param\":null,\"code\":\"engine_failed\"}}\n\n"
                        + "data: [DONE]\n\n");
    }

    @Test
    void aFaultOfOursIsNotTold() {
        String sent = sent(failingAfter(token("a"), new IllegalStateException("secret")));

        assertThat(sent)
                .contains("event: error\ndata: ", "request-1", "internal_error")
                .doesNotContain("secret");
    }

    @Test
    void aFailureBeforeTheFirstFrameIsTheStreams() {
        RequestRejectedException rejection =
                new RequestRejectedException(new Reason.QueueFull(3, Duration.ofSeconds(1)));

        assertThatThrownBy(() -> sent(Multi.createFrom().failure(rejection))).isSameAs(rejection);
        assertThatThrownBy(() -> sent(failingAfter(new Delta.PromptScored(CHOICE, List.of()), rejection)))
                .isSameAs(rejection);
    }
}
