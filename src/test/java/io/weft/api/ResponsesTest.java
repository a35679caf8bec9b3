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
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** OpenAI's Responses API, over the demo model. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class ResponsesTest {
    private static final String PATH = "/v1/responses";
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

    /** Puts events together as OpenAI's client does, checks what they repeat, and gives the last response. */
    private static JsonNode assembled(String stream) {
        int sequence = 0;
        ArrayNode output = ApiClient.JSON.createArrayNode();
        JsonNode last = null;
        for (JsonNode data : ApiClient.namedEvents(stream)) {
            assertThat(last).as("the last event is the response").isNull();
            String type = data.path("type").textValue();
            assertThat(data.path("sequence_number").intValue()).isEqualTo(sequence);
            sequence++;
            JsonNode item = output.path(data.path("output_index").asInt());
            if (data.has("item_id")) {
                assertThat(data.path("item_id")).isEqualTo(item.path("id"));
            }
            JsonNode part = item.path("content").path(data.path("content_index").asInt());
            switch (type) {
                case "response.created" -> assertThat(sequence).isEqualTo(1);
                case "response.in_progress" -> {
                    assertThat(sequence).isEqualTo(2);
                    assertThat(data.at("/response/status").textValue()).isEqualTo("in_progress");
                    assertThat(data.at("/response/output").isEmpty()).isTrue();
                }
                case "response.output_item.added" -> {
                    assertThat(data.path("output_index").intValue()).isEqualTo(output.size());
                    output.add(data.path("item").deepCopy());
                }
                case "response.content_part.added" ->
                    ((ArrayNode) item.path("content")).add(data.path("part").deepCopy());
                case "response.output_text.delta" -> append(part, "text", data);
                case "response.output_text.done" ->
                    assertThat(data.path("text")).isEqualTo(part.path("text"));
                case "response.content_part.done" ->
                    assertThat(data.path("part")).isEqualTo(part);
                case "response.function_call_arguments.delta" -> append(item, "arguments", data);
                case "response.function_call_arguments.done" ->
                    assertThat(data.path("arguments")).isEqualTo(item.path("arguments"));
                case "response.output_item.done" -> {
                    ((ObjectNode) item).set("status", data.at("/item/status"));
                    assertThat(data.path("item")).isEqualTo(item);
                }
                case "response.completed", "response.incomplete" -> {
                    last = data.path("response");
                    assertThat(type).isEqualTo("response." + last.path("status").textValue());
                    assertThat(last.path("output")).isEqualTo(output);
                }
                default -> throw new AssertionError(type);
            }
        }
        assertThat(last).isNotNull();
        return last;
    }

    private static void append(JsonNode object, String member, JsonNode data) {
        ((ObjectNode) object)
                .put(
                        member,
                        object.path(member).textValue() + data.path("delta").textValue());
    }

    private static JsonNode withoutIds(JsonNode response) {
        ((ObjectNode) response).put("id", "").put("created_at", 0);
        response.path("output")
                .forEach(item -> ((ObjectNode) item).put("id", "").put("call_id", ""));
        return response;
    }

    private static String request(String more) {
        return "{\"max_output_tokens\":20,\"instructions\":\"Be brief.\",\"input\":\"The king\",\"temperature\":1,"
                + "\"seed\":3" + more + "}";
    }

    private static String tools(String choice) {
        return ",\"tools\":[{\"type\":\"function\",\"name\":\"weather\",\"strict\":null,\"parameters\":" + SCHEMA
                + "},{\"type\":\"function\",\"name\":\"now\",\"parameters\":{\"type\":\"object\",\"properties\":{},"
                + "\"additionalProperties\":false}}],\"parallel_tool_calls\":false,\"tool_choice\":" + choice;
    }

    @Test
    void anAnswerIsThatOfTheChat() throws Exception {
        JsonNode response = api.answer(PATH, request(",\"store\":true,\"metadata\":{\"a\":\"b\"}"));
        JsonNode chat = api.answer(
                "/v1/chat/completions",
                "{\"max_tokens\":20,\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
                        + "{\"role\":\"user\",\"content\":\"The king\"}],\"temperature\":1,\"seed\":3}");
        assertThat(response.path("id").textValue()).startsWith("resp_");
        assertThat(response.path("object").textValue()).isEqualTo("response");
        assertThat(response.path("status").textValue()).isEqualTo("incomplete");
        assertThat(response.at("/incomplete_details/reason").textValue()).isEqualTo("max_output_tokens");
        assertThat(response.path("store").booleanValue()).isFalse();
        assertThat(response.at("/metadata/a").textValue()).isEqualTo("b");
        assertThat(response.path("model")).isEqualTo(chat.path("model"));
        assertThat(response.at("/output/0/content/0/text")).isEqualTo(chat.at("/choices/0/message/content"));
        assertThat(response.at("/usage/input_tokens")).isEqualTo(chat.at("/usage/prompt_tokens"));
        assertThat(response.at("/usage/output_tokens").intValue()).isEqualTo(20);
        assertThat(response.at("/usage/total_tokens")).isEqualTo(chat.at("/usage/total_tokens"));
        assertThat(api.answer(PATH + "/input_tokens", request("")).path("input_tokens"))
                .isEqualTo(response.at("/usage/input_tokens"));
    }

    @Test
    void aStreamAddsUpToTheWholeResponse() throws Exception {
        for (String request : List.of(
                request(""),
                request(",\"stop\":null"),
                request(tools("\"auto\"")),
                request(tools("\"required\"")).replace("20", "200"),
                request(tools("{\"type\":\"function\",\"name\":\"now\"}")).replace("20", "200"))) {
            HttpResponse<String> stream = api.post(PATH, request.replaceFirst("}$", ",\"stream\":true}"));
            assertThat(stream.statusCode()).as(stream.body()).isEqualTo(200);
            assertThat(withoutIds(assembled(stream.body()))).isEqualTo(withoutIds(api.answer(PATH, request)));
        }
    }

    @Test
    void aCallThatMustBeIsValid() throws Exception {
        for (int seed = 0; seed < 4; seed++) {
            JsonNode response = api.answer(
                    PATH,
                    request(tools("{\"type\":\"function\",\"name\":\"weather\"}"))
                            .replace("20", "200")
                            .replace("\"seed\":3", "\"seed\":" + seed));
            assertThat(response.path("status").textValue()).isEqualTo("completed");
            assertThat(response.path("output").size()).isOne();
            JsonNode call = response.at("/output/0");
            assertThat(call.path("type").textValue()).isEqualTo("function_call");
            assertThat(call.path("call_id").textValue()).startsWith("call_");
            assertThat(call.path("name").textValue()).isEqualTo("weather");
            assertThat(JsonSchemaFactory.getInstance(VersionFlag.V202012)
                            .getSchema(SCHEMA)
                            .validate(ApiClient.json(call.path("arguments").textValue())))
                    .isEmpty();
        }
    }

    @Test
    void aTextFormatIsKept() throws Exception {
        String format = ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"w\",\"strict\":true,\"schema\":"
                + SCHEMA + "}}";
        JsonNode response = api.answer(PATH, request(format).replace("20", "200"));
        assertThat(response.path("status").textValue()).isEqualTo("completed");
        assertThat(response.at("/text/format/name").textValue()).isEqualTo("w");
        assertThat(JsonSchemaFactory.getInstance(VersionFlag.V202012)
                        .getSchema(SCHEMA)
                        .validate(ApiClient.json(
                                response.at("/output/0/content/0/text").textValue())))
                .isEmpty();
    }

    /** What a response gave may be sent back as it is, with the result of its call. */
    @Test
    void aHistoryIsRead() throws Exception {
        String history = "[{\"role\":\"developer\",\"content\":\"a\"},{\"role\":\"user\",\"content\":"
                + "[{\"type\":\"input_text\",\"text\":\"b\"}]},{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],"
                + "\"content\":[{\"type\":\"reasoning_text\",\"text\":\"c\"}]},{\"type\":\"message\",\"id\":\"msg_1\","
                + "\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"d\","
                + "\"annotations\":[]}]},{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_1\",\"name\":"
                + "\"now\",\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"call_1\","
                + "\"output\":\"noon\"}]";
        String body = "{\"input\":" + history + tools("\"auto\"") + ",\"max_output_tokens\":1}";
        String chat = "{\"messages\":[{\"role\":\"developer\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},"
                + "{\"role\":\"assistant\",\"reasoning_content\":\"c\",\"content\":\"d\",\"tool_calls\":[{\"id\":"
                + "\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"{}\"}}]},"
                + "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"noon\"}],\"tools\":[{\"type\":\"function\","
                + "\"function\":{\"name\":\"weather\",\"parameters\":" + SCHEMA
                + "}},{\"type\":\"function\",\"function\":"
                + "{\"name\":\"now\",\"parameters\":{\"type\":\"object\",\"properties\":{},\"additionalProperties\":"
                + "false}}}]}";
        assertThat(api.answer(PATH, body).at("/usage/input_tokens").intValue())
                .isEqualTo(api.answer("/tokenize", chat).path("count").intValue());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '!',
            value = {
                "{} | input | input is missing or null, must be given.",
                "{'input':7} | input | input is something else, must be a string or a list of items.",
                "{'input':[]} | input | input is a list of 0, must have at least 1.",
                "{'input':'a','temperature':2.5} | temperature | temperature is 2.5, must be less than or equal to 2.",
                "{'input':'a','max_output_tokens':0} | max_output_tokens | max_output_tokens is 0, must be",
                "{'input':'a','max_tokens':5} | max_tokens | max_tokens is 5, must be left out: it is a field of /v1/chat/completions.",
                "{'input':'a','previous_response_id':'resp_1'} | previous_response_id | previous_response_id is given, must be left out: nothing is stored here",
                "{'input':'a','conversation':'c'} | conversation | conversation is given, must be left out",
                "{'input':'a','prompt':{'id':'p'}} | prompt | prompt is given, must be left out",
                "{'input':'a','background':true} | background | background is true, must be left out or false",
                "{'input':'a','truncation':'auto'} | truncation | truncation is \"auto\", must be",
                "{'input':'a','include':['file_search_call.results']} | include[0] | include[0] is \"file_search_call.results\", must be",
                "{'input':[{'role':'king','content':'a'}]} | input[0].role | input[0].role is \"king\", must be",
                "{'input':[{'role':'user','content':[{'type':'input_image'}]}]} | input[0].content[0].type | input[0].content[0].type is \"input_image\", must be",
                "{'input':[{'type':'item_reference','id':'m'}]} | input[0].type | input[0].type is \"item_reference\", must be",
                "{'input':[{'type':'web_search_call'}]} | input[0].type | input[0].type is \"web_search_call\", must be",
                "{'input':[{'type':'function_call_output','output':'a'}]} | input[0].call_id | input[0].call_id is missing, must be a string.",
                "{'input':'a','tools':[{'type':'web_search'}]} | tools[0].type | tools[0].type is \"web_search\", must be \"function\".",
                "{'input':'a','tools':[{'type':'function','name':'a b'}]} | tools[0].name | tools[0].name is \"a b\", must be",
                "{'input':'a','tools':[{'type':'function','name':'f','parameters':[]}]} | tools[0].parameters | tools[0].parameters must be a JSON schema",
                "{'input':'a','tools':[{'type':'function','name':'f'}],'tool_choice':{'type':'function','name':'g'}} | tool_choice | tool_choice.name is \"g\", must be",
                "{'input':'a','tool_choice':{'type':'web_search'}} | tool_choice | tool_choice is",
                "{'input':'a','text':{'format':{'type':'json_schema','name':'a','schema':{'not':{}}}}} | text.format.schema | text.format.schema: ",
                "{'input':'a','text':{'format':{'type':'grammar'}}} | text.format.type | text.format.type is \"grammar\", must be",
                "{'input':'a','text':{'verbosity':'low'}} | text.verbosity | text.verbosity is \"low\", must be",
                "{'input':'a','seed':'x'} | seed | seed is \"x\", must be a whole number.",
                "{'input':'a','top_logprobs':2} | top_logprobs | top_logprobs is 2, must be",
            })
    void anErrorNamesTheField(String body, String field, String message) throws Exception {
        HttpResponse<String> response = api.post(PATH, body.replace('\'', '"'));
        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        JsonNode error = ApiClient.json(response.body()).path("error");
        assertThat(error.path("message").textValue()).startsWith(message);
        assertThat(error.path("param").textValue()).isEqualTo(field);
    }

    @Test
    void whatIsTooLongIsNamed() throws Exception {
        assertThat(api.post(PATH, request("").replace("20", "9999")).body())
                .contains("This model's context is 512 tokens")
                .contains("(max_output_tokens).")
                .contains("context_length_exceeded");
    }

    @Test
    void nothingIsStored() throws Exception {
        for (String path : List.of("/resp_1", "/resp_1/input_items")) {
            HttpResponse<String> response = api.get(PATH + path);
            assertThat(response.statusCode()).isEqualTo(404);
            assertThat(response.body()).contains("There is no response \\\"resp_1\\\": this service stores none.");
        }
        assertThat(api.post(PATH + "/resp_1/cancel", "").statusCode()).isEqualTo(404);
    }
}
