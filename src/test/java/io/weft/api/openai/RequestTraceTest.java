package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;

import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TracerProvider;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import io.weft.api.openai.RequestTrace.ChoiceTrace;
import io.weft.api.openai.RequestTrace.Operation;
import io.weft.engine.EngineFailedException;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.PrefixHit;
import io.weft.engine.RequestRejectedException;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.engine.SamplingParameters;
import io.weft.text.Tokenizer.SpecialTokens;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Requests of several choices, and those that do not end well. */
class RequestTraceTest {
    private static final AttributeKey<List<String>> REASONS =
            AttributeKey.stringArrayKey("gen_ai.response.finish_reasons");
    private static final AttributeKey<Long> INPUT = AttributeKey.longKey("gen_ai.usage.input_tokens");
    private static final AttributeKey<Long> CACHED = AttributeKey.longKey("gen_ai.usage.cache_read.input_tokens");
    private static final AttributeKey<Long> COMPUTED = AttributeKey.longKey("weft.prompt.computed");
    private static final AttributeKey<Long> OUTPUT = AttributeKey.longKey("gen_ai.usage.output_tokens");
    private static final AttributeKey<String> ERROR = AttributeKey.stringKey("error.type");

    private final List<SpanData> ended = new ArrayList<>();
    private final SdkTracerProvider provider = SdkTracerProvider.builder()
            .addSpanProcessor(SimpleSpanProcessor.create(new SpanExporter() {
                @Override
                public CompletableResultCode export(Collection<SpanData> spans) {
                    ended.addAll(spans);
                    return CompletableResultCode.ofSuccess();
                }

                @Override
                public CompletableResultCode flush() {
                    return CompletableResultCode.ofSuccess();
                }

                @Override
                public CompletableResultCode shutdown() {
                    return CompletableResultCode.ofSuccess();
                }
            }))
            .build();

    @AfterEach
    void close() {
        provider.close();
    }

    private static RequestTrace trace(TracerProvider provider, int prompts, int each) {
        return new RequestTrace(
                provider.get("test"), Context.root(), Operation.CHAT, "m", prompts, each, Optional.empty(), "id");
    }

    private static Choice choice(RequestTrace trace, int index, int promptTokens) {
        GenerationRequest request = new GenerationRequest(
                java.util.Collections.nCopies(promptTokens, 1),
                9,
                SamplingParameters.greedy(),
                EndTokens.STOP,
                OptionalInt.empty(),
                OptionalInt.empty());
        return new Choice(
                index, request, Optional.empty(), Choice.Stops.NONE, SpecialTokens.values()[0], Set.of(), trace);
    }

    private SpanData request() {
        return ended.stream()
                .filter(span -> span.getName().equals("chat m"))
                .findFirst()
                .orElseThrow();
    }

    /** Of two prompts, each with two choices: prompts are counted once, and the last choice ends the request. */
    @Test
    void choicesAreSummedUp() {
        RequestTrace trace = trace(provider, 2, 2);
        List<ChoiceTrace> choices = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            choices.add(trace.submitted(choice(trace, i, i < 2 ? 5 : 7)));
        }
        for (int i = 0; i < 4; i++) {
            choices.get(i).admitted(new PrefixHit(i, 1, 1));
            choices.get(i).firstToken();
        }
        choices.get(3).ended("length", 9, Optional.empty());
        choices.get(0).ended("stop", 2, Optional.empty());
        choices.get(1).ended("abort", 1, Optional.empty());
        assertThat(ended).noneMatch(span -> span.getName().equals("chat m"));
        choices.get(2).ended("stop", 4, Optional.empty());

        assertThat(ended).hasSize(4 * 3 + 1);
        assertThat(request().getAttributes().get(REASONS)).containsExactly("stop", "abort", "stop", "length");
        assertThat(request().getAttributes().get(INPUT)).isEqualTo(12);
        assertThat(request().getAttributes().get(CACHED)).isEqualTo(2 + 4);
        assertThat(ended)
                .filteredOn(span -> span.getName().equals("prefill"))
                .extracting(span -> span.getAttributes().get(COMPUTED))
                .containsExactlyInAnyOrder(5L - 2, 5L - 3, 7L - 4, 7L - 5);
        assertThat(request().getAttributes().get(OUTPUT)).isEqualTo(16);
        assertThat(request().getStatus().getStatusCode()).isEqualTo(StatusCode.UNSET);
        assertThat(ended)
                .filteredOn(span -> !span.getName().equals("chat m"))
                .allMatch(span -> span.getParentSpanId().equals(request().getSpanId()));
    }

    @Test
    void aRequestThatIsTurnedAwayEndsInTheQueue() {
        RequestTrace trace = trace(provider, 1, 1);
        trace.submitted(choice(trace, 0, 3))
                .ended(
                        "error",
                        0,
                        Optional.of(new RequestRejectedException(new Reason.QueueFull(4, Duration.ofSeconds(1)))));

        assertThat(ended).extracting(SpanData::getName).containsExactly("queue", "chat m");
        assertThat(ended).allSatisfy(span -> {
            assertThat(span.getStatus().getStatusCode()).isEqualTo(StatusCode.ERROR);
            assertThat(span.getAttributes().get(ERROR)).isEqualTo("QueueFull");
        });
    }

    /** A message may repeat what a client sent. */
    @Test
    void aFailureIsNamedAndItsMessageIsNotTold() {
        RequestTrace trace = trace(provider, 1, 1);
        ChoiceTrace choice = trace.submitted(choice(trace, 0, 3));
        choice.admitted(PrefixHit.NONE);
        choice.ended("error", 0, Optional.of(new EngineFailedException("a secret", null)));

        assertThat(ended).extracting(SpanData::getName).containsExactly("queue", "prefill", "chat m");
        assertThat(request().getAttributes().get(ERROR)).isEqualTo("EngineFailedException");
        assertThat(ended.toString()).doesNotContain("secret");
    }

    @Test
    void withoutACollectorNothingIsMade() {
        RequestTrace trace = trace(OpenTelemetry.noop().getTracerProvider(), 1, 1);
        ChoiceTrace choice = trace.submitted(choice(trace, 0, 3));
        choice.admitted(PrefixHit.NONE);
        choice.firstToken();
        choice.ended("stop", 1, Optional.empty());

        assertThat(ended).isEmpty();
    }
}
