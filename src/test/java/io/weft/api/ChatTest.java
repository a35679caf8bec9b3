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

    private static String withPrediction(String content, int tokens) {
        return "{" + MESSAGES + ",\"max_tokens\":" + tokens
                + ",\"ignore_eos\":true,\"weft\":{\"explain\":true},\"prediction\":{\"type\":\"content\",\"content\":"
                + content + "}}";
    }

    /** It saves passes, and changes nothing. */
    @Test
    void aPredictionIsTakenAsADraft() throws Exception {
        JsonNode plain = api.answer(PATH, "{" + MESSAGES + ",\"max_tokens\":40,\"ignore_eos\":true}");
        String text = plain.at("/choices/0/message/content").textValue();
        for (String content :
                List.of(quoted(text), "[{\"type\":\"text\",\"text\":" + quoted(text) + "}]", quoted("No, " + text))) {
            JsonNode chat = api.answer(PATH, withPrediction(content, 40));

            assertThat(chat.path("choices")).isEqualTo(plain.path("choices"));
            JsonNode usage = chat.path("usage");
            int accepted = usage.at("/completion_tokens_details/accepted_prediction_tokens")
                    .intValue();
            assertThat(usage.path("completion_tokens").intValue()).isEqualTo(40);
            assertThat(accepted).isGreaterThan(20);
            assertThat(usage.at("/weft/accepted_tokens").intValue()).isEqualTo(accepted);
            assertThat(usage.at("/weft/drafted_tokens").intValue())
                    .isEqualTo(accepted
                            + usage.at("/completion_tokens_details/rejected_prediction_tokens")
                                    .intValue());
            assertThat(usage.at("/weft/tokens_a_pass").doubleValue()).isEqualTo(40.0 / (40 - accepted));
        }
        assertThat(api.answer(PATH, withPrediction(quoted("Something else."), 40))
                        .path("choices"))
                .isEqualTo(plain.path("choices"));
        JsonNode steps = ApiClient.json(api.get("/weft/v1/status").body()).path("steps");
        assertThat(steps.path("accepted_tokens").longValue()).isGreaterThan(60);
        assertThat(steps.path("tokens_a_pass").doubleValue()).isGreaterThan(1);
    }

    /** Whatever the model would rather write, the second time is known from the first. */
    @Test
    void textThatIsQuotedHasTwoTokensAPassAndMore() throws Exception {
        String quoted = "\"guided_regex\":\"(Once upon a time there was a king who had a quiet dog\\\\. ){5}\"";

        JsonNode chat =
                api.answer(PATH, "{" + MESSAGES + ",\"max_tokens\":300,\"weft\":{\"explain\":true}," + quoted + "}");

        assertThat(chat.at("/choices/0/message/content").textValue())
                .isEqualTo("Once upon a time there was a king who had a quiet dog. ".repeat(5));
        assertThat(chat.at("/usage/weft/tokens_a_pass").doubleValue()).isGreaterThan(2);
    }

    /** What an accepted run has after a stop string is no part of the answer. */
    @Test
    void stopStringsEndAnAcceptedRun() throws Exception {
        JsonNode plain = api.answer(PATH, "{" + MESSAGES + ",\"max_tokens\":40,\"ignore_eos\":true}");
        String text = plain.at("/choices/0/message/content").textValue();
        for (int at = 1; at < text.length() - 3; at += 7) {
            String stop = text.substring(at, at + 3);
            String body = "{" + MESSAGES + ",\"max_tokens\":40,\"ignore_eos\":true,\"stop\":" + quoted(stop)
                    + ",\"prediction\":{\"type\":\"content\",\"content\":" + quoted(text) + "}}";

            JsonNode choice = api.answer(PATH, body).at("/choices/0");

            assertThat(choice.at("/message/content").textValue()).isEqualTo(text.substring(0, text.indexOf(stop)));
            assertThat(choice.path("finish_reason").textValue()).isEqualTo("stop");
        }
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
