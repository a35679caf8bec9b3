package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.smallrye.mutiny.infrastructure.Infrastructure;
import io.weft.engine.DrivenEngine;
import io.weft.engine.EngineFailedException;
import jakarta.inject.Inject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The way of tokens from the engine to clients; the test makes the engine's steps. */
@QuarkusTest
@TestProfile(DrivenService.Profile.class)
class TokenPathTest {
    private static final String ENDLESS = "{\"prompt\":[5],\"max_tokens\":100000000,\"stream\":true}";
    private static final int TOKEN = 300;
    /** More than the service has threads for requests. */
    private static final int WORKERS = 500;

    @TestHTTPResource("/")
    URI root;

    @Inject
    DrivenEngine engine;

    @Inject
    MeterRegistry metrics;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    @AfterEach
    void finish() {
        engine.finish();
    }

    private void awaitRunning(int requests) throws InterruptedException {
        OperationsTest.await(requests + " run", () -> engine.running().size(), requests);
    }

    private double count(String name, String... tags) {
        return metrics.counter(name, tags).count();
    }

    /** Asks for a stream on a socket that holds little. */
    private Socket ask(String body) throws Exception {
        Socket socket = new Socket();
        socket.setReceiveBufferSize(4096);
        socket.connect(new InetSocketAddress(root.getHost(), root.getPort()));
        String head =
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
                        + "Content-Length: " + body.length() + "\r\n\r\n";
        socket.getOutputStream().write((head + body).getBytes(StandardCharsets.US_ASCII));
        return socket;
    }

    private static String rest(Socket socket) throws Exception {
        return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8))
                .lines()
                .collect(Collectors.joining("\n"));
    }

    @Test
    void aClientThatDoesNotReadIsEnded() throws Exception {
        double slow = count("weft.slow.readers");
        double aborted = count("weft.request.success", "finished_reason", "abort");
        try (Socket socket = ask(ENDLESS)) {
            awaitRunning(1);

            // Its end is seen by the engine: the seat is free.
            while (!engine.running().isEmpty()) {
                engine.step(TOKEN);
            }

            assertThat(count("weft.slow.readers")).isEqualTo(slow + 1);
            assertThat(count("weft.request.success", "finished_reason", "abort"))
                    .isEqualTo(aborted + 1);
            assertThat(rest(socket))
                    .contains("event: error\ndata: {\"error\":", "\"code\":\"slow_reader\"", "data: [DONE]");
        }
    }

    @Test
    void tokensFlowWhileAllWorkersAreBusy() throws Exception {
        CountDownLatch over = new CountDownLatch(1);
        CompletableFuture<HttpResponse<String>> stream =
                api.postAsync("/v1/completions", "{\"prompt\":[5],\"max_tokens\":3,\"stream\":true}");
        CompletableFuture<HttpResponse<String>> whole =
                api.postAsync("/v1/completions", "{\"prompt\":[5],\"max_tokens\":3}");
        awaitRunning(2);
        try {
            for (int i = 0; i < WORKERS; i++) {
                Infrastructure.getDefaultExecutor().execute(() -> {
                    try {
                        over.await();
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                });
            }
            for (int i = 0; i < 3; i++) {
                engine.step(TOKEN);
            }

            assertThat(ApiClient.chunks(stream.join().body())).hasSize(3);
            assertThat(ApiClient.json(whole.join().body())
                            .at("/choices/0/finish_reason")
                            .textValue())
                    .isEqualTo("length");
        } finally {
            over.countDown();
        }
    }

    @Test
    void aFailureBeforeTheFirstTokenHasItsStatus() throws Exception {
        List<CompletableFuture<HttpResponse<String>>> responses = List.of(
                api.postAsync("/v1/completions", ENDLESS),
                api.postAsync("/v1/completions", "{\"prompt\":[5],\"max_tokens\":3}"));
        awaitRunning(2);

        engine.fail(new EngineFailedException("link lost", null));

        for (CompletableFuture<HttpResponse<String>> response : responses) {
            assertThat(response.join().statusCode()).isEqualTo(503);
            assertThat(ApiClient.json(response.join().body()).at("/error/code").textValue())
                    .isEqualTo("engine_failed");
        }
    }

    @Test
    void aFailureAfterTheFirstTokenIsAnEvent() throws Exception {
        CompletableFuture<HttpResponse<String>> stream = api.postAsync("/v1/completions", ENDLESS);
        CompletableFuture<HttpResponse<String>> whole =
                api.postAsync("/v1/completions", "{\"prompt\":[5],\"max_tokens\":3}");
        awaitRunning(2);
        engine.step(TOKEN);

        engine.fail(new EngineFailedException("link lost", null));

        assertThat(stream.join().statusCode()).isEqualTo(200);
        assertThat(stream.join().body())
                .startsWith("data: {\"id\":")
                .contains("\n\nevent: error\ndata: {\"error\":{\"message\":\"The service is out of order: link lost\"")
                .endsWith("\n\ndata: [DONE]\n\n");
        assertThat(whole.join().statusCode()).isEqualTo(503);
    }

    @Test
    void aClientThatLeavesEndsAllItsChoices() throws Exception {
        double aborted = count("weft.request.success", "finished_reason", "abort");
        try (Socket socket = ask("{\"prompt\":[5],\"max_tokens\":1000,\"n\":5,\"stream\":true}")) {
            awaitRunning(5);
            engine.step(TOKEN);
            assertThat(socket.isConnected()).isTrue();
        }

        awaitRunning(0);
        OperationsTest.await(
                "all are counted", () -> count("weft.request.success", "finished_reason", "abort"), aborted + 5);
    }

    /** Nobody waits for the next step with what is over. */
    @Test
    void theEndComesWithTheLastStep() throws Exception {
        List<CompletableFuture<HttpResponse<String>>> streams = IntStream.range(0, 40)
                .mapToObj(i -> api.postAsync(
                        "/v1/completions", "{\"prompt\":[5],\"max_tokens\":%d,\"stream\":true}".formatted(1 + i % 7)))
                .toList();
        awaitRunning(40);

        for (int i = 0; i < 7; i++) {
            engine.step(TOKEN + i);
        }

        for (int i = 0; i < 40; i++) {
            assertThat(ApiClient.chunks(streams.get(i).join().body())).hasSize(1 + i % 7);
        }
    }
}
