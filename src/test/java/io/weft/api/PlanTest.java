package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Weft's own paths: plans, the profile, and what steps did. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class PlanTest {
    private static final String[] FIGURES = {
        "predicted_step_millis",
        "tokens_per_second",
        "bound_by",
        "tokens_by_form",
        "link_bytes_per_step",
        "recompute_flops_per_step",
        "alternatives",
        "largest_context",
        "largest_batch",
        "memory",
        "fits"
    };

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

    private JsonNode get(String path) throws Exception {
        HttpResponse<String> response = api.get(path);
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return ApiClient.json(response.body());
    }

    @Test
    void thePlanInForceIsThatOfFullBatches() throws Exception {
        JsonNode plan = get("/weft/v1/plan");

        for (String key : FIGURES) {
            assertThat(plan.has(key)).as(key).isTrue();
        }
        assertThat(plan.path("batch").intValue()).isEqualTo(TestService.SEQUENCES);
        assertThat(plan.path("context_tokens").intValue()).isEqualTo(TestService.CONTEXT_TOKENS);
        assertThat(plan.path("measured").booleanValue()).isTrue();
        assertThat(plan.path("fits").booleanValue()).isTrue();
        assertThat(plan.path("predicted_step_millis").doubleValue()).isPositive();
        long tokens = plan.path("tokens_by_form")
                .valueStream()
                .mapToLong(JsonNode::longValue)
                .sum();
        assertThat(tokens).isEqualTo((long) TestService.SEQUENCES * TestService.CONTEXT_TOKENS);
        assertThat(plan.path("alternatives").findValuesAsText("name"))
                .contains("resident", "full-transfer", "kvpr", "chunked");
    }

    @Test
    void nothingAskedIsWhatIsInForce() throws Exception {
        JsonNode asked = api.answer("/weft/v1/plan", "{}");

        assertThat(asked.path("batch").intValue()).isEqualTo(TestService.SEQUENCES);
        assertThat(asked.path("hardware")).isEqualTo(get("/weft/v1/plan").path("hardware"));
    }

    @Test
    void anotherMachineAnswersForAnotherModel() throws Exception {
        JsonNode slow = api.answer("/weft/v1/plan", question("\"link_gbps\":10,\"forms\":[\"host_kv\"]"));
        JsonNode fast = api.answer("/weft/v1/plan", question("\"link_gbps\":50,\"forms\":[\"host_kv\"]"));
        JsonNode roomy = api.answer("/weft/v1/plan", question("\"device_memory_bytes\":80000000000"));

        assertThat(slow.path("batch").intValue()).isEqualTo(64);
        assertThat(slow.path("context_tokens").intValue()).isEqualTo(1024);
        assertThat(slow.path("bound_by").textValue()).isEqualTo("link");
        assertThat(fast.path("predicted_step_millis").doubleValue())
                .isLessThan(slow.path("predicted_step_millis").doubleValue());
        assertThat(roomy.at("/memory/device_bytes").longValue()).isEqualTo(80_000_000_000L);
        assertThat(roomy.path("link_bytes_per_step").longValue())
                .isLessThan(fast.path("link_bytes_per_step").longValue());
    }

    @Test
    void aLossyEncodingIsPlannedWithItsForms() throws Exception {
        String memory = "\"device_memory_bytes\":40000000000,\"forms\":[\"host_%s\"],\"cache_encoding\":\"%s\"";
        JsonNode exact = api.answer("/weft/v1/plan", question(memory.formatted("kv", "exact")));
        JsonNode fp8 = api.answer("/weft/v1/plan", question(memory.formatted("fp8", "fp8")));

        assertThat(fp8.at("/tokens_by_form/host_fp8").longValue()).isEqualTo(64 * 1024);
        assertThat(fp8.path("link_bytes_per_step").doubleValue()
                        / exact.path("link_bytes_per_step").doubleValue())
                .isBetween(0.5, 0.53);
        assertThat(fp8.path("predicted_step_millis").doubleValue())
                .isLessThan(exact.path("predicted_step_millis").doubleValue());
    }

    private static String question(String more) {
        return "{\"preset\":\"opt-6.7b\",\"hardware\":\"a100-40g\",\"batch\":64,\"context_tokens\":1024," + more + "}";
    }

    @Test
    void whatDoesNotFitIsAnAnswer() throws Exception {
        JsonNode plan = api.answer("/weft/v1/plan", question("\"host_memory_bytes\":0"));

        assertThat(plan.path("fits").booleanValue()).isFalse();
        assertThat(plan.path("shortages").findValuesAsText("memory")).contains("host_memory");
        assertThat(plan.path("schedule").isNull()).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"batch\":0} | batch | batch is 0, must be greater than or equal to 1",
                "{\"batch\":129} | batch | batch is 129, must be less than or equal to 128",
                "{\"batch\":1.5} | batch | batch is 1.5, must be a whole number",
                "{\"batch\":\"8\"} | batch | batch is \"8\", must be a whole number",
                "{\"context_tokens\":0} | context_tokens | context_tokens is 0",
                "{\"context_tokens\":131073} | context_tokens | context_tokens is 131073",
                "{\"batch\":128,\"context_tokens\":4097} | context_tokens | at most 4096 for a batch of 128",
                "{\"device_memory_bytes\":0} | device_memory_bytes | device_memory_bytes is 0",
                "{\"device_memory_bytes\":1125899906842625} | device_memory_bytes | less than or equal to 1125899906842624",
                "{\"host_memory_bytes\":-1} | host_memory_bytes | host_memory_bytes is -1",
                "{\"link_gbps\":0} | link_gbps | link_gbps is 0",
                "{\"link_gbps\":10001} | link_gbps | link_gbps is 10001",
                "{\"tflops\":-1,\"hardware\":\"t4\"} | tflops | tflops is -1",
                "{\"tflops\":100} | tflops | name hardware",
                "{\"forms\":[\"kv\"]} | forms | forms has \"kv\", must be of device_kv, device_act, device_packed_kv",
                "{\"forms\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]} | forms | forms is a list of more than 16",
                "{\"cache_encoding\":\"fp4\"} | cache_encoding | cache_encoding is \"fp4\", must be one of exact, fp8, int8, int4",
                "{\"cache_encoding\":\"fp8\",\"forms\":[\"host_kv\"]} | forms | forms has \"host_kv\", must be of device_fp8, host_fp8",
                "{\"hardware\":\"abacus\"} | hardware | must be one of a100-40g, h100",
                "{\"preset\":\"gpt-5\",\"hardware\":\"t4\"} | preset | must be one of opt-1.3b",
                "{\"contxt\":4} | contxt | contxt is unknown, there are preset"
            })
    void mistakesAreNamed(String body, String field, String message) throws Exception {
        HttpResponse<String> response = api.post("/weft/v1/plan", body);

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        JsonNode error = ApiClient.json(response.body()).path("error");
        assertThat(error.path("message").textValue()).contains(message);
        assertThat(error.path("param").textValue()).isEqualTo(field);
    }

    @Test
    void whatWasMeasuredSaysNothingOfAnotherModel() throws Exception {
        HttpResponse<String> response = api.post("/weft/v1/plan", "{\"preset\":\"opt-6.7b\"}");

        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.body()).contains("measured with another model", "name hardware");
    }

    @Test
    void theProfileIsShown() throws Exception {
        JsonNode profile = get("/weft/v1/profile");

        assertThat(profile.path("link_bytes_per_second").doubleValue()).isPositive();
        assertThat(profile.path("link_factor").doubleValue()).isPositive();
        assertThat(profile.path("compute_factor").doubleValue()).isPositive();
        assertThat(profile.at("/profile/link_in/points/0/size").longValue()).isPositive();
        assertThat(profile.at("/profile/key_values/points/0/nanos").doubleValue())
                .isPositive();
    }

    /** Once somebody has looked, every step is timed. */
    private void runSteps() throws Exception {
        get("/weft/v1/timeline");
        api.answer("/v1/completions", "{\"prompt\":[5,6,7],\"max_tokens\":40,\"ignore_eos\":true}");
        OperationsTest.await(
                "a step was compared", () -> steps("/weft/v1/timeline").size() >= 2);
    }

    @Test
    void timelinesOfStepsThatRan() throws Exception {
        runSteps();

        JsonNode steps = steps("/weft/v1/timeline?steps=2");
        assertThat(steps).hasSize(2);
        for (JsonNode step : steps) {
            assertThat(step.path("predicted_millis").doubleValue()).isPositive();
            assertThat(step.path("measured_millis").doubleValue()).isPositive();
            assertThat(step.path("wall_millis").doubleValue()).isPositive();
            assertThat(step.path("rows").intValue()).isPositive();
            assertThat(step.at("/stages/0/stage").textValue()).isEqualTo("upload");
            for (JsonNode stage : step.path("stages")) {
                assertThat(stage.path("measured_micros").doubleValue()).isNotNegative();
                // A transfer may have been begun by the step before.
                if (!stage.path("stage").textValue().startsWith("transfer")) {
                    assertThat(stage.path("predicted_start_micros").doubleValue())
                            .isNotNegative();
                }
            }
        }
        assertThat(steps.get(0).path("number").longValue())
                .isLessThan(steps.get(1).path("number").longValue());
    }

    private JsonNode steps(String path) {
        try {
            return get(path).path("steps");
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aTraceHasBothTimelines() throws Exception {
        runSteps();

        JsonNode trace = get("/weft/v1/timeline?format=trace");
        assertThat(trace.path("traceEvents").findValuesAsText("ph")).contains("X", "M");
        assertThat(trace.path("traceEvents")
                        .valueStream()
                        .filter(event -> event.path("ph").textValue().equals("X"))
                        .map(event -> event.path("pid").intValue())
                        .distinct())
                .contains(1)
                .containsAnyOf(2, 3)
                .isSubsetOf(1, 2, 3);
    }

    @ParameterizedTest
    @ValueSource(strings = {"steps=0", "steps=65", "steps=x", "steps=-1", "steps=99999999999", "format=xml"})
    void aTimelinesParametersAreChecked(String query) throws Exception {
        HttpResponse<String> response = api.get("/weft/v1/timeline?" + query);

        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(ApiClient.json(response.body()).at("/error/param").textValue())
                .isEqualTo(query.substring(0, query.indexOf('=')));
    }

    /** Even blocks are activations on the host, odd ones K and V there; the newest tokens lie in open blocks. */
    @Test
    void usageTellsWhereTokensAreCached() throws Exception {
        String body = "{\"prompt\":[%s],\"max_tokens\":9,\"ignore_eos\":true,\"weft\":{\"explain\":%s}}";
        String prompt = "5,".repeat(39) + "6";

        JsonNode explained = api.answer("/v1/completions", body.formatted(prompt, "true"));
        JsonNode plain = api.answer("/v1/completions", body.formatted(prompt, "false"));

        // 40 of the prompt and 8 of 9 generated: no step has run the last one.
        assertThat(explained.at("/usage/weft/recomputed_tokens").intValue()).isEqualTo(32);
        assertThat(explained.at("/usage/weft/transferred_tokens").intValue()).isEqualTo(16);
        assertThat(explained.at("/usage/weft/resident_tokens").intValue()).isZero();
        assertThat(plain.path("usage").has("weft")).isFalse();
    }

    @Test
    void usageOfAStreamTellsItToo() throws Exception {
        String body = "{\"prompt\":[5,6],\"n\":2,\"max_tokens\":17,\"ignore_eos\":true,\"stream\":true,"
                + "\"stream_options\":{\"include_usage\":true},\"weft\":{\"explain\":true}}";

        JsonNode usage = ApiClient.chunks(api.post("/v1/completions", body).body())
                .getLast()
                .path("usage");

        // Twice 2 + 16 tokens: one full block each.
        assertThat(usage.at("/weft/recomputed_tokens").intValue()).isEqualTo(32);
        assertThat(usage.at("/weft/resident_tokens").intValue()).isEqualTo(4);
    }

    @Test
    void explainMustBeTrueOrFalse() throws Exception {
        HttpResponse<String> response =
                api.post("/v1/completions", "{\"prompt\":\"a\",\"weft\":{\"explain\":\"yes\"}}");

        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(ApiClient.json(response.body()).at("/error/param").textValue())
                .isEqualTo("weft.explain");
    }

    @Test
    void theStatusCounts() throws Exception {
        JsonNode before = get("/weft/v1/status");
        api.answer("/v1/completions", "{\"prompt\":[5,6,7],\"max_tokens\":6,\"ignore_eos\":true}");
        JsonNode after = get("/weft/v1/status");

        assertThat(after.path("state").textValue()).isEqualTo("serving");
        assertThat(after.path("detail").isNull()).isTrue();
        assertThat(after.path("model").textValue()).isEqualTo(TestService.MODEL_ID);
        assertThat(after.path("cache_encoding").textValue()).isEqualTo("exact");
        assertThat(after.path("chat_template").booleanValue()).isTrue();
        assertThat(after.path("seats").intValue()).isEqualTo(TestService.SEQUENCES);
        assertThat(after.path("queue_limit").intValue()).isEqualTo(64);
        assertThat(difference(before, after, "/prompt_tokens")).isEqualTo(3);
        assertThat(difference(before, after, "/generated_tokens")).isEqualTo(6);
        assertThat(difference(before, after, "/first_token/count")).isOne();
        assertThat(difference(before, after, "/between_tokens/count")).isEqualTo(5);
        assertThat(difference(before, after, "/queue_time/count")).isOne();
        assertThat(difference(before, after, "/steps/count")).isGreaterThanOrEqualTo(6);
        assertThat(after.at("/steps/millis").doubleValue())
                .isGreaterThan(before.at("/steps/millis").doubleValue());
    }

    private static long difference(JsonNode before, JsonNode after, String pointer) {
        return after.at(pointer).longValue() - before.at(pointer).longValue();
    }

    /** Some of the blocks of 16 tokens lie as activations. */
    @Test
    void theStatusSaysWhereRunningRequestsAreCached() throws Exception {
        service.holdStepsAfter(3);
        // Nothing is there twice, so there is nothing to draft.
        List<Integer> prompt = IntStream.range(5, 55).boxed().toList();
        CompletableFuture<HttpResponse<String>> answer =
                api.postAsync("/v1/completions", "{\"prompt\":" + prompt + ",\"max_tokens\":8,\"ignore_eos\":true}");
        OperationsTest.await("the prompt is cached", () -> onHost(List.of("act", "packed_act", "kv", "packed_kv")), 48);

        JsonNode forms = get("/weft/v1/status").path("tokens_by_form");
        assertThat(onHost(List.of("act", "packed_act"))).isPositive();
        assertThat(forms.path("device_act").intValue()).isZero();
        assertThat(forms.path("device_kv").intValue()).isBetween(2, 4);
        service.letStepsRun();
        assertThat(answer.join().statusCode()).isEqualTo(200);
        OperationsTest.await("nothing runs", () -> statusOf("/running"), 0);
        assertThat(onHost(List.of("act", "packed_act", "kv", "packed_kv"))).isZero();
    }

    /** Tokens in full blocks on the host. */
    private long onHost(List<String> encodings) {
        return encodings.stream()
                .mapToLong(encoding -> statusOf("/tokens_by_form/host_" + encoding))
                .sum();
    }

    private long statusOf(String pointer) {
        try {
            return get("/weft/v1/status").at(pointer).longValue();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }
}
