package io.weft.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.api.http.ApiException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MessagesDoorTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static JsonNode json(String text) throws JsonProcessingException {
        return JSON.readTree(text.replace('\'', '"'));
    }

    private static JsonNode chat(String body) throws JsonProcessingException {
        MessagesRequest request = JSON.treeToValue(json(body), MessagesRequest.class);
        // As text, where an int is no other number than a long.
        return JSON.readTree(MessagesDoor.translated(request).json().toString());
    }

    private static JsonNode asked(String more) throws JsonProcessingException {
        return chat("{'messages':[{'role':'user','content':'a'}]" + more + "}");
    }

    @Test
    void translatesAConversation() throws JsonProcessingException {
        assertThat(chat("""
                        {'system':[{'type':'text','text':'s'},{'type':'text','text':'t','cache_control':{}}],'messages':[
                        {'role':'user','content':'a'},{'role':'user','content':[{'type':'text','text':'b'}]},
                        {'role':'assistant','content':[{'type':'thinking','thinking':'h','signature':'x'},
                        {'type':'redacted_thinking','data':'y'},{'type':'text','text':'c'},
                        {'type':'tool_use','id':'t1','name':'f','input':{'x':[1,null]}},
                        {'type':'tool_use','id':'t2','name':'g','input':{}}]},
                        {'role':'user','content':[{'type':'tool_result','tool_use_id':'t1','content':'r'},
                        {'type':'tool_result','tool_use_id':'t2','is_error':true},{'type':'text','text':'d'}]}]}""").path("messages")).isEqualTo(json("""
                        [{'role':'system','content':'s\\nt'},{'role':'user','content':'a\\nb'},
                        {'role':'assistant','reasoning_content':'h','content':'c','tool_calls':[
                        {'id':'t1','type':'function','function':{'name':'f','arguments':'{\\"x\\":[1,null]}'}},
                        {'id':'t2','type':'function','function':{'name':'g','arguments':'{}'}}]},
                        {'role':'tool','tool_call_id':'t1','content':'r'},
                        {'role':'tool','tool_call_id':'t2','content':''},{'role':'user','content':'d'}]"""));
    }

    @Test
    void translatesFields() throws JsonProcessingException {
        JsonNode chat = asked("""
                ,'model':'m','max_tokens':7,'temperature':0.5,'top_p':0.9,'top_k':4,'stop_sequences':['x'],'stream':true,
                'metadata':{'user_id':'u'},'service_tier':'auto','unknown':{'a':1},'seed':3,'n':1,
                'thinking':{'type':'enabled','budget_tokens':1024},'output_config':{'effort':'low'}""");
        assertThat(chat).isEqualTo(json("""
                {'seed':3,'top_k':4,'model':'m','max_tokens':7,'temperature':0.5,'top_p':0.9,'stream':true,'stop':['x'],
                'messages':[{'role':'user','content':'a'}],'chat_template_kwargs':{'enable_thinking':true},
                'reasoning_effort':'low'}"""));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '!',
            value = {
                "{'type':'auto'} | {'tool_choice':'auto'}",
                "{'type':'any','disable_parallel_tool_use':true} | {'tool_choice':'required','parallel_tool_calls':false}",
                "{'type':'none'} | {'tool_choice':'none'}",
                "{'type':'tool','name':'f'} | {'tool_choice':{'type':'function','function':{'name':'f'}}}",
            })
    void translatesTheChoiceOfTools(String choice, String expected) throws JsonProcessingException {
        JsonNode chat = asked(",'tools':[{'name':'f','description':'d','input_schema':{'type':'object'},"
                + "'cache_control':{}},{'type':'custom','name':'g','input_schema':{},'strict':true}],'tool_choice':"
                + choice);
        assertThat(chat.path("tools"))
                .isEqualTo(
                        json(
                                "[{'type':'function','function':{'name':'f','description':'d','parameters':"
                                        + "{'type':'object'}}},{'type':'function','function':{'name':'g','parameters':{},'strict':true}}]"));
        json(expected)
                .properties()
                .forEach(member -> assertThat(chat.path(member.getKey())).isEqualTo(member.getValue()));
    }

    /** Anthropic's answers go on where the assistant's last message ends. */
    @Test
    void aPrefilledAnswerGoesOn() throws JsonProcessingException {
        String start = "{'messages':[{'role':'user','content':'a'},{'role':'assistant','content':";
        assertThat(chat(start + "'He'}]}").path("continue_final_message").booleanValue())
                .isTrue();
        assertThat(chat(start + "[{'type':'tool_use','id':'t','name':'f','input':{}}]}]}")
                        .has("continue_final_message"))
                .isFalse();
        assertThat(asked("").has("continue_final_message")).isFalse();
    }

    @Test
    void bothPlacesOfAFormatWork() throws JsonProcessingException {
        String format = "{'type':'json_schema','schema':{'type':'object'}}";
        JsonNode expected = json("{'type':'json_schema','json_schema':{'name':'output','schema':{'type':'object'}}}");
        assertThat(asked(",'output_format':" + format).path("response_format")).isEqualTo(expected);
        assertThat(asked(",'output_config':{'format':" + format + "}").path("response_format"))
                .isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '!',
            value = {
                ",'system':7 | system is something else, must be a string or a list of text blocks.",
                ",'system':[{'type':'image'}] | system[0].type is \"image\", must be \"text\".",
                ",'stop_sequences':[''] | stop_sequences[0] is \"\", must not be empty.",
                ",'container':'c' | container is given, must be left out",
                ",'context_management':{'edits':[]} | context_management is given, must be left out",
                ",'thread':{'type':'continue'} | thread.previous_message_id is of no message that is stored here",
                ",'compaction':{'type':'x'} | compaction is given, must be left out",
                ",'tools':{} | tools is something else, must be a list of tools.",
                ",'tools':[{'name':'f'}] | tools[0].input_schema is missing, must be a JSON schema",
                ",'tools':[{'input_schema':{}}] | tools[0].name is missing, must be a string.",
                ",'tool_choice':'any' | tool_choice.type is missing, must be",
                ",'tool_choice':{'type':'tool'} | tool_choice.name is missing, must be a string.",
                ",'tool_choice':{'type':'any','disable_parallel_tool_use':1} | tool_choice.disable_parallel_tool_use is 1",
                ",'thinking':{'type':'x'} | thinking.type is \"x\", must be",
                ",'output_config':{'effort':1} | output_config.effort is 1, must be a string.",
                ",'output_config':{'format':{'type':'text'}} | output_config.format.type is \"text\", must be",
                ",'output_format':{'type':'json_schema'} | output_format.schema is missing, must be",
                ",'response_format':{'type':'json_object'} | response_format is",
                ",'max_completion_tokens':5 | max_completion_tokens is 5, must be left out",
                ",'messages':{} | messages is something else, must be a list of messages.",
                ",'messages':[7] | messages[0].role is missing, must be",
                ",'messages':[{'role':'user'}] | messages[0].content is missing, must be",
                ",'messages':[{'role':'assistant','content':[{'type':'tool_result'}]}] | messages[0].content[0].type is \"tool_result\"",
                ",'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'a','name':'b'}]}] | messages[0].content[0].input is missing",
                ",'messages':[{'role':'user','content':[{'type':'tool_result','tool_use_id':'a','content':[{'type':'image'}]}]}] | messages[0].content[0].content[0].type is \"image\"",
            })
    void namesWhatCannotBeTranslated(String more, String message) {
        assertThatThrownBy(() -> asked(more)).isInstanceOf(ApiException.class).hasMessageStartingWith(message);
    }

    @Test
    void namesItsOwnFields() {
        MessagesDoor door = new MessagesDoor();
        assertThat(door.named("tools[2].function.parameters.type is 1")).isEqualTo("tools[2].input_schema.type is 1");
        assertThat(door.named("tools[2].function.name is 1")).isEqualTo("tools[2].name is 1");
        assertThat(door.named("tool_choice.function.name is 1")).isEqualTo("tool_choice.name is 1");
        assertThat(door.named("response_format.json_schema.schema: x")).isEqualTo("output_config.format.schema: x");
        assertThat(door.named("model is \"tools[2].function.name\"")).isEqualTo("model is \"tools[2].function.name\"");
    }
}
