package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Bodies that were right before somebody changed some of their bytes and words. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class BodyFuzzTest {
    private record Seed(String path, String body) {}

    private static final List<Seed> SEEDS = List.of(
            new Seed("/v1/completions", "{\"prompt\":\"Once upon\",\"max_tokens\":2,\"temperature\":0.5,\"seed\":7}"),
            new Seed(
                    "/v1/completions",
                    "{\"prompt\":[[5,6],[7]],\"max_tokens\":1,\"n\":2,\"logprobs\":2,\"echo\":true}"),
            new Seed(
                    "/v1/completions",
                    "{\"prompt\":[\"a\",\"b\"],\"max_tokens\":2,\"logit_bias\":{\"5\":1.5,\"6\":-100},\"stop\":[\"x\"],\"stream\":true,\"stream_options\":{\"include_usage\":true}}"),
            new Seed(
                    "/v1/chat/completions",
                    "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],\"name\":\"x\"}],\"max_tokens\":2,\"top_logprobs\":1,\"logprobs\":true,\"chat_template_kwargs\":{\"a\":[1,{}]}}"),
            new Seed(
                    "/v1/chat/completions",
                    "{\"messages\":[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":null}],\"max_completion_tokens\":1,\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],\"tools\":[]}"),
            new Seed(
                    "/v1/completions",
                    "{\"prompt\":\"a\",\"max_tokens\":2,\"structured_outputs\":{\"regex\":\"[a-c]{1,3}(x|y)+\\\\d\"}}"),
            new Seed(
                    "/v1/completions",
                    "{\"prompt\":\"a\",\"max_tokens\":2,\"guided_choice\":[\"yes\",\"no\"],\"min_tokens\":1,\"stop_token_ids\":[5]}"),
            new Seed(
                    "/v1/chat/completions",
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":2,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^a+$\",\"maxLength\":9},\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/c\"},\"minItems\":1},\"d\":{\"anyOf\":[{\"type\":\"number\",\"minimum\":-1.5},{\"enum\":[null,1]}]}},\"required\":[\"a\",\"b\"],\"$defs\":{\"c\":{\"type\":\"integer\",\"multipleOf\":3}}}}}}"),
            new Seed(
                    "/v1/chat/completions",
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"1\"}],\"max_tokens\":2,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"}}},\"strict\":true}}],\"tool_choice\":\"required\",\"parallel_tool_calls\":false}"),
            new Seed(
                    "/v1/responses",
                    "{\"instructions\":\"be\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"hi\"}]},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"x\"}],\"max_output_tokens\":1,\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}],\"tool_choice\":\"auto\",\"text\":{\"format\":{\"type\":\"text\"}},\"reasoning\":{\"effort\":\"low\"},\"stream\":true}"),
            new Seed(
                    "/v1/messages",
                    "{\"system\":[{\"type\":\"text\",\"text\":\"be\"}],\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"\"},{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":\"x\"}]}],\"max_tokens\":1,\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"auto\"},\"stop_sequences\":[\"x\"],\"stream\":true}"),
            new Seed("/v1/messages/count_tokens", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"),
            new Seed("/tokenize", "{\"prompt\":\"caf\\u00e9 \\ud83d\\ude00\",\"return_token_strs\":true}"),
            new Seed("/tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"),
            new Seed("/detokenize", "{\"tokens\":[5,6,7,8]}"),
            new Seed(
                    "/weft/v1/plan",
                    "{\"preset\":\"opt-6.7b\",\"batch\":4,\"context_tokens\":128,\"forms\":[\"host_kv\"]}"));

    private static final String[] WORDS = {
        "null",
        "true",
        "false",
        "-1",
        "0",
        "1e999",
        "-0.0",
        "99999999999999999999",
        "2147483648",
        "\"\"",
        "[]",
        "{}",
        "[[[[",
        "}}",
        "\"\\u0000\"",
        "\"\\ud800\"",
        ",",
        ":",
        "\"",
        "\\",
        "NaN",
        "\u00e9",
        "\u0000",
        "\"prompt\":",
        "\"n\":"
    };

    @TestHTTPResource("/")
    URI root;

    @Test
    void some() throws Exception {
        fuzz(300, 1);
    }

    @Test
    @Tag("soak")
    void many() throws Exception {
        fuzz(10_000, Long.getLong("weft.fuzz.seed", System.nanoTime()));
    }

    private void fuzz(int bodies, long seed) throws Exception {
        Random random = new Random(seed);
        ApiClient api = new ApiClient(root);
        try (LoggedProblems problems = new LoggedProblems()) {
            for (int i = 0; i < bodies; i++) {
                Seed origin = SEEDS.get(random.nextInt(SEEDS.size()));
                byte[] body = changed(origin.body().getBytes(StandardCharsets.UTF_8), random);
                HttpResponse<String> response = api.postBytes(origin.path(), body);

                String told = "body %d of seed %d: %s %s"
                        .formatted(i, seed, origin.path(), new String(body, StandardCharsets.UTF_8));
                assertThat(response.statusCode()).as(told).matches(status -> status < 500 || status == 503);
                if (response.statusCode() >= 400) {
                    JsonNode error = ApiClient.json(response.body()).path("error");
                    assertThat(error.path("message").textValue())
                            .as(told)
                            .isNotBlank()
                            .hasSizeLessThan(1000)
                            .doesNotContain("io.weft", "Exception", "jackson");
                }
            }
            assertThat(problems.lines()).as("seed " + seed).isEmpty();
        }
        assertThat(api.get("/health").statusCode()).isEqualTo(200);
    }

    private static byte[] changed(byte[] body, Random random) {
        byte[] changed = body;
        for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
            int from = random.nextInt(changed.length + 1);
            int to = Math.min(changed.length, from + (random.nextBoolean() ? 0 : random.nextInt(8)));
            byte[] put = switch (random.nextInt(4)) {
                case 0 -> new byte[] {(byte) random.nextInt(256)};
                case 1 -> slice(changed, from, Math.min(changed.length, from + random.nextInt(64)));
                case 2 -> new byte[0];
                default -> WORDS[random.nextInt(WORDS.length)].getBytes(StandardCharsets.UTF_8);
            };
            ByteArrayOutputStream next = new ByteArrayOutputStream();
            next.write(changed, 0, from);
            next.writeBytes(put);
            next.write(changed, to, changed.length - to);
            changed = next.toByteArray();
        }
        return changed;
    }

    private static byte[] slice(byte[] bytes, int from, int to) {
        return java.util.Arrays.copyOfRange(bytes, from, to);
    }
}
