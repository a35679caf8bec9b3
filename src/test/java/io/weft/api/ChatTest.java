package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** {@code /v1/chat/completions}. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class ChatTest {
    private static final String PATH = "/v1/chat/completions";
    private static final String MESSAGES = "\"messages\":[{\"role\":\"user\",\"content\":\"The king\"}]";

    @TestHTTPResource("/")
    URI root;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    private static String steady(String body) {
        return body.replaceAll("\"id\":\"chatcmpl-[0-9a-f]{32}\",", "\"id\":\"ID\",")
                .replaceAll("\"created\":\\d{10},", "\"created\":0,");
    }

    private static String frame(String delta, String finish) {
        return "data: {\"id\":\"ID\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"test-model\",\"choices\":[{\"index\":0,\"delta\":"
                + delta + ",\"logprobs\":null,\"finish_reason\":" + finish + "}]}\n\n";
    }

    /** Token ids of the conversation, as the model reads it. */
    private String promptIds() throws Exception {
        return api.answer("/tokenize", "{" + MESSAGES + "}").path("tokens").toString();
    }

    @Test
    void aStreamOpensWithTheRoleAndEndsWithAReason() throws Exception {
        JsonNode completion = api.answer(
                "/v1/completions",
                "{\"prompt\":" + promptIds() + ",\"max_tokens\":3,\"ignore_eos\":true,\"logprobs\":0}");
        List<String> texts = completion
                .at("/choices/0/logprobs/tokens")
                .valueStream()
                .map(JsonNode::textValue)
                .toList();

        HttpResponse<String> response =
                api.post(PATH, "{" + MESSAGES + ",\"max_tokens\":3,\"ignore_eos\":true,\"stream\":true}");

        assertThat(steady(response.body()))
                .isEqualTo(frame("{\"role\":\"assistant\",\"content\":\"\"}", "null")
                        + texts.stream()
                                .map(text -> frame("{\"content\":" + quoted(text) + "}", "null"))
                                .collect(Collectors.joining())
                        + frame("{}", "\"length\"")
                        + "data: [DONE]\n\n");
    }

    private static String quoted(String text) {
        return ApiClient.JSON.valueToTree(text).toString();
    }

    @Test
    void aWholeAnswerIsWhatACompletionOfTheTemplateGives() throws Exception {
        JsonNode completion =
                api.answer("/v1/completions", "{\"prompt\":" + promptIds() + ",\"max_tokens\":9,\"ignore_eos\":true}");

        JsonNode chat = api.answer(PATH, "{" + MESSAGES + ",\"max_completion_tokens\":9,\"ignore_eos\":true}");

        assertThat(chat.at("/object").textValue()).isEqualTo("chat.completion");
        assertThat(chat.at("/choices/0/message/role").textValue()).isEqualTo("assistant");
        assertThat(chat.at("/choices/0/message/content")).isEqualTo(completion.at("/choices/0/text"));
        assertThat(chat.at("/choices/0/finish_reason").textValue()).isEqualTo("length");
        assertThat(chat.path("usage")).isEqualTo(completion.path("usage"));
    }

    @Test
    void whatIsNotSupportedMayBeOff() throws Exception {
        String off = ",\"functions\":[],\"modalities\":[\"text\"],\"chat_template\":null,\"tools\":[],"
                + "\"response_format\":{\"type\":\"text\"},\"min_tokens\":0";

        assertThat(api.answer(PATH, "{" + MESSAGES + ",\"max_tokens\":3" + off + "}")
                        .path("choices"))
                .isEqualTo(
                        api.answer(PATH, "{" + MESSAGES + ",\"max_tokens\":3}").path("choices"));
    }

    @Test
    void textPartsAreOneText() throws Exception {
        String parts =
                "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"The \"},{\"type\":\"text\",\"text\":\"king\"}]}]";

        assertThat(api.answer("/tokenize", "{" + parts + "}").path("tokens").toString())
                .isEqualTo(promptIds());
    }

    @Test
    void logprobsHaveTheBytesOfTheText() throws Exception {
        String fields = MESSAGES + ",\"max_tokens\":12,\"ignore_eos\":true,\"logprobs\":true,\"top_logprobs\":2";
        JsonNode choice = api.answer(PATH, "{" + fields + "}").at("/choices/0");
        List<JsonNode> scores = choice.at("/logprobs/content").valueStream().toList();

        assertThat(scores).hasSize(12);
        StringBuilder bytes = new StringBuilder();
        for (JsonNode score : scores) {
            score.path("bytes").forEach(value -> bytes.append((char) value.intValue()));
            assertThat(score.path("top_logprobs")).hasSize(2);
            // Greedy, so the token is the likeliest.
            assertThat(score.at("/top_logprobs/0/logprob")).isEqualTo(score.path("logprob"));
            assertThat(score.path("logprob").doubleValue()).isNegative();
        }
        assertThat(new String(bytes.toString().getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8))
                .isEqualTo(choice.at("/message/content").textValue());

        List<JsonNode> chunks = ApiClient.chunks(
                api.post(PATH, "{" + fields + ",\"stream\":true}").body());
        assertThat(chunks.stream()
                        .flatMap(
                                chunk -> chunk.at("/choices/0/logprobs/content").valueStream())
                        .toList())
                .isEqualTo(scores);
    }

    @Test
    void everyChoiceOpensOnce() throws Exception {
        List<JsonNode> chunks = ApiClient.chunks(
                api.post(PATH, "{" + MESSAGES + ",\"max_tokens\":5,\"n\":3,\"stream\":true,\"return_token_ids\":true}")
                        .body());

        for (int index = 0; index < 3; index++) {
            int choice = index;
            List<JsonNode> parts = chunks.stream()
                    .flatMap(chunk -> chunk.path("choices").valueStream())
                    .filter(part -> part.path("index").intValue() == choice)
                    .toList();
            assertThat(parts.getFirst().at("/delta/role").textValue()).isEqualTo("assistant");
            assertThat(parts.subList(1, parts.size()))
                    .allMatch(part -> part.at("/delta/role").isMissingNode());
            assertThat(parts.getLast().path("finish_reason").isTextual()).isTrue();
            assertThat(parts.getLast().path("delta")).isEmpty();
        }
    }

    private String tokens(String fields) throws Exception {
        return api.answer("/tokenize", "{" + fields + "}").path("tokens").toString();
    }

    /** The demo's template writes two line ends after each message. */
    @Test
    void theFinalMessageIsContinued() throws Exception {
        String messages = MESSAGES.replace("}]", "},{\"role\":\"assistant\",\"content\":\"It was\"}]");
        String open = api.answer("/tokenize", "{\"prompt\":\"The king\\n\\nIt was\",\"add_special_tokens\":false}")
                .path("tokens")
                .toString();
        assertThat(tokens(messages + ",\"continue_final_message\":true,\"add_generation_prompt\":false"))
                .isEqualTo(open);
        assertThat(tokens(messages + ",\"continue_final_message\":true,\"add_special_tokens\":true"))
                .isEqualTo("[2," + open.substring(1));
        assertThat(tokens(messages)).isNotEqualTo(open);

        String fields = "\"max_tokens\":5,\"ignore_eos\":true";
        String more = api.answer("/v1/completions", "{\"prompt\":" + open + "," + fields + "}")
                .at("/choices/0/text")
                .textValue();
        String continued = "{" + messages + ",\"continue_final_message\":true," + fields;
        assertThat(api.answer(PATH, continued + "}")
                        .at("/choices/0/message/content")
                        .textValue())
                .isEqualTo(more);
        assertThat(api.answer(PATH, continued + ",\"echo\":true}")
                        .at("/choices/0/message/content")
                        .textValue())
                .isEqualTo("It was" + more);
        List<JsonNode> chunks = ApiClient.chunks(
                api.post(PATH, continued + ",\"echo\":true,\"stream\":true}").body());
        assertThat(chunks.get(1).at("/choices/0/delta/content").textValue()).isEqualTo("It was");
        assertThat(chunks.stream()
                        .map(chunk -> chunk.at("/choices/0/delta/content").asText())
                        .collect(Collectors.joining()))
                .isEqualTo("It was" + more);
    }

    /** OpenAI's newer name for system. */
    @Test
    void aDeveloperIsTheSystem() throws Exception {
        for (String role : List.of("developer", "system", "tool", "assistant")) {
            assertThat(tokens(MESSAGES.replace("user", role))).isEqualTo(promptIds());
        }
    }

    @Test
    void withoutALimitTheRestOfTheContextIsUsed() throws Exception {
        JsonNode answer = api.answer(PATH, "{" + MESSAGES + ",\"ignore_eos\":true}");

        assertThat(answer.at("/usage/total_tokens").intValue()).isEqualTo(TestService.CONTEXT_TOKENS);
    }
}
