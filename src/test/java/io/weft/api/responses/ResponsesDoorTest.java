package io.weft.api.responses;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.api.http.ApiException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResponsesDoorTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static JsonNode json(String text) throws JsonProcessingException {
        return JSON.readTree(text.replace('\'', '"'));
    }

    private static JsonNode chat(String body) throws JsonProcessingException {
        ResponsesRequest request = JSON.treeToValue(json(body), ResponsesRequest.class);
        // As text, where an int is no other number than a long.
        return JSON.readTree(new ResponsesDoor(request).translated().json().toString());
    }

    private static JsonNode asked(String more) throws JsonProcessingException {
        return chat("{'input':'a'" + more + "}");
    }

    @Test
    void translatesItems() throws JsonProcessingException {
        assertThat(chat("""
                        {'instructions':'i','input':[{'role':'developer','content':'s'},
                        {'type':'message','role':'user','content':[{'type':'input_text','text':'a'},
                        {'type':'input_text','text':'b'}]},{'role':'user','content':'c'},
                        {'type':'reasoning','id':'r','summary':[{'type':'summary_text','text':'no'}],
                        'content':[{'type':'reasoning_text','text':'h'}]},
                        {'type':'message','id':'m','role':'assistant','status':'completed','content':
                        [{'type':'output_text','text':'d','annotations':[]}]},
                        {'type':'function_call','id':'x','call_id':'c1','name':'f','arguments':'{}','status':'completed'},
                        {'type':'function_call','call_id':'c2','name':'g','arguments':'{\\"a\\":1}'},
                        {'type':'function_call_output','call_id':'c1','output':'r'},
                        {'type':'function_call_output','call_id':'c2','output':[{'type':'input_text','text':'q'}]},
                        {'type':'reasoning','summary':[]},
                        {'role':'assistant','content':[{'type':'refusal','refusal':'no'}]},
                        {'role':'assistant','content':'e'}]}""").path("messages")).isEqualTo(json("""
                        [{'role':'system','content':'i'},{'role':'developer','content':'s'},
                        {'role':'user','content':'ab'},{'role':'user','content':'c'},
                        {'role':'assistant','reasoning_content':'h','content':'d','tool_calls':[
                        {'id':'c1','type':'function','function':{'name':'f','arguments':'{}'}},
                        {'id':'c2','type':'function','function':{'name':'g','arguments':'{\\"a\\":1}'}}]},
                        {'role':'tool','tool_call_id':'c1','content':'r'},
                        {'role':'tool','tool_call_id':'c2','content':'q'},
                        {'role':'assistant','content':'no'},{'role':'assistant','content':'e'}]"""));
    }

    @Test
    void translatesFields() throws JsonProcessingException {
        assertThat(asked("""
                        ,'model':'m','max_output_tokens':7,'temperature':0.5,'top_p':0.9,'stream':true,'user':'u',
                        'parallel_tool_calls':false,'metadata':{'a':'b'},'store':true,'service_tier':'auto','seed':3,
                        'include':['reasoning.encrypted_content'],'truncation':'disabled','background':false,
                        'previous_response_id':null,'stream_options':{'include_obfuscation':false},'max_tool_calls':3,
                        'reasoning':{'effort':'low','summary':'auto'},'text':{'format':{'type':'json_object'},
                        'verbosity':'medium'},'safety_identifier':'s','prompt_cache_key':'k'""")).isEqualTo(json("""
                        {'seed':3,'model':'m','max_completion_tokens':7,'temperature':0.5,'top_p':0.9,'stream':true,
                        'parallel_tool_calls':false,'messages':[{'role':'user','content':'a'}],
                        'response_format':{'type':'json_object'},'reasoning_effort':'low'}"""));
    }

    @Test
    void translatesTools() throws JsonProcessingException {
        JsonNode chat =
                asked(",'tools':[{'type':'function','name':'f','description':'d','parameters':{'type':'object'},"
                        + "'strict':true},{'type':'function','name':'g','parameters':null,'strict':null}],'tool_choice':"
                        + "{'type':'function','name':'f'}");
        assertThat(chat.path("tools"))
                .isEqualTo(json("[{'type':'function','function':{'name':'f','description':'d','parameters':"
                        + "{'type':'object'},'strict':true}},{'type':'function','function':{'name':'g'}}]"));
        assertThat(chat.path("tool_choice")).isEqualTo(json("{'type':'function','function':{'name':'f'}}"));
        assertThat(asked(",'tool_choice':'none'").path("tool_choice").textValue())
                .isEqualTo("none");
    }

    @Test
    void translatesASchema() throws JsonProcessingException {
        assertThat(asked(
                                ",'text':{'format':{'type':'json_schema','name':'n','strict':true,'schema':{'type':'object'}}}")
                        .path("response_format"))
                .isEqualTo(json("{'type':'json_schema','json_schema':{'name':'n','schema':{'type':'object'}}}"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '!',
            value = {
                ",'input':[7] | input[0].role is missing, must be",
                ",'input':[{'role':'user'}] | input[0].content is missing, must be a string or a list of parts.",
                ",'input':[{'role':'user','content':[{'type':'input_text'}]}] | input[0].content[0].text is missing",
                ",'input':[{'type':'function_call','call_id':'a','name':'f'}] | input[0].arguments is missing, must be",
                ",'input':[{'type':'reasoning','content':[{'type':'reasoning_text'}]}] | input[0].content[0].text is",
                ",'tools':'f' | tools is something else, must be a list of tools.",
                ",'tools':[{'type':'function'}] | tools[0].name is missing, must be a string.",
                ",'tools':[{'type':'function','name':'f','strict':1}] | tools[0].strict is 1, must be true or false.",
                ",'text':'a' | text is \"a\", must be an object.",
                ",'text':{'format':{'type':'json_schema'}} | text.format.schema is missing, must be",
                ",'reasoning':{'effort':2} | reasoning.effort is 2, must be a string.",
                ",'context_management':[{}] | context_management is given, must be left out",
                ",'moderation':{'model':'m'} | moderation is given, must be left out",
                ",'n':2 | n is 2, must be left out",
                ",'stop':['x'] | stop is [\"x\"], must be left out",
            })
    void namesWhatCannotBeTranslated(String more, String message) {
        assertThatThrownBy(() -> asked(more)).isInstanceOf(ApiException.class).hasMessageStartingWith(message);
    }
}
