package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import io.quarkus.test.common.QuarkusTestResource;
import io.quarkus.test.common.QuarkusTestResourceLifecycleManager;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.api.OtlpMessage.Span;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.Test;

/** Traces reach a collector: the spans of a request, what they say, and that they tell no text. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
@QuarkusTestResource(value = TracingTest.Collector.class, restrictToAnnotatedClass = true)
class TracingTest {
    private static final String SECRET = "velociraptor";
    private static final String TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
    private static final String CALLER = "00f067aa0ba902b7";

    private static final BlockingQueue<byte[]> RECEIVED = new LinkedBlockingQueue<>();

    @TestHTTPResource("/")
    URI root;

    /** As small as a collector can be: it keeps what it is sent. */
    public static final class Collector implements QuarkusTestResourceLifecycleManager {
        private HttpServer server;

        @Override
        public Map<String, String> start() {
            try {
                server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
            server.createContext("/v1/traces", exchange -> {
                RECEIVED.add(exchange.getRequestBody().readAllBytes());
                exchange.sendResponseHeaders(200, -1);
                exchange.close();
            });
            server.start();
            return Map.of(
                    "weft.otlp-endpoint",
                    "http://127.0.0.1:" + server.getAddress().getPort());
        }

        @Override
        public void stop() {
            server.stop(0);
        }
    }

    @Test
    void aRequestHasItsSpansAndTellsNoText() throws Exception {
        ApiClient api = new ApiClient(root);
        HttpResponse<String> answer = api.post(
                "/v1/completions",
                "{\"prompt\":\"" + SECRET + " " + SECRET
                        + "\",\"max_tokens\":5,\"ignore_eos\":true,\"temperature\":0.5,\"top_p\":0.25,\"seed\":3}",
                "traceparent",
                "00-" + TRACE + "-" + CALLER + "-01",
                "x-request-id",
                "traced-1");
        assertThat(answer.statusCode()).isEqualTo(200);
        var usage = new ObjectMapper().readTree(answer.body()).path("usage");

        List<Span> spans = spans(4);

        assertThat(spans)
                .extracting(Span::name)
                .containsExactlyInAnyOrder("queue", "prefill", "decode", "text_completion test-model");
        Span request = named(spans, "text_completion test-model");
        assertThat(spans).allSatisfy(span -> assertThat(span.traceId()).isEqualTo(TRACE));
        assertThat(request.parentId()).isEqualTo(CALLER);
        for (String part : List.of("queue", "prefill", "decode")) {
            assertThat(named(spans, part).parentId()).as(part).isEqualTo(request.id());
        }
        assertThat(request.attributes())
                .containsEntry("gen_ai.operation.name", "text_completion")
                .containsEntry("gen_ai.provider.name", "weft")
                .containsEntry("gen_ai.request.model", "test-model")
                .containsEntry("gen_ai.request.max_tokens", 5L)
                .containsEntry("gen_ai.request.temperature", 0.5)
                .containsEntry("gen_ai.request.top_p", 0.25)
                .containsEntry("gen_ai.response.model", "test-model")
                .containsEntry("gen_ai.response.finish_reasons", List.of("length"))
                .containsEntry(
                        "gen_ai.usage.input_tokens", usage.path("prompt_tokens").longValue())
                .containsEntry("gen_ai.usage.output_tokens", 5L)
                .containsEntry("server.port", (long) root.getPort())
                .containsEntry("weft.request.id", "traced-1")
                .containsKey("server.address");
        inOrder(request, named(spans, "queue"), named(spans, "prefill"), named(spans, "decode"));
    }

    private static void inOrder(Span request, Span queue, Span prefill, Span decode) {
        assertThat(List.of(
                        request.startNanos(),
                        queue.startNanos(),
                        queue.endNanos(),
                        prefill.startNanos(),
                        prefill.endNanos(),
                        decode.startNanos(),
                        decode.endNanos(),
                        request.endNanos()))
                .isSorted();
        assertThat(prefill.startNanos()).isEqualTo(queue.endNanos());
        assertThat(decode.startNanos()).isEqualTo(prefill.endNanos());
    }

    private static Span named(List<Span> spans, String name) {
        return spans.stream()
                .filter(span -> span.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** The next spans that arrive; none holds the prompt. */
    private static List<Span> spans(int count) throws InterruptedException {
        List<Span> spans = new java.util.ArrayList<>();
        while (spans.size() < count) {
            byte[] message = RECEIVED.take();
            assertThat(new String(message, StandardCharsets.ISO_8859_1)).doesNotContain(SECRET);
            spans.addAll(OtlpMessage.spans(message));
        }
        return spans;
    }
}
