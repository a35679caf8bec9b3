package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.engine.EngineStatus;
import jakarta.inject.Inject;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The life of a service that asks for a key: it starts, serves, fills up and drains. The order of the tests counts. */
@QuarkusTest
@TestProfile(ServiceProfile.Strict.class)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class StrictServiceTest {
    private static final String MESSAGE = "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}";
    private static final String[] KEY = {"Authorization", "Bearer " + ServiceProfile.Strict.KEY};
    /** Of more steps than {@link #aFullQueue} needs until the queue is full. */
    private static final String LONG = "{\"prompt\":[5],\"max_tokens\":40,\"ignore_eos\":true,\"stream\":true}";

    @TestHTTPResource("/")
    URI root;

    @Inject
    TestService service;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    @AfterEach
    void letStepsRun() {
        service.letStepsRun();
    }

    @ParameterizedTest
    @Order(1)
    @CsvSource({"/health, 503", "/q/health/started, 503", "/q/health/ready, 503", "/q/health/live, 200"})
    void healthWhileStarting(String path, int status) throws Exception {
        HttpResponse<String> response = api.get(path);

        assertThat(response.statusCode()).isEqualTo(status);
        JsonNode check = ApiClient.engineHealth(response.body());
        assertThat(check.path("state").textValue()).isEqualTo("starting");
        assertThat(check.path("phase").isTextual()).isTrue();
    }

    @Test
    @Order(1)
    void requestsWhileStarting() throws Exception {
        for (String body : List.of(LONG, "{\"prompt\":\"a\"}")) {
            assertUnavailable(api.post("/v1/completions", body, KEY), "starting");
        }
        assertUnavailable(api.post("/v1/responses", "{\"input\":\"a\"}", KEY), "starting");
        HttpResponse<String> message = api.post("/v1/messages", MESSAGE, KEY);
        assertUnavailable(message, "starting");
        assertThat(ApiClient.json(message.body()).at("/error/type").textValue()).isEqualTo("overloaded_error");
        assertUnavailable(api.get("/v1/models", KEY), "starting");
        for (String path : List.of("/weft/v1/plan", "/weft/v1/profile", "/weft/v1/timeline")) {
            assertUnavailable(api.get(path, KEY), "starting");
        }
        assertUnavailable(api.post("/weft/v1/plan", "{}", KEY), "starting");
    }

    @Test
    @Order(1)
    void theStatusWhileStarting() throws Exception {
        HttpResponse<String> response = api.get("/weft/v1/status", KEY);

        assertThat(response.statusCode()).isEqualTo(200);
        JsonNode status = ApiClient.json(response.body());
        assertThat(status.path("state").textValue()).isEqualTo("starting");
        assertThat(status.path("detail").isTextual()).isTrue();
        assertThat(status.path("running").intValue()).isZero();
        assertThat(status.path("last_timed_step").isNull()).isTrue();
    }

    private static void assertUnavailable(HttpResponse<String> response, String why) {
        assertThat(response.statusCode()).isEqualTo(503);
        assertThat(response.headers().firstValue("retry-after")).hasValue("1");
        assertThat(ApiClient.json(response.body()).at("/error/message").textValue())
                .contains(why);
    }

    @ParameterizedTest
    @Order(2)
    @ValueSource(
            strings = {
                "",
                "Bearer",
                "Bearer ",
                "Bearer wrong",
                "Bearer a key, not to be tol",
                "Basic a key, not to be told"
            })
    void withoutTheKey(String header) throws Exception {
        String[] headers = header.isEmpty() ? new String[0] : new String[] {"Authorization", header};
        List<HttpResponse<String>> responses = List.of(
                api.get("/v1/models", headers),
                api.get("/v1//models", headers),
                api.get("/v1/models/test-model", headers),
                api.post("/v1/completions", "{\"prompt\":\"a\"}", headers),
                api.post("/v1/completions", "malformed", headers),
                api.post("/v1/chat/completions", "{}", headers),
                api.post("/v1/responses", "{}", headers),
                api.get("/v1/responses/resp_1", headers),
                api.post("/tokenize", "{\"prompt\":\"a\"}", headers),
                api.post("/detokenize", "{\"tokens\":[5]}", headers),
                api.get("/weft/v1/plan", headers),
                api.post("/weft/v1/plan", "{}", headers),
                api.get("/weft/v1/profile", headers),
                api.get("/weft/v1/status", headers),
                api.get("/weft/v1/timeline", headers));
        for (HttpResponse<String> response : responses) {
            assertThat(response.statusCode()).as(response.uri().toString()).isEqualTo(401);
            assertThat(response.headers().firstValue("www-authenticate")).hasValue("Bearer");
            assertThat(ApiClient.json(response.body()).at("/error/code").textValue())
                    .isEqualTo("invalid_api_key");
            assertThat(response.body()).doesNotContain(ServiceProfile.Strict.KEY);
        }
        for (String path : List.of("/v1/messages", "/v1/messages/count_tokens")) {
            HttpResponse<String> message = api.post(path, MESSAGE, headers);
            assertThat(message.statusCode()).isEqualTo(401);
            assertThat(ApiClient.json(message.body()).path("type").textValue()).isEqualTo("error");
            assertThat(ApiClient.json(message.body()).at("/error/type").textValue())
                    .isEqualTo("authentication_error");
        }
        assertThat(api.get("/metrics").statusCode()).isEqualTo(200);
        // It has to ask for the key.
        assertThat(api.get("/").statusCode()).isEqualTo(200);
    }

    /** Whatever the path looks like. */
    @ParameterizedTest
    @Order(2)
    @ValueSource(strings = {"/%74okenize", "/x/../tokenize", "/tokenize;a=b", "//tokenize", "/./tokenize"})
    void otherSpellingsOfAPathNeedTheKeyToo(String path) throws Exception {
        try (RawClient client = new RawClient(root)) {
            client.send(RawClient.head(path, "Content-Length: 14") + "{\"prompt\":\"a\"}");

            assertThat(client.readAnswer()).containsPattern("^HTTP/1.1 40[14]");
        }
    }

    @Test
    @Order(3)
    void itServesOnceLoaded() throws Exception {
        service.openGate();
        service.batchingEngine().awaitServing();

        assertThat(api.get("/q/health/started").statusCode()).isEqualTo(200);
        assertThat(api.get("/health").statusCode()).isEqualTo(200);
        assertThat(api.get("/v1/models", KEY).statusCode()).isEqualTo(200);
        assertThat(api.get("/v1/models", "Authorization", "bearer " + ServiceProfile.Strict.KEY)
                        .statusCode())
                .isEqualTo(200);
        // As Anthropic's clients send it.
        assertThat(api.post("/v1/messages", MESSAGE, "x-api-key", ServiceProfile.Strict.KEY)
                        .statusCode())
                .isEqualTo(200);
        assertThat(api.post("/v1/messages", MESSAGE, "x-api-key", "wrong").statusCode())
                .isEqualTo(401);
    }

    /** As many as run and wait fit an idle service; more never will, so that trying again is no use. */
    @Test
    @Order(4)
    void choicesThatRunAndWait() throws Exception {
        String request = "{\"prompt\":[5],\"max_tokens\":1,\"n\":%d}";
        int most = TestService.SEQUENCES + 1;

        HttpResponse<String> taken = api.post("/v1/completions", request.formatted(most), KEY);
        HttpResponse<String> refused = api.post("/v1/completions", request.formatted(most + 1), KEY);

        assertThat(taken.statusCode()).as(taken.body()).isEqualTo(200);
        assertThat(refused.statusCode()).isEqualTo(400);
        assertThat(ApiClient.json(refused.body()).at("/error/message").textValue())
                .isEqualTo("n is 10 for each of the prompts, 1: that makes 10 choices, there may be"
                        + " 8 that run (weft.max-sequences) and 1 that wait (weft.queue-limit) at most.");
    }

    /** One more than runs may wait; who comes then is told when to come again. */
    @Test
    @Order(5)
    void aFullQueue() throws Exception {
        List<CompletableFuture<HttpResponse<String>>> admitted = new ArrayList<>();
        // Who comes is admitted after the step at hand.
        service.holdStepsAfter(0);
        while (admitted.size() < TestService.SEQUENCES) {
            admitted.add(api.postAsync("/v1/completions", LONG, KEY));
            int expected = admitted.size();
            OperationsTest.await("request " + expected + " came", () -> running() + waiting(), expected);
            service.holdStepsAfter(1);
            OperationsTest.await("request " + expected + " runs", this::running, expected);
        }
        admitted.add(api.postAsync("/v1/completions", LONG, KEY));
        OperationsTest.await("one waits", this::waiting, 1);

        HttpResponse<String> refused = api.post("/v1/completions", LONG, KEY);
        HttpResponse<String> message = api.post("/v1/messages", MESSAGE, KEY);
        HttpResponse<String> ready = api.get("/health");
        HttpResponse<String> live = api.get("/q/health/live");

        assertThat(refused.statusCode()).isEqualTo(429);
        assertThat(refused.headers().firstValue("retry-after")).hasValue("1");
        assertThat(ApiClient.json(refused.body()).at("/error/code").textValue()).isEqualTo("queue_full");
        assertThat(message.statusCode()).isEqualTo(429);
        assertThat(ApiClient.json(message.body()).at("/error/type").textValue()).isEqualTo("rate_limit_error");
        assertThat(ready.statusCode()).isEqualTo(503);
        assertThat(live.statusCode()).isEqualTo(200);
        service.letStepsRun();
        for (CompletableFuture<HttpResponse<String>> response : admitted) {
            assertThat(ApiClient.chunks(response.join().body())).hasSize(40);
        }
    }

    private int running() {
        return service.batchingEngine().status() instanceof EngineStatus.Serving serving ? serving.running() : 0;
    }

    private int waiting() {
        return service.batchingEngine().status() instanceof EngineStatus.Serving serving ? serving.waiting() : 0;
    }

    @Test
    @Order(6)
    void itDrains() throws Exception {
        service.batchingEngine().drain(OperationsTest.HANG);

        assertUnavailable(api.post("/v1/completions", LONG, KEY), "shutting down");
        assertThat(api.get("/health").statusCode()).isEqualTo(503);
        assertThat(ApiClient.engineHealth(api.get("/q/health/ready").body())
                        .path("state")
                        .textValue())
                .isEqualTo("draining");
        assertThat(api.get("/q/health/started").statusCode()).isEqualTo(200);
        assertThat(api.get("/q/health/live").statusCode()).isEqualTo(200);
        assertThat(ApiClient.json(api.get("/weft/v1/status", KEY).body())
                        .path("state")
                        .textValue())
                .isEqualTo("draining");
    }
}
