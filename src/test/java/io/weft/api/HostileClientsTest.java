package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import jakarta.inject.Inject;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Clients that send half of what they should, or what they should not: nobody else notices. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class HostileClientsTest {
    private static final String COMPLETION = "{\"prompt\":\"a\",\"max_tokens\":2}";
    /** More than there are worker threads. */
    private static final int CLIENTS = 220;

    @TestHTTPResource("/")
    URI root;

    @Inject
    MeterRegistry metrics;

    @Inject
    TestService service;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    /** Whatever a test did, no body stays. */
    @AfterEach
    void noBodyStays() throws InterruptedException {
        OperationsTest.await("no memory of bodies", this::bodyBytes, 0);
    }

    private double bodyBytes() {
        return metrics.get("weft.body.memory.used").gauge().value();
    }

    private double connections() {
        return metrics.get("weft.connections").gauge().value();
    }

    private void assertServes() throws Exception {
        for (String path : List.of("/q/health/live", "/q/health/ready", "/health", "/metrics", "/v1/models")) {
            assertThat(api.get(path).statusCode()).as(path).isEqualTo(200);
        }
        assertThat(api.post("/v1/completions", COMPLETION).statusCode()).isEqualTo(200);
    }

    /** In chunks or of a length, after none to some bytes. */
    @Test
    void halfSentBodies() throws Exception {
        Random random = new Random(14);
        CompletableFuture<HttpResponse<String>> stream = api.postAsync(
                "/v1/completions", "{\"prompt\":[5],\"max_tokens\":300,\"ignore_eos\":true,\"stream\":true}");
        List<RawClient> clients = new ArrayList<>();
        try {
            for (int i = 0; i < CLIENTS; i++) {
                RawClient client = new RawClient(root);
                clients.add(client);
                client.send(
                        random.nextBoolean()
                                ? RawClient.halfSent(100_000) + "a".repeat(random.nextInt(2000))
                                : RawClient.head("/v1/chat/completions", "Transfer-Encoding: chunked")
                                        + "1\r\n{\r\n".repeat(random.nextInt(100)));
            }
            OperationsTest.await("all are connected", () -> connections() >= CLIENTS);

            assertServes();
            assertThat(ApiClient.chunks(stream.join().body())).hasSize(300);
        } finally {
            for (RawClient client : clients) {
                client.close();
            }
        }
    }

    @Test
    void halfSentBodiesOnOneConnection() throws Exception {
        try (RawClient client = new RawClient(root)) {
            client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            client.send(RawClient.frame(4, 0, 0, new byte[0]));
            ByteArrayOutputStream head = new ByteArrayOutputStream();
            for (String[] header : new String[][] {
                {":method", "POST"},
                {":scheme", "http"},
                {":path", "/v1/completions"},
                {":authority", "x"},
                {"content-type", "application/json"},
                {"content-length", "100000"}
            }) {
                head.writeBytes(RawClient.literal(header[0], header[1]));
            }
            for (int stream = 1; stream < 2 * CLIENTS; stream += 2) {
                client.send(RawClient.frame(1, 4, stream, head.toByteArray()));
                client.send(RawClient.frame(0, 0, stream, "{\"prompt\":\"".getBytes(StandardCharsets.US_ASCII)));
            }
            OperationsTest.await("bodies have begun", () -> bodyBytes() > 0);

            assertServes();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aClientThatLeavesInTheMiddleIsNoProblem(boolean politely) throws Exception {
        try (LoggedProblems problems = new LoggedProblems()) {
            for (String head : List.of(
                    RawClient.halfSent(1000),
                    RawClient.head("/tokenize", "Transfer-Encoding: chunked") + "5\r\n{\"pro\r\n",
                    RawClient.head("/v1/completions", "Content-Length: 29").replace("\r\n\r\n", ""))) {
                RawClient client = new RawClient(root);
                client.send(head);
                if (politely) {
                    client.endSending();
                    assertThat(client.readToEnd()).isEmpty();
                }
                client.close();
            }
            OperationsTest.await("no memory of bodies", this::bodyBytes, 0);
            assertServes();

            assertThat(problems.lines()).isEmpty();
        }
    }

    @Test
    void aBodyWithATrailer() throws Exception {
        try (RawClient client = new RawClient(root)) {
            client.send(RawClient.head("/tokenize", "Transfer-Encoding: chunked", "Trailer: X-Sum"));
            client.send("d\r\n{\"prompt\":\"a\"\r\n1\r\n}\r\n0\r\nX-Sum: 1\r\n\r\n");

            assertThat(client.readAnswer()).startsWith("HTTP/1.1 200").contains("\"count\":");
        }
    }

    @Test
    void aClientThatAsksBeforeItSends() throws Exception {
        try (RawClient client = new RawClient(root)) {
            client.send(RawClient.head("/tokenize", "Expect: 100-continue", "Content-Length: 14"));
            assertThat(client.readAnswer()).startsWith("HTTP/1.1 100");
            client.send("{\"prompt\":\"a\"}");

            assertThat(client.readAnswer()).startsWith("HTTP/1.1 200").contains("\"count\":");
        }
    }

    static Stream<Arguments> heads() {
        String host = "\r\nHost: x\r\n";
        return Stream.of(
                Arguments.of("GET /v1/models HTTP/1.1\r\n", 400, "Host"),
                Arguments.of("GET /v1/models HTTP/1.1\r\nHost: a b:c\r\n", 400, "Host"),
                Arguments.of("GET /v1/models HTTP/x.y" + host, 400, "line"),
                Arguments.of("PRIVATE" + host, 400, "line"),
                Arguments.of("GET /v1/models HTTP/1.1" + host + "no header\r\n", 400, "headers"),
                Arguments.of("POST /tokenize HTTP/1.1" + host + "Content-Length: many\r\n", 400, "headers"),
                Arguments.of("GET /%zz HTTP/1.1" + host, 400, ""),
                Arguments.of("GET /" + "a".repeat(5000) + " HTTP/1.1" + host, 414, "4096 bytes"),
                Arguments.of(
                        "GET /v1/models HTTP/1.1" + host + "X-A: " + "a".repeat(30_000) + "\r\n", 431, "20480 bytes"),
                Arguments.of("GET /v1/models HTTP/1.1" + host + "X-A: a\r\n".repeat(5000), 431, "20480 bytes"));
    }

    /** Also in pieces, and after a request that was right. */
    @ParameterizedTest
    @MethodSource("heads")
    void headsThatCannotBeRead(String head, int status, String told) throws Exception {
        String right = "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n";
        for (List<String> sent : List.of(
                List.of(head + "\r\n"),
                List.of(head.substring(0, 1), head.substring(1, 9), head.substring(9) + "\r\n"),
                List.of(right, head + "\r\n"))) {
            try (LoggedProblems problems = new LoggedProblems();
                    RawClient client = new RawClient(root)) {
                for (String piece : sent) {
                    client.send(piece);
                    if (piece.equals(right)) {
                        assertThat(client.readAnswer()).startsWith("HTTP/1.1 200");
                    }
                }
                String answer = client.readAnswer();

                assertThat(answer).matches("(?s)HTTP/1.[01] " + status + ".*").containsIgnoringCase("x-request-id: ");
                JsonNode error = ApiClient.json(answer.substring(answer.indexOf("\r\n\r\n")))
                        .path("error");
                assertThat(error.path("type").textValue()).isEqualTo("invalid_request_error");
                assertThat(error.path("message").textValue()).contains(told).endsWith(".");
                assertThat(problems.lines()).isEmpty();
            }
        }
    }

    static Stream<Arguments> framedHeads() {
        return Stream.of(
                Arguments.of("/%zz", Map.of(), 400, "line"),
                Arguments.of("/v1/models?a|b", Map.of(), 400, "line"),
                Arguments.of("/v1/messages|", Map.of(), 400, "line"),
                Arguments.of("/" + "a".repeat(5000), Map.of(), 414, "4096 bytes"),
                Arguments.of("/v1/models", Map.of("x-a", "a".repeat(30_000)), 431, "20480 bytes"));
    }

    /** In HTTP/2, on a connection that is used before and after; by a client that knows the version, or that asks. */
    @ParameterizedTest
    @MethodSource("framedHeads")
    void headsOfFramesThatCannotBeRead(String path, Map<String, String> headers, int status, String told)
            throws Exception {
        for (boolean upgrades : new boolean[] {false, true}) {
            Vertx vertx = Vertx.vertx();
            try (LoggedProblems problems = new LoggedProblems()) {
                HttpClient client = vertx.createHttpClient(new HttpClientOptions()
                        .setProtocolVersion(HttpVersion.HTTP_2)
                        .setHttp2ClearTextUpgrade(upgrades)
                        .setHttp2MaxPoolSize(1));
                if (upgrades && status != 400) {
                    // Else the answer comes before the other version.
                    framed(client, "/v1/models", Map.of(), 200);
                }
                for (int i = 0; i < 2; i++) {
                    String body = framed(client, path, headers, status);
                    JsonNode error = ApiClient.json(body).path("error");
                    assertThat(error.path("type").textValue()).isEqualTo("invalid_request_error");
                    assertThat(error.path("message").textValue()).contains(told).endsWith(".");
                    assertThat(framed(client, "/v1/models", Map.of(), 200)).contains("\"data\"");
                }
                assertThat(problems.lines()).isEmpty();
            } finally {
                vertx.close().toCompletionStage().toCompletableFuture().join();
            }
        }
    }

    private String framed(HttpClient client, String path, Map<String, String> headers, int status) {
        return client.request(HttpMethod.GET, root.getPort(), root.getHost(), path)
                .compose(request -> {
                    headers.forEach(request::putHeader);
                    return request.send();
                })
                .compose(response -> {
                    assertThat(response.statusCode()).isEqualTo(status);
                    assertThat(response.version()).isEqualTo(HttpVersion.HTTP_2);
                    assertThat(response.getHeader("x-request-id")).isNotNull();
                    return response.body();
                })
                .toCompletionStage()
                .toCompletableFuture()
                .join()
                .toString();
    }

    /** The same end of what it sends comes from a client that is gone, so its request ends too. */
    @Test
    void aClientThatEndsSendingCountsAsGone() throws Exception {
        double aborted = aborted();
        service.holdStepsAfter(2);
        try (RawClient client = new RawClient(root)) {
            String body = "{\"prompt\":[5],\"max_tokens\":400,\"ignore_eos\":true,\"stream\":true}";
            client.send(RawClient.head("/v1/completions", "Content-Length: " + body.length()) + body);
            assertThat(client.readAnswer()).startsWith("HTTP/1.1 200");

            client.endSending();

            assertThat(client.readToEnd()).doesNotContain("[DONE]");
            OperationsTest.await("the request has ended", this::aborted, aborted + 1);
        } finally {
            service.letStepsRun();
        }
    }

    private double aborted() {
        return metrics.counter("weft.request.success", "finished_reason", "abort")
                .count();
    }
}
