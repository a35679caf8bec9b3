package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion.VersionFlag;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Tools in chats. The demo model's text is nonsense; what it calls under a constraint is valid all the same. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class ToolsTest {
    private static final String PATH = "/v1/chat/completions";
    private static final Map<String, String> SCHEMAS = Map.of(
            "weather",
            "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"maxLength\":8},"
                    + "\"unit\":{\"enum\":[\"C\",\"F\"]},\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}},"
                    + "\"required\":[\"city\",\"unit\",\"days\"],\"additionalProperties\":false}",
            "now",
            "{\"type\":\"object\",\"properties\":{\"zone\":{\"enum\":[\"UTC\",\"CET\"]}},\"required\":[\"zone\"],"
                    + "\"additionalProperties\":false}");

    @TestHTTPResource("/")
    URI root;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    private static String tool(String name, String more) {
        return "{\"type\":\"function\",\"function\":{\"name\":\"" + name + "\",\"parameters\":" + SCHEMAS.get(name)
                + more + "}}";
    }

    private static String chat(String more) {
        return chat("", more);
    }

    private static String chat(String strict, String more) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"The king\"}],\"tools\":[" + tool("weather", strict)
                + "," + tool("now", strict) + "],\"max_tokens\":190,\"temperature\":1" + more + "}";
    }

    private static void assertValid(JsonNode message) throws Exception {
        assertThat(message.path("tool_calls").isEmpty()).isFalse();
        assertThat(message.path("content").isNull()).isTrue();
        assertThat(message.path("role").textValue()).isEqualTo("assistant");
        Set<String> ids = new HashSet<>();
        for (JsonNode call : message.path("tool_calls")) {
            assertThat(call.path("type").textValue()).isEqualTo("function");
            assertThat(call.path("id").textValue()).matches("call_[0-9A-Za-z]{24}");
            ids.add(call.path("id").textValue());
            JsonNode function = call.path("function");
            JsonSchema schema = JsonSchemaFactory.getInstance(VersionFlag.V202012)
                    .getSchema(SCHEMAS.get(function.path("name").textValue()));
            assertThat(schema.validate(
                            ApiClient.JSON.readTree(function.path("arguments").textValue())))
                    .as("%s", function)
                    .isEmpty();
        }
        assertThat(ids).hasSameSizeAs(message.path("tool_calls"));
    }

    /** Waits for no end of the model's: after a call there may be another one, forever. */
    @Test
    void aRequiredCallObeysItsSchema() throws Exception {
        for (int seed = 0; seed < 3; seed++) {
            String more = ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"seed\":" + seed;
            JsonNode choice = api.answer(PATH, chat(more)).at("/choices/0");
            assertThat(choice.path("finish_reason").textValue()).isEqualTo("tool_calls");
            assertValid(choice.path("message"));
            assertThat(choice.at("/message/tool_calls").size()).isOne();
        }
    }

    @Test
    void aNamedFunctionIsCalledInEachChoice() throws Exception {
        JsonNode answer = api.answer(
                PATH,
                chat(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"now\"}},\"n\":3,\"seed\":1"));
        assertThat(answer.path("choices").size()).isEqualTo(3);
        for (JsonNode choice : answer.path("choices")) {
            assertThat(choice.path("finish_reason").textValue()).isEqualTo("tool_calls");
            assertValid(choice.path("message"));
            assertThat(choice.at("/message/tool_calls/0/function/name").textValue())
                    .isEqualTo("now");
        }
    }

    /** Puts chunks together as OpenAI's clients do; ids are of the response, so they are left out. */
    private static Map<Integer, ObjectNode> assembled(List<JsonNode> chunks) {
        Map<Integer, ObjectNode> choices = new HashMap<>();
        for (JsonNode chunk : chunks) {
            for (JsonNode part : chunk.path("choices")) {
                ObjectNode choice = choices.computeIfAbsent(
                        part.path("index").intValue(), index -> ApiClient.JSON.createObjectNode());
                JsonNode delta = part.path("delta");
                if (!delta.path("content").asText().isEmpty()) {
                    choice.put(
                            "content",
                            choice.path("content").asText()
                                    + delta.path("content").asText());
                }
                ArrayNode calls = choice.withArray("calls");
                for (JsonNode call : delta.path("tool_calls")) {
                    JsonNode function = call.path("function");
                    if (call.has("id")) {
                        assertThat(call.path("index").intValue()).isEqualTo(calls.size());
                        calls.addObject()
                                .put("name", function.path("name").textValue())
                                .put("arguments", "");
                    }
                    ObjectNode last = (ObjectNode) calls.get(call.path("index").intValue());
                    last.put(
                            "arguments",
                            last.path("arguments").asText()
                                    + function.path("arguments").asText());
                }
                if (!part.path("finish_reason").isNull()) {
                    choice.set("finish_reason", part.path("finish_reason"));
                }
                int logprobs = part.at("/logprobs/content").size();
                choice.put("logprobs", choice.path("logprobs").intValue() + logprobs);
            }
        }
        return choices;
    }

    private static Map<Integer, ObjectNode> whole(JsonNode answer) {
        Map<Integer, ObjectNode> choices = new HashMap<>();
        for (JsonNode part : answer.path("choices")) {
            ObjectNode choice = ApiClient.JSON.createObjectNode();
            JsonNode message = part.path("message");
            if (!message.path("content").asText("").isEmpty()) {
                choice.set("content", message.path("content"));
            }
            ArrayNode calls = choice.withArray("calls");
            message.path("tool_calls").forEach(call -> calls.add(call.path("function")));
            choice.set("finish_reason", part.path("finish_reason"));
            choice.put("logprobs", part.at("/logprobs/content").size());
            choices.put(part.path("index").intValue(), choice);
        }
        return choices;
    }

    @Test
    void aStreamAddsUpToTheWholeAnswer() throws Exception {
        List<String> requests = new ArrayList<>();
        requests.add(chat(
                ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"n\":2,\"seed\":3,\"logprobs\":true"));
        requests.add(chat(",\"tool_choice\":\"required\",\"seed\":4"));
        requests.add(chat(",\"seed\":5").replace("\"max_tokens\":190", "\"max_tokens\":20"));
        requests.add(chat(",\"strict\":true", ",\"seed\":6").replace("\"max_tokens\":190", "\"max_tokens\":20"));
        for (String request : requests) {
            List<JsonNode> chunks = ApiClient.chunks(api.post(PATH, request.replaceFirst("}$", ",\"stream\":true}"))
                    .body());
            assertThat(assembled(chunks)).isEqualTo(whole(api.answer(PATH, request)));
        }
    }

    @Test
    void withoutACallTheAnswerIsTheSameAsWithoutParsing() throws Exception {
        String request = chat(",\"seed\":7").replace("\"max_tokens\":190", "\"max_tokens\":30");
        JsonNode tokens = api.answer("/tokenize", request);
        JsonNode completion = api.answer(
                "/v1/completions",
                "{\"prompt\":" + tokens.path("tokens") + ",\"max_tokens\":30,\"temperature\":1,\"seed\":7}");
        JsonNode choice = api.answer(PATH, request).at("/choices/0");
        assertThat(choice.at("/message/content")).isEqualTo(completion.at("/choices/0/text"));
        assertThat(choice.at("/message/tool_calls").isMissingNode()).isTrue();
    }

    @Test
    void theModelReadsToolsCallsAndResults() throws Exception {
        String history =
                "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
                        + "\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"now\","
                        + "\"arguments\":\"{\\\"zone\\\": \\\"UTC\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_1\","
                        + "\"content\":\"noon\"}],\"tools\":[" + tool("now", "") + "]}";
        JsonNode tokens = api.answer("/tokenize", history).path("tokens");
        String prompt = api.answer("/detokenize", "{\"tokens\":" + tokens + "}")
                .path("prompt")
                .textValue();
        assertThat(prompt.replaceFirst("^ ", ""))
                .endsWith("a\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {\"zone\": \"UTC\"}}\n</tool_call>"
                        + "\n\nnoon\n\n")
                .startsWith("{\"type\": \"function\", \"function\": {\"name\": \"now\", \"parameters\": ");
        JsonNode answer = api.answer(PATH, history.replaceFirst("}$", ",\"max_tokens\":1}"));
        assertThat(answer.at("/usage/prompt_tokens").intValue()).isEqualTo(tokens.size());
    }

    @Test
    void aSchemaThatCannotBeEnforcedIsNamed() throws Exception {
        String wrong = chat(",\"tool_choice\":\"required\"").replace("\"maxLength\":8", "\"not\":{}");
        var response = api.post(PATH, wrong);
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.body())
                .contains("tools: function weather: the schema at /properties/city/not")
                .contains("\"param\":\"tools\"");
        // Nobody asked for it to be enforced.
        assertThat(api.post(PATH, wrong.replace("\"required\"}", "\"auto\"}").replace(":190,", ":1,"))
                        .statusCode())
                .isEqualTo(200);
    }
}
