package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion.VersionFlag;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Anthropic's Messages API, over the demo model. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class MessagesTest {
    private static final String PATH = "/v1/messages";
    private static final String SCHEMA =
            "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"maxLength\":8},"
                    + "\"unit\":{\"enum\":[\"C\",\"F\"]}},\"required\":[\"city\",\"unit\"],\"additionalProperties\":false}";

    @TestHTTPResource("/")
    URI root;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    /** Puts events together as Anthropic's client does, and checks their order. */
    static JsonNode assembled(String stream) {
        ObjectNode message = ApiClient.JSON.createObjectNode();
        StringBuilder input = new StringBuilder();
        List<String> types = new ArrayList<>();
        for (JsonNode data : ApiClient.namedEvents(stream)) {
            String type = data.path("type").textValue();
            types.add(type);
            ArrayNode content = message.withArray("content");
            switch (type) {
                case "message_start" -> message.setAll((ObjectNode) data.path("message"));
                case "content_block_start" -> {
                    assertThat(data.path("index").intValue()).isEqualTo(content.size());
                    content.add(data.path("content_block"));
                    input.setLength(0);
                }
                case "content_block_delta" -> {
                    assertThat(data.path("index").intValue()).isEqualTo(content.size() - 1);
                    ObjectNode block = (ObjectNode) content.get(content.size() - 1);
                    JsonNode delta = data.path("delta");
                    switch (delta.path("type").textValue()) {
                        case "text_delta" ->
                            block.put(
                                    "text",
                                    block.path("text").asText()
                                            + delta.path("text").textValue());
                        case "input_json_delta" ->
                            input.append(delta.path("partial_json").textValue());
                        default -> throw new AssertionError(delta);
                    }
                }
                case "content_block_stop" -> {
                    ObjectNode block = (ObjectNode) content.get(content.size() - 1);
                    if (block.path("type").textValue().equals("tool_use")) {
                        block.set("input", ApiClient.json(input.toString()));
                    }
                }
                case "message_delta" -> {
                    message.setAll((ObjectNode) data.path("delta"));
                    message.set("usage", data.path("usage"));
                }
                case "message_stop" -> {}
                default -> throw new AssertionError(type);
            }
        }
        assertThat(String.join(" ", types))
                .matches("message_start( content_block_start( content_block_delta)* content_block_stop)*"
                        + " message_delta message_stop");
        message.put("id", "");
        return withoutIds(message);
    }

    private static JsonNode withoutIds(JsonNode message) {
        ((ObjectNode) message).put("id", "");
        message.path("content").forEach(block -> ((ObjectNode) block).remove("id"));
        return message;
    }

    private static String request(String more) {
        return "{\"max_tokens\":20,\"system\":\"Be brief.\",\"messages\":[{\"role\":\"user\",\"content\":\"The king\"}],"
                + "\"temperature\":1,\"seed\":3" + more + "}";
    }

    private static String tools(String choice) {
        return ",\"tools\":[{\"name\":\"weather\",\"input_schema\":" + SCHEMA + "},{\"name\":\"now\",\"input_schema\":"
                + "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}}],\"tool_choice\":" + choice;
    }

    private String stream(String request) throws Exception {
        HttpResponse<String> response = api.post(PATH, request.replaceFirst("}$", ",\"stream\":true}"));
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        assertThat(response.headers().firstValue("Content-Type")).contains("text/event-stream");
        return response.body();
    }

    @Test
    void anAnswerIsThatOfTheChat() throws Exception {
        JsonNode message = api.answer(PATH, request(""));
        JsonNode chat = api.answer(
                "/v1/chat/completions",
                "{\"max_tokens\":20,\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
                        + "{\"role\":\"user\",\"content\":\"The king\"}],\"temperature\":1,\"seed\":3}");
        assertThat(message.path("id").textValue()).startsWith("msg_");
        assertThat(message.path("type").textValue()).isEqualTo("message");
        assertThat(message.path("role").textValue()).isEqualTo("assistant");
        assertThat(message.path("model")).isEqualTo(chat.path("model"));
        assertThat(message.at("/content/0/text")).isEqualTo(chat.at("/choices/0/message/content"));
        assertThat(message.path("stop_reason").textValue()).isEqualTo("max_tokens");
        assertThat(message.path("stop_sequence").isNull()).isTrue();
        assertThat(message.at("/usage/input_tokens")).isEqualTo(chat.at("/usage/prompt_tokens"));
        assertThat(message.at("/usage/output_tokens").intValue()).isEqualTo(20);
    }

    @Test
    void aStreamAddsUpToTheWholeMessage() throws Exception {
        for (String request : List.of(
                request(""),
                request(",\"stop_sequences\":[\"e\"]"),
                request(tools("{\"type\":\"auto\"}")),
                request(tools("{\"type\":\"any\",\"disable_parallel_tool_use\":true}"))
                        .replace("20", "200"),
                request(tools("{\"type\":\"tool\",\"name\":\"now\"}")).replace("20", "200"))) {
            assertThat(assembled(stream(request))).isEqualTo(withoutIds(api.answer(PATH, request)));
        }
    }

    @Test
    void aCallThatMustBeIsValid() throws Exception {
        for (int seed = 0; seed < 4; seed++) {
            JsonNode message = api.answer(
                    PATH,
                    request(tools("{\"type\":\"tool\",\"name\":\"weather\"}"))
                            .replace("20", "200")
                            .replace("\"seed\":3", "\"seed\":" + seed));
            assertThat(message.path("stop_reason").textValue()).isEqualTo("tool_use");
            assertThat(message.path("content").size()).isOne();
            JsonNode call = message.at("/content/0");
            assertThat(call.path("type").textValue()).isEqualTo("tool_use");
            assertThat(call.path("id").textValue()).startsWith("toolu_");
            assertThat(call.path("name").textValue()).isEqualTo("weather");
            assertThat(JsonSchemaFactory.getInstance(VersionFlag.V202012)
                            .getSchema(SCHEMA)
                            .validate(call.path("input")))
                    .isEmpty();
        }
    }

    @Test
    void aStopSequenceIsNamed() throws Exception {
        String text = api.answer(PATH, request("")).at("/content/0/text").textValue();
        String stop = text.substring(4, 6);
        JsonNode message =
                api.answer(PATH, request(",\"stop_sequences\":[\"never\"," + ApiClient.JSON.valueToTree(stop) + "]"));
        assertThat(message.path("stop_reason").textValue()).isEqualTo("stop_sequence");
        assertThat(message.path("stop_sequence").textValue()).isEqualTo(stop);
        assertThat(message.at("/content/0/text").textValue()).isEqualTo(text.substring(0, text.indexOf(stop)));
    }

    @Test
    void anOutputFormatIsKept() throws Exception {
        String format = ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":" + SCHEMA + "}}";
        JsonNode message = api.answer(PATH, request(format).replace("20", "200"));
        assertThat(message.path("stop_reason").textValue()).isEqualTo("end_turn");
        assertThat(JsonSchemaFactory.getInstance(VersionFlag.V202012)
                        .getSchema(SCHEMA)
                        .validate(ApiClient.json(message.at("/content/0/text").textValue())))
                .isEmpty();
    }

    /** A conversation of all kinds of blocks is read; its tokens are those that a message counts. */
    @Test
    void aHistoryIsRead() throws Exception {
        String history = "{\"system\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
                + "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},"
                + "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"c\",\"signature\":\"\"},"
                + "{\"type\":\"text\",\"text\":\"d\"},{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"now\","
                + "\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
                + "\"toolu_1\",\"content\":[{\"type\":\"text\",\"text\":\"noon\"}]},{\"type\":\"text\",\"text\":\"e\"}]}]"
                + tools("{\"type\":\"auto\"}") + "}";
        int counted =
                api.answer(PATH + "/count_tokens", history).path("input_tokens").intValue();
        JsonNode message = api.answer(PATH, history.replaceFirst("}$", ",\"max_tokens\":1}"));
        assertThat(message.at("/usage/input_tokens").intValue()).isEqualTo(counted);
        String prefilled = "{\"messages\":[{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\","
                + "\"content\":\"He\"}],\"max_tokens\":4}";
        assertThat(api.answer(PATH, prefilled).at("/usage/output_tokens").intValue())
                .isEqualTo(4);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '!',
            value = {
                "{'messages':[]} | 400 | invalid_request_error | max_tokens is missing or null, must be given.",
                "{'max_tokens':1} | 400 | invalid_request_error | messages is missing or null, must be given.",
                "{'max_tokens':1,'messages':[]} | 400 | invalid_request_error | messages is a list of 0, must have at least 1.",
                "[] | 400 | invalid_request_error | The body is a list, must be an object.",
                "{ | 400 | invalid_request_error | The body is not JSON",
                "{'max_tokens':0,'messages':[]} | 400 | invalid_request_error | max_tokens is 0, must be greater than or equal to 1.",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'temperature':1.5} | 400 | invalid_request_error | temperature is 1.5, must be less than or equal to 1.",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'model':'claude'} | 404 | not_found_error | model is \"claude\", which is not served here",
                "{'max_tokens':99999,'messages':[{'role':'user','content':'a'}]} | 400 | invalid_request_error | This model's context is",
                "{'max_tokens':1,'messages':[{'role':'user','content':[{'type':'image'}]}]} | 400 | invalid_request_error | messages[0].content[0].type is \"image\", must be",
                "{'max_tokens':1,'messages':[{'role':'system','content':'a'}]} | 400 | invalid_request_error | messages[0].role is \"system\", must be",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'tools':[{'name':'a b','input_schema':{}}]} | 400 | invalid_request_error | tools[0].name is \"a b\", must be 1 to 64",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'tools':[{'name':'a','input_schema':{'type':'array'}}]} | 400 | invalid_request_error | tools[0].input_schema.type is \"array\", must be \"object\"",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'tools':[{'type':'bash_20250124','name':'bash'}]} | 400 | invalid_request_error | tools[0].type is \"bash_20250124\", must be \"custom\"",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'tool_choice':{'type':'any'}} | 400 | invalid_request_error | tool_choice asks for a call, but there are no tools.",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'n':2} | 400 | invalid_request_error | n is 2, must be left out",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'top_k':-2} | 400 | invalid_request_error | top_k is -2, must be greater than or equal to -1.",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'mirostat':2} | 400 | invalid_request_error | mirostat is 2, must be left out",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'thread':{'type':'continue'}} | 404 | not_found_error | thread.previous_message_id is of no message",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'thread':{'type':'new'}} | 400 | invalid_request_error | thread.type is \"new\", must be",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'compaction':{'type':'a'}} | 400 | invalid_request_error | compaction is given, must be left out",
                "{'max_tokens':1,'messages':[{'role':'user','content':'a'}],'mcp_servers':[{}]} | 400 | invalid_request_error | mcp_servers is given, must be left out",
            })
    void anErrorHasAnthropicsShapeAndNames(String body, int status, String type, String message) throws Exception {
        HttpResponse<String> response = api.post(PATH, body.replace('\'', '"'));
        assertThat(response.statusCode()).as(response.body()).isEqualTo(status);
        JsonNode error = ApiClient.json(response.body());
        assertThat(error.path("type").textValue()).isEqualTo("error");
        assertThat(error.at("/error/type").textValue()).isEqualTo(type);
        assertThat(error.at("/error/message").textValue()).startsWith(message);
        assertThat(error.path("error").fieldNames()).toIterable().isSubsetOf("type", "message", "details");
        assertThat(response.headers().firstValue("request-id"))
                .contains(error.path("request_id").textValue());
    }

    @Test
    void whatIsTooLongIsCountedWithinLimits() throws Exception {
        String words = "word ".repeat(600);
        String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + words + "\"}]}";
        assertThat(api.answer(PATH + "/count_tokens", body).path("input_tokens").intValue())
                .isGreaterThan(500);
        assertThat(api.post(PATH, body.replaceFirst("}$", ",\"max_tokens\":1}")).body())
                .contains("This model's context is");
        assertThat(Arrays.asList(404, 405)).contains(api.get(PATH + "/other").statusCode());
        assertThat(ApiClient.json(api.get(PATH + "/other").body()).path("type").textValue())
                .isEqualTo("error");
    }
}
