package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.cache.CacheUsage;
import io.weft.engine.EngineStatus;
import jakarta.inject.Inject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Models, tokens, health, metrics, and clients that go away. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class OperationsTest {
    /** Only what hangs takes so long. */
    static final Duration HANG = Duration.ofMinutes(10);

    /** Less than a test may take, so that it says what it has waited for. */
    private static final Duration AWAITED_MOST = Duration.ofMinutes(5);

    @TestHTTPResource("/")
    URI root;

    @Inject
    TestService service;

    @Inject
    MeterRegistry metrics;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    @AfterEach
    void letStepsRun() {
        service.letStepsRun();
    }

    static void await(String what, BooleanSupplier condition) throws InterruptedException {
        await(what, condition, () -> "");
    }

    /** Until a number is so large. */
    static void await(String what, DoubleSupplier number, double wanted) throws InterruptedException {
        await(
                what,
                () -> number.getAsDouble() == wanted,
                () -> ": it is " + number.getAsDouble() + ", must be " + wanted);
    }

    /** @param seen what there is instead, for the message */
    private static void await(String what, BooleanSupplier condition, Supplier<String> seen)
            throws InterruptedException {
        long deadline = System.nanoTime() + AWAITED_MOST.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not in time: " + what + seen.get());
            }
            Thread.sleep(10);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/models", "/v1//models", "//v1/models", "/v1///models"})
    void models(String path) throws Exception {
        HttpResponse<String> response = api.get(path);

        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.body())
                .isEqualTo(
                        "{\"object\":\"list\",\"data\":[{\"id\":\"test-model\",\"object\":\"model\",\"created\":0,\"owned_by\":\"weft\",\"max_model_len\":512}]}");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/models/test-model", "/v1/models//test-model"})
    void oneModel(String path) throws Exception {
        assertThat(ApiClient.json(api.get(path).body()).path("id").textValue()).isEqualTo("test-model");
    }

    @Test
    void aDoubledSlashInAPost() throws Exception {
        JsonNode answer = api.answer("/v1//completions", "{\"prompt\":\"a\",\"max_tokens\":1}");

        assertThat(answer.path("choices")).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"The king", "", "héllo \uD83D\uDE00 world", "</s> is no token here", " two  spaces\n\n"})
    void tokensAndBack(String text) throws Exception {
        String prompt = ApiClient.JSON.writeValueAsString(text);
        JsonNode tokens = api.answer(
                "/tokenize", "{\"prompt\":" + prompt + ",\"add_special_tokens\":false,\"return_token_strs\":true}");

        assertThat(tokens.path("count").intValue())
                .isEqualTo(tokens.path("tokens").size())
                .isEqualTo(tokens.path("token_strs").size());
        assertThat(tokens.path("max_model_len").intValue()).isEqualTo(TestService.CONTEXT_TOKENS);
        assertThat(api.answer("/detokenize", "{\"tokens\":" + tokens.path("tokens") + "}")
                        .path("prompt")
                        .textValue())
                .isEqualTo(text);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/health", "/q/health/started", "/q/health/ready", "/q/health/live", "/q//health/live"})
    void healthWhileServing(String path) throws Exception {
        HttpResponse<String> response = api.get(path);

        assertThat(response.statusCode()).isEqualTo(200);
        JsonNode health = ApiClient.json(response.body());
        assertThat(health.path("status").textValue()).isEqualTo("UP");
        JsonNode engine = ApiClient.engineHealth(response.body());
        assertThat(engine.path("state").textValue()).isEqualTo("serving");
        assertThat(engine.path("queueLimit").intValue()).isEqualTo(64);
    }

    private double count(String reason) {
        return metrics.counter("weft.request.success", "finished_reason", reason)
                .count();
    }

    @Test
    void metricsCountRequestsAndTokens() throws Exception {
        double lengths = count("length");
        double stops = count("stop");
        double prompts = metrics.counter("weft.prompt.tokens").count();
        double generated = metrics.counter("weft.generation.tokens").count();
        long first = metrics.timer("weft.time.to.first.token").count();
        long queued = metrics.timer("weft.request.queue.time").count();
        long between = metrics.timer("weft.inter.token.latency").count();

        api.answer("/v1/completions", "{\"prompt\":[5,6,7],\"max_tokens\":6,\"ignore_eos\":true}");
        api.post(
                "/v1/completions",
                "{\"prompt\":[5],\"max_tokens\":4,\"stop\":[\"\\\"\",\"a\",\"e\",\" \"],\"stream\":true,\"n\":2}");
        api.post("/v1/completions", "{\"prompt\":[5],\"max_tokens\":4000}");

        assertThat(count("length") + count("stop") - lengths - stops).isEqualTo(3);
        assertThat(count("error")).isZero();
        assertThat(metrics.counter("weft.prompt.tokens").count() - prompts).isEqualTo(5);
        double tokens = metrics.counter("weft.generation.tokens").count() - generated;
        assertThat(tokens).isBetween(8.0, 14.0);
        assertThat(metrics.timer("weft.time.to.first.token").count() - first).isEqualTo(3);
        assertThat(metrics.timer("weft.request.queue.time").count() - queued).isEqualTo(3);
        assertThat(metrics.timer("weft.inter.token.latency").count() - between).isEqualTo((long) tokens - 3);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/metrics", "/q/metrics"})
    void metricsHaveTheNamesOfDashboards(String path) throws Exception {
        HttpResponse<String> response = api.get(path, "Accept", "text/plain");

        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.body())
                .contains(
                        "\nweft_num_requests_running",
                        "\nweft_num_requests_waiting",
                        "\nweft_request_queue_time_seconds_bucket",
                        "\nweft_time_to_first_token_seconds_bucket",
                        "\nweft_inter_token_latency_seconds_bucket",
                        "\nweft_e2e_request_latency_seconds_bucket",
                        "\nweft_prompt_tokens_total",
                        "\nweft_generation_tokens_total",
                        "\nweft_request_success_total{finished_reason=\"stop\"");
    }

    @Test
    void theApiDescribesItself() throws Exception {
        JsonNode document = ApiClient.json(
                api.get("/q/openapi", "Accept", "application/json").body());

        for (String path : List.of("/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages")) {
            assertThat(document.path("paths").path(path).at("/post/responses/200/content"))
                    .hasSize(2);
        }
        JsonNode schemas = document.at("/components/schemas");
        // What two requests share stands in each of them, as on the wire.
        for (String request : List.of("CompletionRequest", "ChatRequest")) {
            assertThat(schemas.path(request)
                            .at("/properties/max_tokens/minimum")
                            .intValue())
                    .isZero();
            assertThat(schemas.path(request).path("properties").has("fields")).isFalse();
        }
        assertThat(schemas.path("CompletionRequest").path("properties").has("given"))
                .isFalse();
        assertThat(schemas.at("/PromptInput/oneOf")).hasSize(4);
        assertThat(schemas.has("JsonNode")).isFalse();
    }

    /** Of each path that needs the key. */
    @Test
    void theApiDescribesItsKeyAndErrors() throws Exception {
        HttpResponse<String> response = api.get("/openapi.json");
        assertThat(response.headers().firstValue("content-type").orElseThrow()).startsWith("application/json");
        JsonNode document = ApiClient.json(response.body());

        assertThat(document.at("/components/securitySchemes/key/scheme").textValue())
                .isEqualTo("bearer");
        assertThat(document.at("/components/schemas/Error/properties/error/required"))
                .hasSize(4);
        assertThat(document.path("paths")
                        .propertyStream()
                        .map(Map.Entry::getKey)
                        .toList())
                .contains(
                        "/v1/completions",
                        "/v1/chat/completions",
                        "/v1/models",
                        "/tokenize",
                        "/detokenize",
                        "/version");
        document.path("paths")
                .forEachEntry((path, item) -> item.forEachEntry((method, operation) -> {
                    if (path.equals("/version")) {
                        assertThat(operation.has("security")).isFalse();
                        return;
                    }
                    assertThat(operation.path("security").toString()).isEqualTo("[{\"key\":[]},{\"header\":[]},{}]");
                    List<String> statuses = method.equals("post")
                            ? List.of("200", "400", "401", "404", "408", "413", "415", "429", "500", "503")
                            : List.of("200", "401", "404", "429", "500", "503");
                    assertThat(operation.path("responses").propertyStream().map(Map.Entry::getKey))
                            .as(method + " " + path)
                            .containsAll(statuses);
                    assertThat(operation
                                    .at("/responses/503/content/application~1json/schema/$ref")
                                    .textValue())
                            .isEqualTo("#/components/schemas/"
                                    + (path.startsWith("/v1/messages") ? "MessageError" : "Error"));
                }));
    }

    @Test
    void whatPeersAreAskedToo() throws Exception {
        assertThat(api.get("/ping").statusCode()).isEqualTo(200);
        assertThat(api.post("/ping", "").statusCode()).isEqualTo(200);
        assertThat(api.post("/health", "").statusCode()).isEqualTo(405);
        JsonNode version = ApiClient.json(api.get("/version").body());
        assertThat(version.propertyStream().map(Map.Entry::getKey)).containsExactly("version");
        assertThat(version.path("version").textValue()).matches("\\d+\\.\\d+.*");
    }

    /** With most of the tokens still to come. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aClientThatGoesAwayFreesItsBlocks(boolean stream) throws Exception {
        double aborts = count("abort");
        double lengths = count("length");
        double generated = metrics.counter("weft.generation.tokens").count();
        String body = "{\"prompt\":[5,6,7],\"max_tokens\":500,\"ignore_eos\":true,\"n\":2,\"stream\":" + stream + "}";
        service.holdStepsAfter(8);
        try (Socket socket = new Socket(root.getHost(), root.getPort())) {
            String head =
                    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                            + body.length() + "\r\n\r\n";
            socket.getOutputStream().write((head + body).getBytes(StandardCharsets.US_ASCII));
            if (stream) {
                BufferedReader lines =
                        new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
                while (!lines.readLine().startsWith("data: ")) {
                    // The head, and sizes of chunks.
                }
            } else {
                await("tokens", () -> metrics.counter("weft.generation.tokens").count() > generated + 4);
            }
        }

        await("both choices are cancelled", () -> count("abort"), aborts + 2);
        service.letStepsRun();
        await(
                "nothing runs",
                () -> service.batchingEngine().status() instanceof EngineStatus.Serving serving
                        && serving.running() == 0
                        && serving.waiting() == 0);
        CacheUsage usage = service.cacheUsage();
        assertThat(List.of(usage.open(), usage.device(), usage.host())).allMatch(pool -> pool.usedBytes() == 0);
        assertThat(count("length")).isEqualTo(lengths);
    }

    @Test
    void aRequestWhoseTimeoutIsOverEndsWithThat() throws Exception {
        service.holdStepsAfter(0);
        CompletableFuture<HttpResponse<String>> late = api.postAsync(
                "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":100,\"timeout\":0.001,\"ignore_eos\":true}");
        // On a busy machine its time may be over in the queue.
        await(
                "a step",
                () -> late.isDone()
                        || (service.batchingEngine().status() instanceof EngineStatus.Serving serving
                                && serving.running() == 1));
        Thread.sleep(2);
        service.letStepsRun();
        HttpResponse<String> response = late.get();
        assertThat(response.statusCode()).isEqualTo(408);
        assertThat(ApiClient.json(response.body()).at("/error/code").textValue())
                .isEqualTo("timeout");
        assertThat(ApiClient.json(response.body()).at("/error/message").textValue())
                .startsWith("The request's timeout of 0.001 s is over");
    }
}
