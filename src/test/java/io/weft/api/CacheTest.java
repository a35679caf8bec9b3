package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import java.net.URI;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What clients see of prompts that are cached, and what they do not see of each other's. */
@QuarkusTest
@TestProfile(ServiceProfile.Caching.class)
class CacheTest {
    private static final String[] KEY = {"Authorization", "Bearer " + ServiceProfile.Caching.KEY};
    private static final String[] OTHER_KEY = {"x-api-key", ServiceProfile.Caching.OTHER_KEY};
    private static final String CACHE = "/weft/v1/cache";
    /** More than three blocks of 16 tokens, but no more than four. */
    private static final String WORDS = "One two three four five six seven eight nine ten. ".repeat(2);

    @TestHTTPResource("/")
    URI root;

    @Inject
    TestService service;

    private ApiClient api;

    @BeforeEach
    void begin() throws Exception {
        api = new ApiClient(root);
        for (String[] key : new String[][] {KEY, OTHER_KEY}) {
            assertThat(api.delete(CACHE, key).statusCode()).isEqualTo(200);
        }
    }

    private JsonNode post(String path, String body, String... key) throws Exception {
        HttpResponse<String> response = api.post(path, body.replace('\'', '"'), key);
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return ApiClient.json(response.body());
    }

    private JsonNode completion(String fields, String... key) throws Exception {
        return post("/v1/completions", "{'prompt':'" + WORDS + "','max_tokens':2" + fields + "}", key);
    }

    private static int cached(JsonNode answer) {
        JsonNode cached = answer.at("/usage/prompt_tokens_details/cached_tokens");
        assertThat(cached.isInt()).as(answer.toString()).isTrue();
        return cached.intValue();
    }

    private JsonNode held(String query, String... key) throws Exception {
        HttpResponse<String> response = api.get(CACHE + query, key);
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return ApiClient.json(response.body());
    }

    private static long tokens(JsonNode held) {
        return held.path("device_tokens").longValue() + held.path("host_tokens").longValue();
    }

    @Test
    void usageTellsWhatWasCached() throws Exception {
        JsonNode first = completion("", KEY);
        int whole = (first.at("/usage/prompt_tokens").intValue() - 1) / 16 * 16;
        assertThat(whole).isPositive();
        assertThat(cached(first)).isZero();

        JsonNode again = completion(",'n':2,'weft':{'explain':true}", KEY);
        assertThat(cached(again)).isEqualTo(whole);
        assertThat(again.at("/usage/weft/found_on_host_tokens").intValue()
                        + again.at("/usage/weft/found_on_device_tokens").intValue())
                .isEqualTo(whole);
        assertThat(again.at("/choices/0/text")).isEqualTo(first.at("/choices/0/text"));
        // Scores of the prompt need all its rows.
        assertThat(cached(completion(",'prompt_logprobs':1", KEY))).isZero();
        String stream = api.post(
                        "/v1/completions",
                        "{\"prompt\":\"" + WORDS + "\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
                        KEY)
                .body();
        assertThat(cached(ApiClient.chunks(stream).getLast())).isEqualTo(whole);
    }

    /** Each in its own words. */
    @Test
    void otherDoorsTellIt() throws Exception {
        String message = "{'model':'test-model','max_tokens':2,'messages':[{'role':'user','content':'" + WORDS + "'}]}";
        JsonNode chat = post("/v1/chat/completions", message, KEY);
        int prompt = chat.at("/usage/prompt_tokens").intValue();
        int whole = (prompt - 1) / 16 * 16;
        assertThat(cached(post("/v1/chat/completions", message, KEY))).isEqualTo(whole);

        JsonNode usage = post("/v1/messages", message, KEY).path("usage");
        assertThat(usage.path("cache_read_input_tokens").intValue()).isEqualTo(whole);
        assertThat(usage.path("input_tokens").intValue()).isEqualTo(prompt - whole);
        usage = post("/v1/responses", "{'input':'" + WORDS + "','max_output_tokens':2}", KEY)
                .path("usage");
        assertThat(usage.at("/input_tokens_details/cached_tokens").intValue()).isEqualTo(whole);
        assertThat(usage.path("input_tokens").intValue()).isEqualTo(prompt);
    }

    @Test
    void saltsAndKeysDoNotShare() throws Exception {
        String salted = ",'cache_salt':'a secret'";
        assertThat(cached(completion("", KEY))).isZero();
        assertThat(cached(completion(salted, KEY))).isZero();
        assertThat(cached(completion("", OTHER_KEY))).isZero();
        assertThat(cached(completion(salted, OTHER_KEY))).isZero();
        int whole = cached(completion("", KEY));
        assertThat(whole).isPositive();
        assertThat(cached(completion(salted, KEY))).isEqualTo(whole);
        HttpResponse<String> wrong = api.post("/v1/completions", "{\"prompt\":\"a\",\"cache_salt\":\"\"}", KEY);
        assertThat(wrong.statusCode()).isEqualTo(400);
        assertThat(wrong.body()).contains("cache_salt");
    }

    @Test
    void whatIsHeldIsToldToItsOwnerAlone() throws Exception {
        assertThat(held("", KEY).toString())
                .isEqualTo("{\"device_tokens\":0,\"host_tokens\":0,\"idle_tokens\":0,\"disk_tokens\":0}");
        completion("", KEY);
        completion(",'cache_salt':'a secret'", KEY);
        long one = tokens(held("?salt=a%20secret", KEY));
        assertThat(one).isPositive();
        assertThat(tokens(held("", KEY))).isEqualTo(2 * one);
        assertThat(held("", KEY).path("idle_tokens").longValue()).isEqualTo(2 * one);
        assertThat(held("", KEY).toString()).doesNotContain("secret");
        for (String query : new String[] {"", "?salt=", "?salt=a%20secret"}) {
            assertThat(tokens(held(query, OTHER_KEY))).isZero();
            assertThat(api.delete(CACHE + query, OTHER_KEY).body())
                    .isEqualTo("{\"forgotten_tokens\":0,\"forgotten_disk_tokens\":0}");
        }
        assertThat(api.delete(CACHE + "?salt=a%20secret", KEY).body())
                .isEqualTo("{\"forgotten_tokens\":" + one + ",\"forgotten_disk_tokens\":0}");
        assertThat(tokens(held("", KEY))).isEqualTo(one);
        assertThat(cached(completion("", KEY))).isPositive();
        assertThat(api.get(CACHE).statusCode()).isEqualTo(401);
        assertThat(api.delete(CACHE).statusCode()).isEqualTo(401);
    }

    /** Each turn computes what is new, and at most the blocks around where it begins. */
    @Test
    void aChatOfTwentyTurnsComputesEachTokenOnce() throws Exception {
        ObjectNode chat = ApiClient.JSON.createObjectNode().put("max_tokens", 3).put("temperature", 0);
        ArrayNode messages = chat.putArray("messages");
        long rows = service.rows();
        int wanted = 0;
        int before = 0;
        int whole = 0;
        for (int turn = 0; turn < 20; turn++) {
            messages.addObject().put("role", "user").put("content", "Go " + turn);
            JsonNode answer = post("/v1/chat/completions", chat.toString(), KEY);
            int prompt = answer.at("/usage/prompt_tokens").intValue();
            int computed = prompt - cached(answer);
            whole += prompt;
            assertThat(computed).as("turn " + turn).isLessThan(prompt - before + 2 * 16);
            wanted += computed + answer.at("/usage/completion_tokens").intValue() - 1;
            before = prompt;
            messages.addObject()
                    .put("role", "assistant")
                    .put("content", answer.at("/choices/0/message/content").asText());
        }
        // A step is counted after its tokens have left.
        assertThat(held("", KEY).path("idle_tokens").isNumber()).isTrue();
        assertThat(service.rows() - rows).isEqualTo(wanted);
        assertThat(service.rows() - rows).isLessThan(whole / 4);
    }
}
