package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.text.tools.OutputFormats;
import io.weft.text.tools.ToolFormat;
import io.weft.text.tools.ToolFormat.Calls;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ToolFieldsTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String F = "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
            + "\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,2.5,null,\"x\"]}}}STRICT}}";
    private static final String G = "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}";

    private static ToolFields fields(String more) throws JsonProcessingException {
        return fields(more, "");
    }

    private static ToolFields fields(String more, String strict) throws JsonProcessingException {
        ToolFields fields = JSON.readValue(
                "{\"tools\":[" + F.replace("STRICT", strict) + "," + G + "]" + more + "}", ToolFields.class);
        fields.check();
        return fields;
    }

    private static OutputFormats formats(Optional<ToolFormat> tools) {
        return new OutputFormats(tools, Optional.empty());
    }

    @Test
    void templatesGetToolsAsHuggingFaceHasThem() throws JsonProcessingException {
        Map<String, Object> variables = fields("", ",\"strict\":true").variables();
        assertThat(JSON.valueToTree(variables).toString())
                .isEqualTo("{\"tools\":[" + F.replace("STRICT", "")
                        + ",{\"type\":\"function\",\"function\":{\"name\":\"g\","
                        + "\"parameters\":{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}}}]}");
        assertThat(fields(",\"tool_choice\":\"none\"").variables()).isEmpty();
    }

    @Test
    void aModelWithoutAFormatHasNoTools() throws JsonProcessingException {
        ToolFields fields = fields("");
        assertThat(fields.format(formats(Optional.of(ToolFormat.PHI4)))).contains(ToolFormat.PHI4);
        assertThatThrownBy(() -> fields.format(formats(Optional.empty())))
                .hasMessageContaining("tools has 2 elements")
                .hasMessageContaining("weft.tool-format");
        assertThat(fields(",\"tool_choice\":\"none\"").format(formats(Optional.empty())))
                .isEmpty();
    }

    @Test
    void whatMustBeIsConstrained() throws JsonProcessingException {
        ToolFormat format = ToolFormat.HERMES;
        List<ToolDefinition> tools = Optional.ofNullable(fields("").tools()).orElseThrow();
        var f = tools.getFirst();
        var g = tools.getLast();
        assertThat(fields("").syntax(format, Optional.empty())).isEmpty();
        assertThat(fields(",\"tool_choice\":null,\"parallel_tool_calls\":true").syntax(format, Optional.empty()))
                .isEmpty();
        assertThat(fields(",\"tool_choice\":\"none\"").syntax(format, Optional.empty()))
                .isEmpty();
        assertThat(fields(",\"tool_choice\":\"required\"").syntax(format, Optional.empty()))
                .contains(format.calls(List.of(f.strictly(), g.strictly()), Calls.ONE_OR_MORE));
        assertThat(fields(",\"tool_choice\":\"required\",\"parallel_tool_calls\":false")
                        .syntax(format, Optional.empty()))
                .contains(format.calls(List.of(f.strictly(), g.strictly()), Calls.ONE));
        assertThat(fields(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}")
                        .syntax(format, Optional.empty()))
                .contains(format.calls(List.of(g.strictly()), Calls.ONE));
        assertThat(fields("", ",\"strict\":true").syntax(format, Optional.empty()))
                .contains(format.answerOrCalls(List.of(f.strictly(), g.loosely()), Calls.ONE_OR_MORE));
        assertThat(fields(",\"parallel_tool_calls\":false").syntax(format, Optional.empty()))
                .contains(format.answerOrCalls(List.of(f.loosely(), g.loosely()), Calls.ONE));
    }

    private static Map<String, Object> message(String json, ToolFormat format) throws JsonProcessingException {
        ChatMessage message = JSON.readValue(json, ChatMessage.class);
        return ChatMessage.conversation(List.of(message), formats(Optional.of(format)))
                .getFirst();
    }

    @Test
    void callsOfAConversationHaveTheirArgumentsAsObjects() throws JsonProcessingException {
        String call = "{\"role\":\"assistant\",CONTENT\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\","
                + "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":[1,null]}\"}}]}";
        String silent = call.replace("CONTENT", "\"content\":null,");
        assertThat(JSON.valueToTree(message(silent, ToolFormat.HERMES)).toString())
                .isEqualTo("{\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                        + "\"arguments\":{\"a\":[1,null]}}}],\"role\":\"assistant\",\"content\":null}");
        assertThat(message(call.replace("CONTENT", "\"content\":\"x\","), ToolFormat.HERMES))
                .containsEntry("content", "x");
        assertThat(message(call.replace("CONTENT", ""), ToolFormat.HERMES)).containsEntry("content", null);
        assertThat(JSON.valueToTree(message(silent, ToolFormat.FUNCTIONARY))
                        .at("/tool_calls/0/function/arguments")
                        .textValue())
                .isEqualTo("{\"a\":[1,null]}");
        // What was no JSON stays.
        assertThat(JSON.valueToTree(message(silent.replace("{\\\"a\\\"", "{a"), ToolFormat.HERMES))
                        .at("/tool_calls/0/function/arguments")
                        .textValue())
                .isEqualTo("{a:[1,null]}");
    }

    @Test
    void aFamilyHasItsToolsInTheSystemMessage() throws JsonProcessingException {
        List<Map<String, Object>> conversation = new ArrayList<>();
        fields("").tell(conversation, formats(Optional.of(ToolFormat.HERMES)));
        fields(",\"tool_choice\":\"none\"").tell(conversation, formats(Optional.of(ToolFormat.PHI4_MINI)));
        assertThat(conversation).isEmpty();
        fields("").tell(conversation, formats(Optional.of(ToolFormat.PHI4_MINI)));
        fields("").tell(conversation, formats(Optional.of(ToolFormat.PHI4_MINI)));
        assertThat(conversation).hasSize(1);
        assertThat(conversation.getFirst()).containsEntry("role", "system").containsEntry("content", "");
        assertThat(JSON.readTree((String) conversation.getFirst().get("tools")).findValuesAsText("name"))
                .containsExactly("f", "g");
    }

    @Test
    void aFamilyGetsIdsOfItsForm() throws JsonProcessingException {
        String call = "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1\",\"function\":{\"name\":\"f\"}}]}";
        String result = "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"1\"}";
        Object id = message(result, ToolFormat.MISTRAL).get("tool_call_id");
        assertThat((String) id).matches("[0-9A-Za-z]{9}");
        assertThat(JSON.valueToTree(message(call, ToolFormat.MISTRAL))
                        .at("/tool_calls/0/id")
                        .textValue())
                .isEqualTo(id);
        assertThat(message(result.replace("call_1", "abcDEF123"), ToolFormat.MISTRAL))
                .containsEntry("tool_call_id", "abcDEF123");
        assertThat(message(result, ToolFormat.HERMES)).containsEntry("tool_call_id", "call_1");
    }
}
