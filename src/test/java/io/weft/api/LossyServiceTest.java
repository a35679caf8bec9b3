package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.SamplingParameters;
import jakarta.inject.Inject;
import java.net.URI;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A service whose cache is stored in fp8: what the API tells is what the engine does. */
@QuarkusTest
@TestProfile(ServiceProfile.Lossy.class)
class LossyServiceTest {
    private static final List<Integer> PROMPT =
            IntStream.range(0, 41).map(i -> 5 + i * 7 % 200).boxed().toList();
    private static final int NEW_TOKENS = 30;

    @TestHTTPResource("/")
    URI root;

    @Inject
    TestService service;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    private JsonNode completion() throws Exception {
        return api.answer(
                "/v1/completions",
                "{\"prompt\":%s,\"max_tokens\":%d,\"ignore_eos\":true,\"return_token_ids\":true,\"weft\":{\"explain\":true}}"
                        .formatted(PROMPT, NEW_TOKENS));
    }

    private List<Integer> tokensOfTheEngine() {
        GenerationRequest request = new GenerationRequest(
                PROMPT,
                NEW_TOKENS,
                SamplingParameters.greedy(),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty());
        return service
                .batchingEngine()
                .generate(request)
                .collect()
                .asList()
                .await()
                .atMost(OperationsTest.HANG)
                .stream()
                .filter(Generated.class::isInstance)
                .map(event -> ((Generated) event).token())
                .toList();
    }

    private static List<Integer> tokens(JsonNode answer) {
        return answer.at("/choices/0/token_ids")
                .valueStream()
                .map(JsonNode::intValue)
                .toList();
    }

    @Test
    void textAndUsageAreThoseOfTheEngine() throws Exception {
        JsonNode first = completion();
        JsonNode again = completion();

        assertThat(tokens(first)).hasSize(NEW_TOKENS).isEqualTo(tokensOfTheEngine());
        assertThat(tokens(again)).isEqualTo(tokens(first));
        assertThat(again.at("/usage/prompt_tokens_details/cached_tokens").intValue())
                .isEqualTo(32);
        for (JsonNode answer : List.of(first, again)) {
            // Of 41 tokens and 29 of 30, in blocks of 16.
            assertThat(answer.at("/usage/weft/transferred_tokens").intValue()).isEqualTo(64);
            assertThat(answer.at("/usage/weft/resident_tokens").intValue()).isEqualTo(6);
            assertThat(answer.at("/usage/weft/recomputed_tokens").intValue()).isZero();
        }
    }

    @Test
    void theEncodingIsToldWhereFormsAre() throws Exception {
        JsonNode status = ApiClient.json(api.get("/weft/v1/status").body());

        assertThat(status.path("cache_encoding").textValue()).isEqualTo("fp8");
        assertForms(status, "device_fp8", "host_fp8");
        assertForms(ApiClient.json(api.get("/weft/v1/plan").body()), "device_fp8", "host_fp8");
    }

    @Test
    void anotherEncodingCanBeAskedFor() throws Exception {
        assertForms(api.answer("/weft/v1/plan", "{}"), "device_fp8", "host_fp8");
        assertForms(api.answer("/weft/v1/plan", "{\"cache_encoding\":\"int4\"}"), "device_int4", "host_int4");
        JsonNode exact = api.answer("/weft/v1/plan", "{\"cache_encoding\":\"exact\"}");
        assertThat(exact.at("/tokens_by_form").has("host_act")).isTrue();
    }

    private static void assertForms(JsonNode answer, String... forms) {
        assertThat(answer.path("tokens_by_form").properties())
                .extracting(entry -> entry.getKey())
                .containsExactly(forms);
    }
}
