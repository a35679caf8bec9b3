package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.cache.CacheUsage;
import io.weft.engine.EngineStatus;
import jakarta.inject.Inject;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Random requests over 64 connections at once, some of which leave in the middle of an answer: every answer is what the
 * request gets alone, nothing but 429 and 503 is refused, and afterwards nothing is held. A run follows from its seed.
 */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class ServiceSoakTest {
    private static final int SHORT_RUN = 200;
    private static final int SOAK = Integer.getInteger("weft.soak.requests", 10_000);
    private static final long SEED = Long.getLong("weft.soak.seed", 20_261_130);
    private static final int CONNECTIONS = 64;
    private static final int KINDS = 40;

    @TestHTTPResource("/")
    URI root;

    @Inject
    TestService service;

    /**
     * A request and its right answer.
     *
     * @param texts of the choices
     */
    private record Kind(String path, ObjectNode body, List<String> texts) {
        String body(boolean streamed) {
            return body.deepCopy().put("stream", streamed).toString();
        }
    }

    @Test
    void answersDoNotDependOnTheOthers() throws Exception {
        run(SHORT_RUN);
    }

    @Test
    @Tag("soak")
    void soak() throws Exception {
        run(SOAK);
    }

    private void run(int requests) throws Exception {
        ApiClient api = new ApiClient(root);
        Random random = new Random(SEED);
        List<Kind> kinds = new ArrayList<>();
        for (int i = 0; i < KINDS; i++) {
            kinds.add(kind(api, random));
        }
        try (ExecutorService connections =
                Executors.newFixedThreadPool(CONNECTIONS, Thread.ofVirtual().factory())) {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < requests; i++) {
                Kind kind = kinds.get(random.nextInt(KINDS));
                boolean streamed = random.nextBoolean();
                boolean leaves = random.nextInt(10) == 0;
                all.add(connections.submit(() -> {
                    if (leaves) {
                        leave(kind);
                    } else {
                        check(api, kind, streamed);
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get();
            }
        }
        OperationsTest.await(
                "an empty engine",
                () -> service.batchingEngine().status() instanceof EngineStatus.Serving serving
                        && serving.running() == 0
                        && serving.waiting() == 0);
        OperationsTest.await("an empty cache", () -> {
            CacheUsage usage = service.cacheUsage();
            return usage.open().usedBytes()
                            + usage.host().usedBytes()
                            + usage.device().usedBytes()
                    == 0;
        });
    }

    private static Kind kind(ApiClient api, Random random) throws IOException, InterruptedException {
        ObjectNode body = ApiClient.JSON.createObjectNode();
        StringBuilder prompt = new StringBuilder();
        int words = 1 + random.nextInt(random.nextInt(4) == 0 ? 60 : 8);
        for (int i = 0; i < words; i++) {
            prompt.append(
                    List.of("the ", "king ", "é😀 ", "was\n", "42 ", "dark ").get(random.nextInt(6)));
        }
        body.put("prompt", prompt.toString());
        body.put("max_tokens", 1 + random.nextInt(24));
        body.put("temperature", random.nextBoolean() ? 0 : 0.9);
        body.put("seed", random.nextInt());
        body.put("n", 1 + random.nextInt(3));
        if (random.nextInt(4) == 0) {
            body.put("logprobs", random.nextInt(3));
        }
        if (random.nextInt(4) == 0) {
            body.put("stop", " the");
        }
        if (random.nextInt(4) == 0) {
            body.put("repetition_penalty", 1.2);
        }
        String path = "/v1/completions";
        List<String> texts = new ArrayList<>();
        api.answer(path, body.toString())
                .path("choices")
                .forEach(choice -> texts.add(choice.path("text").asText()));
        return new Kind(path, body, texts);
    }

    private static void check(ApiClient api, Kind kind, boolean streamed) throws IOException, InterruptedException {
        HttpResponse<String> response = api.post(kind.path(), kind.body(streamed));
        if (response.statusCode() == 429 || response.statusCode() == 503) {
            return;
        }
        assertThat(response.statusCode()).isEqualTo(200);
        List<String> texts = new ArrayList<>();
        if (streamed) {
            List<JsonNode> chunks = ApiClient.chunks(response.body());
            for (int choice = 0; choice < kind.texts().size(); choice++) {
                texts.add(ApiClient.streamedText(chunks, choice));
            }
        } else {
            ApiClient.json(response.body())
                    .path("choices")
                    .forEach(choice -> texts.add(choice.path("text").asText()));
        }
        assertThat(texts).isEqualTo(kind.texts());
    }

    /** Reads a part of the answer, and goes. */
    private void leave(Kind kind) throws IOException {
        byte[] body = kind.body(true).getBytes(StandardCharsets.UTF_8);
        try (Socket socket = new Socket(root.getHost(), root.getPort())) {
            String head =
                    "POST %s HTTP/1.1\r\nHost: weft\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                            .formatted(kind.path(), body.length);
            socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
            socket.getOutputStream().write(body);
            InputStream answer = socket.getInputStream();
            assertThat(answer.readNBytes(20)).startsWith("HTTP/1.1 ".getBytes(StandardCharsets.US_ASCII));
        }
    }
}
