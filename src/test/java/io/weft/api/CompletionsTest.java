package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code /v1/completions}, byte by byte and by what must hold for every request. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class CompletionsTest {
    private static final String PATH = "/v1/completions";

    @TestHTTPResource("/")
    URI root;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    /** With what differs each time replaced. */
    private static String steady(String body) {
        return body.replaceAll("\"id\":\"cmpl-[0-9a-f]{32}\",", "\"id\":\"ID\",")
                .replaceAll("\"created\":\\d{10},", "\"created\":0,");
    }

    private static String head() {
        return "{\"id\":\"ID\",\"object\":\"text_completion\",\"created\":0,\"model\":\"test-model\",\"choices\":[";
    }

    private static String frame(String choices) {
        return "data: " + head() + choices + "]}\n\n";
    }

    private static String part(String text, String finish) {
        return "{\"index\":0,\"text\":\"" + text + "\",\"logprobs\":null,\"finish_reason\":" + finish + "}";
    }

    @Test
    void aStreamHasOneFrameForEachTokenAndOneForTheEnd() throws Exception {
        HttpResponse<String> response = api.post(
                PATH,
                "{\"prompt\":\"The king\",\"max_tokens\":4,\"ignore_eos\":true,\"stream\":true}",
                "x-request-id",
                "request-7");

        assertThat(steady(response.body()))
                .isEqualTo(frame(part("d", "null"))
                        + frame(part("om", "null"))
                        + frame(part(" of", "null"))
                        + frame(part(" the", "\"length\""))
                        + "data: [DONE]\n\n");
        assertThat(response.headers().firstValue("content-type")).hasValue("text/event-stream");
        assertThat(response.headers().firstValue("cache-control")).hasValue("no-cache");
        assertThat(response.headers().firstValue("x-accel-buffering")).hasValue("no");
        assertThat(response.headers().firstValue("x-request-id")).hasValue("request-7");
    }

    /** As in chats, it saves passes and changes nothing. */
    @Test
    void aPredictionIsTakenAsADraft() throws Exception {
        String body = "{\"prompt\":\"The king\",\"max_tokens\":40,\"ignore_eos\":true%s}";
        JsonNode plain = api.answer(PATH, body.formatted(""));
        String text = plain.at("/choices/0/text").toString();
        JsonNode predicted =
                api.answer(PATH, body.formatted(",\"prediction\":{\"type\":\"content\",\"content\":" + text + "}"));

        assertThat(predicted.path("choices")).isEqualTo(plain.path("choices"));
        assertThat(predicted
                        .at("/usage/completion_tokens_details/accepted_prediction_tokens")
                        .intValue())
                .isGreaterThan(20);
    }

    /** Characters are code points, and one may be split over tokens. */
    @Test
    void offsetsCountTheCharactersBeforeAToken() throws Exception {
        String body =
                "{\"prompt\":\"caf\u00e9 x\",\"echo\":true,\"logprobs\":0,\"max_tokens\":2,\"temperature\":0,\"ignore_eos\":true%s}";
        JsonNode whole = api.answer(PATH, body.formatted("")).at("/choices/0");
        assertThat(whole.at("/logprobs/text_offset")).hasToString("[0,0,1,2,3,3,4,5,6,7]");

        StringBuilder streamed = new StringBuilder();
        for (String line :
                api.post(PATH, body.formatted(",\"stream\":true")).body().split("\n\n", -1)) {
            JsonNode offsets = line.contains("text_offset")
                    ? ApiClient.json(line.substring("data: ".length())).at("/choices/0/logprobs/text_offset")
                    : ApiClient.JSON.createArrayNode();
            offsets.forEach(offset -> streamed.append(offset).append(' '));
        }
        assertThat(streamed).hasToString("0 0 1 2 3 3 4 5 6 7 ");
    }

    @Test
    void usageComesLastAndIsNullBefore() throws Exception {
        HttpResponse<String> response = api.post(
                PATH,
                "{\"prompt\":\"The king\",\"max_tokens\":1,\"ignore_eos\":true,\"stream\":true,\"stream_options\":{\"include_usage\":true}}");

        assertThat(steady(response.body()))
                .isEqualTo("data: " + head() + part("d", "\"length\"") + "],\"usage\":null}\n\n"
                        + "data: " + head()
                        + "],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0},\"total_tokens\":5}}\n\n"
                        + "data: [DONE]\n\n");
    }

    @Test
    void usageOnEveryChunkCountsUp() throws Exception {
        HttpResponse<String> response = api.post(
                PATH,
                "{\"prompt\":[5,6],\"max_tokens\":3,\"ignore_eos\":true,\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true}}");

        assertThat(ApiClient.chunks(response.body()))
                .extracting(chunk -> chunk.at("/usage/completion_tokens").intValue())
                .containsExactly(1, 2, 3, 3);
    }

    @Test
    void aWholeAnswer() throws Exception {
        HttpResponse<String> response = api.post(
                PATH, "{\"prompt\":\"The king\",\"max_tokens\":4,\"ignore_eos\":true,\"unknown\":{\"a\":[1]}}");

        assertThat(steady(response.body()))
                .isEqualTo(
                        head() + part("dom of the", "\"length\"")
                                + "],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0},\"total_tokens\":8}}");
        assertThat(response.headers().firstValue("content-type")).hasValue("application/json");
        assertThat(response.headers().firstValue("x-request-id")).isPresent();
    }

    @Test
    void nullsMeanDefaults() throws Exception {
        String nulls = """
                {"prompt":"The king","model":null,"max_tokens":null,"max_completion_tokens":null,"temperature":null,
                 "top_p":null,"top_k":null,"min_p":null,"presence_penalty":null,"frequency_penalty":null,
                 "repetition_penalty":null,"logit_bias":null,"seed":null,"stop":null,"n":null,"best_of":null,
                 "stream":null,"stream_options":null,"ignore_eos":null,"skip_special_tokens":null,"echo":null,
                 "return_token_ids":null,"prompt_logprobs":null,"logprobs":null,"suffix":null,"user":null}
                """;

        JsonNode answer = api.answer(PATH, nulls);

        assertThat(answer.path("choices"))
                .isEqualTo(api.answer(PATH, "{\"prompt\":\"The king\"}").path("choices"));
        assertThat(answer.at("/usage/completion_tokens").intValue()).isBetween(1, 16);
    }

    @Test
    void whatIsNotSupportedMayBeOff() throws Exception {
        String off = """
                {"prompt":"The king","response_format":{"type":"text"},"guided_json":null,"guided_choice":[],
                 "guided_regex":"","guided_grammar":null,"min_tokens":0,"stop_token_ids":[],"allowed_token_ids":null,
                 "bad_words":[],"include_stop_str_in_output":false}
                """;

        assertThat(api.answer(PATH, off).path("choices"))
                .isEqualTo(api.answer(PATH, "{\"prompt\":\"The king\"}").path("choices"));
    }

    /** Sampling, several choices, several prompts, echo, stops: what is streamed is what is answered at once. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"prompt\":\"Once upon a time\",\"max_tokens\":40,\"temperature\":1,\"seed\":1",
                "\"prompt\":\"Once upon a time\",\"max_tokens\":40,\"temperature\":2,\"seed\":2,\"ignore_eos\":true",
                "\"prompt\":\"It was\",\"max_tokens\":20,\"temperature\":1,\"seed\":3,\"n\":3",
                "\"prompt\":[\"It was\",\"She said\"],\"max_tokens\":20,\"temperature\":1,\"seed\":4,\"n\":2",
                "\"prompt\":[[5,6,7],[8]],\"max_tokens\":9,\"echo\":true",
                "\"prompt\":\"é \uD83D\uDE00 it was\",\"max_tokens\":5,\"echo\":true",
                "\"prompt\":\"It was\",\"max_tokens\":0,\"echo\":true",
                "\"prompt\":\"Once upon a time\",\"max_tokens\":60,\"temperature\":1.5,\"seed\":5,\"stop\":[\"e \",\"the\"]",
                "\"prompt\":\"Once upon a time\",\"max_tokens\":60,\"temperature\":1,\"seed\":6,\"stop\":\"a\",\"echo\":true",
                "\"prompt\":\"Once\",\"max_tokens\":12,\"temperature\":2,\"seed\":7,\"skip_special_tokens\":false",
                "\"prompt\":\"Once\",\"max_tokens\":12,\"logprobs\":3,\"echo\":true",
                "\"prompt\":\"Once\",\"max_tokens\":12,\"temperature\":2,\"seed\":9,\"logprobs\":0",
                "\"prompt\":\"Once\",\"max_tokens\":60,\"temperature\":1,\"seed\":10,\"stop\":[\" the\",\"a\"],\"include_stop_str_in_output\":true",
                "\"prompt\":\"Once upon a time there was\",\"max_tokens\":9,\"truncate_prompt_tokens\":3,\"echo\":true,\"logprobs\":0",
            })
    void streamedAndWholeAreTheSame(String fields) throws Exception {
        JsonNode whole = api.answer(PATH, "{" + fields + "}");
        HttpResponse<String> stream =
                api.post(PATH, "{" + fields + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
        List<JsonNode> chunks = ApiClient.chunks(stream.body());

        assertThat(chunks.getLast().path("choices")).isEmpty();
        assertThat(chunks.getLast().path("usage")).isEqualTo(whole.path("usage"));
        for (JsonNode choice : whole.path("choices")) {
            int index = choice.path("index").intValue();
            assertThat(ApiClient.streamedText(chunks, index))
                    .isEqualTo(choice.path("text").textValue());
            List<JsonNode> parts = parts(chunks, index);
            assertThat(parts.getLast().path("finish_reason")).isEqualTo(choice.path("finish_reason"));
            assertThat(parts.subList(0, parts.size() - 1))
                    .allMatch(part -> part.path("finish_reason").isNull());
            for (String list : List.of("tokens", "token_logprobs", "top_logprobs", "text_offset")) {
                assertThat(parts.stream()
                                .flatMap(
                                        part -> part.path("logprobs").path(list).valueStream())
                                .toList())
                        .isEqualTo(
                                choice.path("logprobs").path(list).valueStream().toList());
            }
        }
    }

    private static List<JsonNode> parts(List<JsonNode> chunks, int index) {
        return chunks.stream()
                .flatMap(chunk -> chunk.path("choices").valueStream())
                .filter(part -> part.path("index").intValue() == index)
                .toList();
    }

    @Test
    void choicesAreNumberedPromptByPrompt() throws Exception {
        JsonNode answer =
                api.answer(PATH, "{\"prompt\":[\"It was\",\"She said\"],\"n\":3,\"max_tokens\":2,\"echo\":true}");

        assertThat(answer.path("choices"))
                .extracting(choice -> choice.path("index").intValue())
                .containsExactly(0, 1, 2, 3, 4, 5);
        assertThat(answer.path("choices"))
                .extracting(choice -> choice.path("text").textValue().substring(0, 6))
                .containsExactly("It was", "It was", "It was", "She sa", "She sa", "She sa");
    }

    /** Prompt tokens count once, completion tokens for every choice. */
    @Test
    void usageOfSeveralChoices() throws Exception {
        JsonNode answer = api.answer(PATH, "{\"prompt\":[[5,6,7],[8]],\"n\":2,\"max_tokens\":3,\"ignore_eos\":true}");

        assertThat(answer.path("usage").toString())
                .isEqualTo(
                        "{\"prompt_tokens\":4,\"completion_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0},\"total_tokens\":16}");
    }

    @Test
    void aStopEndsTheTextBeforeIt() throws Exception {
        String fields = "\"prompt\":\"Once upon a time\",\"max_tokens\":60,\"ignore_eos\":true";
        String full = api.answer(PATH, "{" + fields + "}").at("/choices/0/text").textValue();
        for (int start = 0; start < 40; start += 7) {
            String stop = full.substring(start, start + 3);
            JsonNode stopped = api.answer(
                    PATH,
                    "{" + fields + ",\"stop\":" + ApiClient.JSON.writeValueAsString(List.of(stop, "\u0001")) + "}");
            assertThat(stopped.at("/choices/0/text").textValue()).isEqualTo(full.substring(0, full.indexOf(stop)));
            assertThat(stopped.at("/choices/0/finish_reason").textValue()).isEqualTo("stop");
        }
    }

    /** Each chunk is a token, for those who count them, and the last says why it is the last. */
    @ParameterizedTest
    @ValueSource(strings = {"", ",\"stop\":\" of\"", ",\"stop_token_ids\":[%d]", ",\"logprobs\":1"})
    void aStreamHasAsManyChunksAsTokens(String more) throws Exception {
        JsonNode ids = api.answer(
                        PATH,
                        "{\"prompt\":\"The king\",\"max_tokens\":9,\"ignore_eos\":true,\"return_token_ids\":true}")
                .at("/choices/0/token_ids");
        List<JsonNode> chunks = ApiClient.chunks(api.post(
                        PATH,
                        "{\"prompt\":\"The king\",\"max_tokens\":9,\"ignore_eos\":true,\"return_token_ids\":true,\"stream\":true%s}"
                                .formatted(more.formatted(ids.get(5).intValue())))
                .body());

        assertThat(chunks)
                .hasSizeGreaterThan(1)
                .allSatisfy(
                        chunk -> assertThat(chunk.at("/choices/0/token_ids")).hasSize(1));
        assertThat(chunks.getLast().at("/choices/0/finish_reason").textValue())
                .isEqualTo(chunks.size() == 9 ? "length" : "stop");
    }

    @Test
    void aStopIsShownOnRequest() throws Exception {
        String fields = "\"prompt\":\"Once upon a time\",\"max_tokens\":60,\"ignore_eos\":true";
        String full = api.answer(PATH, "{" + fields + "}").at("/choices/0/text").textValue();
        String stop = full.substring(20, 24);
        JsonNode shown = api.answer(
                PATH,
                "{" + fields + ",\"include_stop_str_in_output\":true,\"stop\":"
                        + ApiClient.JSON.writeValueAsString(stop) + "}");

        assertThat(shown.at("/choices/0/text").textValue())
                .isEqualTo(full.substring(0, full.indexOf(stop) + stop.length()));
    }

    /** Stop tokens and stop strings of the first tokens do not count. */
    @Test
    void nothingEndsTheTextBeforeItsLeastLength() throws Exception {
        String fields = "\"prompt\":\"Once upon a time\",\"max_tokens\":40,\"return_token_ids\":true";
        JsonNode barred = api.answer(
                PATH, "{" + fields + ",\"stop_token_ids\":[300],\"min_tokens\":7,\"logit_bias\":{\"300\":100}}");
        assertThat(barred.at("/choices/0/token_ids")).hasSize(8);
        assertThat(barred.at("/choices/0/token_ids/7").intValue()).isEqualTo(300);

        // A letter that nearly every token has.
        JsonNode stopped = api.answer(
                PATH, "{" + fields + ",\"ignore_eos\":true,\"stop\":[\"e\",\"a\",\"o\",\" \"],\"min_tokens\":20}");
        assertThat(stopped.at("/choices/0/token_ids").size()).isBetween(21, 39);
        assertThat(stopped.at("/choices/0/text").textValue()).contains("e", "a", "o", " ");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, -1})
    void aPromptIsTruncatedFromTheLeft(int most) throws Exception {
        List<Integer> prompt =
                IntStream.range(0, 600).mapToObj(i -> 5 + i % 200).toList();
        int kept = most > 0 ? most : TestService.CONTEXT_TOKENS - 4;
        String fields = ",\"max_tokens\":4,\"ignore_eos\":true,\"prompt\":";

        JsonNode truncated = api.answer(PATH, "{\"truncate_prompt_tokens\":" + most + fields + prompt + "}");

        assertThat(truncated.at("/usage/prompt_tokens").intValue()).isEqualTo(kept);
        assertThat(truncated.path("choices"))
                .isEqualTo(api.answer(PATH, "{\"n\":1" + fields + prompt.subList(600 - kept, 600) + "}")
                        .path("choices"));
    }

    /** The demo's {@code </s>}, which also begins a text. */
    @Test
    void aPromptMaySpellControlTokensOnRequest() throws Exception {
        String fields = "\"prompt\":\"a</s>b\",\"max_tokens\":1,\"return_token_ids\":true";
        for (String path : List.of(PATH, "/tokenize")) {
            String ids = path.equals(PATH) ? "/choices/0/prompt_token_ids" : "/tokens";
            String plain = api.answer(path, "{" + fields + "}").at(ids).toString();
            String read = api.answer(path, "{" + fields + ",\"parse_special\":true}")
                    .at(ids)
                    .toString();

            assertThat(plain).startsWith("[2,").doesNotContain(",2,");
            assertThat(read).matches("\\[2,\\d+,2,\\d+]");
            assertThat(api.answer(path, "{" + fields + ",\"add_special_tokens\":true}")
                            .at(ids)
                            .toString())
                    .isEqualTo(read);
            assertThat(api.answer(path, "{" + fields + ",\"add_special_tokens\":true,\"parse_special\":false}")
                            .at(ids)
                            .toString())
                    .isEqualTo(plain);
            assertThat(api.answer(path, "{" + fields + ",\"add_special_tokens\":false,\"parse_special\":true}")
                            .at(ids)
                            .toString())
                    .isEqualTo("[" + read.substring(3));
        }
    }

    @Test
    void anotherNameOfThePenaltyHasItsEffect() throws Exception {
        String fields = "\"prompt\":\"Once upon a time\",\"max_tokens\":30,\"ignore_eos\":true";
        JsonNode penalized =
                api.answer(PATH, "{" + fields + ",\"repetition_penalty\":1.5}").path("choices");

        assertThat(api.answer(PATH, "{" + fields + ",\"repeat_penalty\":1.5}").path("choices"))
                .isEqualTo(penalized)
                .isNotEqualTo(api.answer(PATH, "{" + fields + "}").path("choices"));
    }

    @Test
    void theSameSeedGivesTheSameText() throws Exception {
        String request = "{\"prompt\":\"Once\",\"max_tokens\":30,\"temperature\":2,\"ignore_eos\":true,\"seed\":%d}";
        String first =
                api.answer(PATH, request.formatted(11)).at("/choices/0/text").textValue();

        assertThat(api.answer(PATH, request.formatted(11)).at("/choices/0/text").textValue())
                .isEqualTo(first);
        assertThat(api.answer(PATH, request.formatted(12)).at("/choices/0/text").textValue())
                .isNotEqualTo(first);
    }

    @Test
    void aBiasedTokenIsAlwaysTaken() throws Exception {
        JsonNode answer = api.answer(
                PATH,
                "{\"prompt\":\"Once\",\"max_tokens\":5,\"ignore_eos\":true,\"return_token_ids\":true,\"logit_bias\":{\"300\":100}}");

        assertThat(answer.at("/choices/0/token_ids").toString()).isEqualTo("[300,300,300,300,300]");
    }

    @Test
    void logprobsOfAPromptWithoutACompletion() throws Exception {
        JsonNode choice = api.answer(
                        PATH,
                        "{\"prompt\":[5,6,7],\"max_tokens\":0,\"echo\":true,\"logprobs\":2,\"prompt_logprobs\":1}")
                .at("/choices/0");

        assertThat(choice.at("/logprobs/tokens")).hasSize(3);
        assertThat(choice.at("/logprobs/token_logprobs/0").isNull()).isTrue();
        assertThat(choice.at("/logprobs/top_logprobs/0").isNull()).isTrue();
        // Two alternatives, and the token itself if it is none of them.
        assertThat(choice.at("/logprobs/top_logprobs/1").size()).isBetween(2, 3);
        assertThat(choice.at("/prompt_logprobs/0").isNull()).isTrue();
        assertThat(choice.at("/prompt_logprobs/1/6/logprob").doubleValue())
                .isEqualTo(choice.at("/logprobs/token_logprobs/1").doubleValue());
        assertThat(choice.at("/finish_reason").textValue()).isEqualTo("length");
    }

    /** Special tokens that the text does not show take no room in it, such as the demo's {@code </s>} at the start. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"prompt\":\"The king said\"",
                "\"prompt\":\"The king said\",\"skip_special_tokens\":false",
                "\"prompt\":[2,500,2,600]",
                "\"prompt\":[2,500,2,600],\"skip_special_tokens\":false",
                // The model is made to write </s>.
                "\"prompt\":[500],\"logit_bias\":{\"2\":100}"
            })
    void textOffsetsAreThoseOfTheText(String prompt) throws Exception {
        String fields = prompt + ",\"max_tokens\":3,\"ignore_eos\":true,\"echo\":true,\"logprobs\":0";
        JsonNode choice = api.answer(PATH, "{" + fields + "}").at("/choices/0");
        String text = choice.path("text").textValue();
        JsonNode logprobs = choice.path("logprobs");

        int tokens = logprobs.path("tokens").size();
        assertThat(logprobs.path("text_offset")).hasSize(tokens);
        for (int i = 0; i < tokens; i++) {
            int start = logprobs.path("text_offset").path(i).intValue();
            int end = i + 1 < tokens ? logprobs.path("text_offset").path(i + 1).intValue() : text.length();
            String token = logprobs.path("tokens").path(i).textValue();
            assertThat(text.substring(start, end)).isIn(token, token.equals("</s>") ? "" : token);
        }

        List<JsonNode> chunks = ApiClient.chunks(
                api.post(PATH, "{" + fields + ",\"stream\":true}").body());
        assertThat(parts(chunks, 0).stream()
                        .flatMap(part -> part.at("/logprobs/text_offset").valueStream())
                        .toList())
                .isEqualTo(logprobs.path("text_offset").valueStream().toList());
    }

    @Test
    void withoutALimitTheContextIsNotExceeded() throws Exception {
        String prompt = IntStream.range(0, TestService.CONTEXT_TOKENS - 3)
                .mapToObj(i -> "" + (5 + i % 200))
                .toList()
                .toString();

        JsonNode answer = api.answer(PATH, "{\"ignore_eos\":true,\"prompt\":" + prompt + "}");

        assertThat(answer.at("/usage/completion_tokens").intValue()).isEqualTo(3);
    }

    @Test
    void streamsAtTheSameTimeDoNotMix() throws Exception {
        List<String> requests = IntStream.range(0, TestService.SEQUENCES)
                .mapToObj(i ->
                        "{\"prompt\":\"It was number %d\",\"max_tokens\":%d,\"temperature\":1,\"seed\":%d,\"ignore_eos\":true,\"stream\":true}"
                                .formatted(i, 20 + 7 * i, i))
                .toList();
        List<String> alone = new ArrayList<>();
        for (String request : requests) {
            alone.add(ApiClient.streamedText(
                    ApiClient.chunks(api.post(PATH, request).body()), 0));
        }

        List<CompletableFuture<HttpResponse<String>>> together =
                requests.stream().map(request -> api.postAsync(PATH, request)).toList();

        assertThat(together.stream()
                        .map(response -> ApiClient.streamedText(
                                ApiClient.chunks(response.join().body()), 0))
                        .toList())
                .isEqualTo(alone)
                .doesNotHaveDuplicates();
    }
}
