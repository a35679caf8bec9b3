package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is wrong is told: the field, its value, the limit; and it is never the service's fault. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class MistakesTest {
    @TestHTTPResource("/")
    URI root;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    private static JsonNode error(HttpResponse<String> response) {
        JsonNode body = ApiClient.json(response.body());
        List<String> fields = new ArrayList<>();
        for (Iterator<String> names = body.path("error").fieldNames(); names.hasNext(); ) {
            fields.add(names.next());
        }
        assertThat(body).hasSize(1);
        assertThat(fields).containsExactlyInAnyOrder("message", "type", "param", "code");
        assertThat(body.at("/error/message").textValue())
                .isNotBlank()
                .doesNotContain("java", "io.weft", "Exception", "jackson", "Source:", "`");
        assertThat(response.headers().firstValue("content-type").orElseThrow()).startsWith("application/json");
        assertThat(response.headers().firstValue("x-request-id")).isPresent();
        return body.path("error");
    }

    /** Seconds, in a header as in a field; the shorter time counts. */
    @ParameterizedTest
    @ValueSource(strings = {"", "0", "-1", "1e3", "604801", "soon", "0.0000000001"})
    void aTimeoutInTheHeaderIsANumberOfSeconds(String seconds) throws IOException, InterruptedException {
        HttpResponse<String> response =
                api.post("/v1/completions", "{\"prompt\":\"a\",\"timeout\":60}", "X-Request-Timeout", seconds);
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(error(response).path("message").textValue())
                .isEqualTo("X-Request-Timeout is \"" + seconds + "\", must be seconds, above 0 and at most 604800.");
    }

    /** Body, the field at fault, what the message says; apostrophes stand for quotes. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', nullValues = "-", textBlock = """
            ~~                                              | -                  | The body is empty, must be a JSON object.
            null                                            | -                  | The body is empty, must be a JSON object.
            []                                              | -                  | The body is a list, must be an object.
            5                                               | -                  | The body is 5, must be an object.
            {}                                              | prompt             | prompt is missing or null, must be given.
            {'prompt':null}                                 | prompt             | prompt is missing or null, must be given.
            {'prompt':5}                                    | prompt             | prompt must be a string, a list of strings, a list of token ids or a list of such lists.
            {'prompt':{}}                                   | prompt             | prompt must be a string, a list of strings, a list of token ids or a list of such lists.
            {'prompt':[]}                                   | prompt             | prompt is an empty list, must have at least 1 element.
            {'prompt':[true]}                               | prompt             | prompt[0] is of a wrong type: prompt must be a string, a list of strings, a list of token ids or a list of such lists.
            {'prompt':['a',1]}                              | prompt             | prompt[1] must be a string, as prompt[0] is.
            {'prompt':[1,'a']}                              | prompt             | prompt[1] must be a token id, a whole number.
            {'prompt':[1,2.5]}                              | prompt             | prompt[1] must be a token id, a whole number.
            {'prompt':[[1],2]}                              | prompt             | prompt[1] must be a list of token ids, as prompt[0] is.
            {'prompt':[[1],[2,null]]}                       | prompt             | prompt[1][1] must be a token id, a whole number.
            {'prompt':[[1],[]]}                             | prompt[1]          | prompt[1] has no tokens, must have at least 1.
            {'prompt':[99999999999]}                        | prompt             | prompt[0] must be a token id, a whole number.
            {'prompt':[4096]}                               | prompt             | prompt has token id 4096, must be from 0 to 4095.
            {'prompt':[-1]}                                 | prompt             | prompt has token id -1, must be from 0 to 4095.
            {'prompt':'a','max_tokens':-1}                  | max_tokens         | max_tokens is -1, must be greater than or equal to 0.
            {'prompt':'a','max_tokens':'5'}                 | max_tokens         | max_tokens is '5', must be a whole number.
            {'prompt':'a','max_tokens':''}                  | max_tokens         | max_tokens is '', must be a whole number.
            {'prompt':'a','max_tokens':1.5}                 | max_tokens         | max_tokens is 1.5, must be a whole number.
            {'prompt':'a','max_tokens':true}                | max_tokens         | max_tokens is a boolean, must be a whole number.
            {'prompt':'a','max_tokens':{}}                  | max_tokens         | max_tokens is an object, must be a whole number.
            {'prompt':'a','max_tokens':[5]}                 | max_tokens         | max_tokens is a list, must be a whole number.
            {'prompt':'a','top_k':99999999999}              | top_k              | top_k is 99999999999, must be from -2147483648 to 2147483647.
            {'prompt':'a','max_completion_tokens':-7}       | max_completion_tokens | max_completion_tokens is -7, must be greater than or equal to 0.
            {'prompt':'a','temperature':2.5}                | temperature        | temperature is 2.5, must be less than or equal to 2.
            {'prompt':'a','temperature':-0.1}               | temperature        | temperature is -0.1, must be greater than or equal to 0.
            {'prompt':'a','temperature':1e999}              | temperature        | temperature is Infinity, must be less than or equal to 2.
            {'prompt':'a','temperature':'hot'}              | temperature        | temperature is 'hot', must be a number.
            {'prompt':'a','top_p':0}                        | top_p              | top_p is 0.0, must be greater than 0.
            {'prompt':'a','top_p':1.1}                      | top_p              | top_p is 1.1, must be less than or equal to 1.
            {'prompt':'a','top_k':-2}                       | top_k              | top_k is -2, must be greater than or equal to -1.
            {'prompt':'a','priority':1}                     | priority           | priority is 1, must be left out or 0: the service runs requests in turns of their clients (weft.scheduling).
            {'prompt':'a','timeout':0}                      | timeout            | timeout is 0.0, must be greater than 0.
            {'prompt':'a','timeout':604801}                 | timeout            | timeout is 604801.0, must be less than or equal to 604800.
            {'prompt':'a','timeout':'5'}                    | timeout            | timeout is '5', must be a number.
            {'prompt':'a','min_p':1.5}                      | min_p              | min_p is 1.5, must be less than or equal to 1.
            {'prompt':'a','presence_penalty':3}             | presence_penalty   | presence_penalty is 3.0, must be less than or equal to 2.
            {'prompt':'a','frequency_penalty':-3}           | frequency_penalty  | frequency_penalty is -3.0, must be greater than or equal to -2.
            {'prompt':'a','repetition_penalty':0}           | repetition_penalty | repetition_penalty is 0.0, must be greater than 0.
            {'prompt':'a','logit_bias':{'1':101}}           | logit_bias[1]      | logit_bias[1] is 101.0, must be less than or equal to 100.
            {'prompt':'a','logit_bias':{'1':null}}          | logit_bias[1]      | logit_bias[1] is missing or null, must be given.
            {'prompt':'a','logit_bias':{'-1':1}}            | logit_bias[-1]     | logit_bias[-1] is -1, must be greater than or equal to 0.
            {'prompt':'a','logit_bias':{'x':1}}             | logit_bias         | logit_bias is 'x', must be a whole number.
            {'prompt':'a','logit_bias':{'4096':1}}          | logit_bias         | logit_bias has token id 4096, must be from 0 to 4095.
            {'prompt':'a','logit_bias':[1]}                 | logit_bias         | logit_bias is a list, must be an object.
            {'prompt':'a','seed':'x'}                       | seed               | seed is 'x', must be a whole number.
            {'prompt':'a','seed':9223372036854775808}       | seed               | seed is 9223372036854775808, must be from -9223372036854775808 to 9223372036854775807.
            {'prompt':'a','stop':''}                        | stop[0]            | stop[0] is '', must not be empty.
            {'prompt':'a','stop':['a',5]}                   | stop[1]            | stop[1] is 5, must be a string.
            {'prompt':'a','n':0}                            | n                  | n is 0, must be greater than or equal to 1.
            {'prompt':'a','n':17}                           | n                  | n is 17 for each of the prompts, 1: that makes 17 choices, there may be 16 at most.
            {'prompt':['a','b'],'n':2147483647}             | n                  | n is 2147483647 for each of the prompts, 2: that makes 4294967294 choices, there may be 16 at most.
            {'prompt':'a','best_of':2}                      | best_of            | best_of is 2, must equal n, 1.
            {'prompt':'a','logprobs':21}                    | logprobs           | logprobs is 21, must be less than or equal to 20.
            {'prompt':'a','logprobs':true}                  | logprobs           | logprobs is a boolean, must be a whole number.
            {'prompt':'a','prompt_logprobs':-1}             | prompt_logprobs    | prompt_logprobs is -1, must be greater than or equal to 0.
            {'prompt':'a','prompt_logprobs':1,'stream':true} | prompt_logprobs   | prompt_logprobs is 1, must be left out when stream is true.
            {'prompt':'a','stream':'yes'}                   | stream             | stream is 'yes', must be true or false.
            {'prompt':'a','stream':1}                       | stream             | stream is 1, must be true or false.
            {'prompt':'a','stream_options':{}}              | stream_options     | stream_options is given, but stream is not true.
            {'prompt':'a','stream_options':'x'}             | stream_options     | stream_options is 'x', must be an object.
            {'prompt':'a','echo':'x'}                       | echo               | echo is 'x', must be true or false.
            {'prompt':'a','suffix':'b'}                     | suffix             | suffix is given, but text cannot be inserted before it.
            {'prompt':'a','response_format':{'type':'xml'}} | response_format.type | response_format.type is 'xml', must be 'text', 'json_object' or 'json_schema'.
            {'prompt':'a','response_format':'json'}         | response_format    | response_format is 'json', must be an object with a type.
            {'prompt':'a','response_format':{'type':'json_schema','json_schema':{'name':'x'}}} | response_format.json_schema.schema | response_format.json_schema.schema is missing, must be a JSON schema.
            {'prompt':'a','guided_json':{'type':'object','minProperties':2}} | guided_json | guided_json: the schema at /minProperties: 'minProperties' above one and above the number of required properties is not enforced.
            {'prompt':'a','guided_json':7}                  | guided_json        | guided_json is 7, must be a JSON schema.
            {'prompt':'a','guided_json':{},'guided_regex':'x'} | guided_regex    | guided_json and guided_regex are both given, there may be one of them.
            {'prompt':'a','guided_choice':['x',5]}          | guided_choice      | guided_choice is ['x',5], must be a list of strings.
            {'prompt':'a','guided_regex':'x)'}              | guided_regex       | guided_regex: the regular expression 'x)' has an unmatched ) at character 1.
            {'prompt':'a','guided_grammar':'root ::= x'}    | guided_grammar     | guided_grammar is 'root ::= x', must be left out: it is not supported.
            {'prompt':'a','structured_outputs':{'grammar':'x'}} | structured_outputs | structured_outputs.grammar is given, must be left out: it is not supported.
            {'prompt':'a','grammar':'root ::= x'}           | grammar            | grammar is 'root ::= x', must be left out: it is not supported.
            {'prompt':'a','format':'json'}                  | format             | format is 'json', must be left out: it is not supported.
            {'prompt':'a','allowed_token_ids':[5]}          | allowed_token_ids  | allowed_token_ids is a list of 1, must be left out: it is not supported.
            {'prompt':'a','bad_words':['x']}                | bad_words          | bad_words is a list of 1, must be left out: it is not supported.
            {'prompt':'a','min_tokens':5,'max_tokens':4}    | min_tokens         | min_tokens is 5, must be at most max_tokens, 4.
            {'prompt':'a','min_tokens':-1}                  | min_tokens         | min_tokens is -1, must be greater than or equal to 0.
            {'prompt':'a','stop_token_ids':[4096]}          | stop_token_ids     | stop_token_ids has token id 4096, must be from 0 to 4095.
            {'prompt':'a','stop_token_ids':'5'}             | stop_token_ids     | stop_token_ids is a string, must be a list.
            {'prompt':'a','include_stop_str_in_output':1}   | include_stop_str_in_output | include_stop_str_in_output is 1, must be true or false.
            {'prompt':'a','truncate_prompt_tokens':0}       | truncate_prompt_tokens | truncate_prompt_tokens is 0, must be -1 or at least 1.
            {'prompt':'a','truncate_prompt_tokens':-2}      | truncate_prompt_tokens | truncate_prompt_tokens is -2, must be greater than or equal to -1.
            {'prompt':'a','truncate_prompt_tokens':513}     | truncate_prompt_tokens | truncate_prompt_tokens is 513, must be at most the context, 512.
            {'prompt':'a','repeat_penalty':1.5,'repetition_penalty':2} | repeat_penalty     | repeat_penalty is 1.5, must be left out or equal repetition_penalty, 2.0.
            {'prompt':'a','repeat_penalty':0}               | repeat_penalty     | repeat_penalty is 0.0, must be greater than 0.
            {'prompt':'a','use_beam_search':true}           | use_beam_search    | use_beam_search is true, must be left out: it is not supported.
            {'prompt':'a','length_penalty':0.5}             | length_penalty     | length_penalty is 0.5, must be left out or 1: it is not supported.
            {'prompt':'a','n_predict':5}                    | n_predict          | n_predict is 5, must be left out: it is not supported, but max_tokens is.
            {'prompt':'a','do_sample':false}                | do_sample          | do_sample is false, must be left out or true: it is not supported, but temperature 0 is.
            {'prompt':'a','parse_special':'yes'}            | parse_special      | parse_special is 'yes', must be true or false.
            {'prompt':'a','model':5}                        | model              | model is 5, must be a string.
            {'prompt':'a','prediction':5}                   | prediction         | prediction is 5, must be an object with a type and content.
            {'prompt':'a','prediction':{'type':'text'}}     | prediction.type    | prediction.type is 'text', must be 'content'.
            {'prompt':'a','prediction':{'type':'content'}}  | prediction.content | prediction.content is missing or null, must be given.
            {'prompt':'a','prediction':{'type':'content','content':[5]}} | prediction.content[0].type | prediction.content[0].type must be 'text'.
            {'prompt':'a','temperature':3,'top_p':7}        | temperature        | temperature is 3.0, must be less than or equal to 2. top_p is 7.0, must be less than or equal to 1.
            """)
    void completions(String body, String param, String message) throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", body.replace('\'', '"'));

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        JsonNode error = error(response);
        assertThat(error.path("message").textValue()).isEqualTo(message.replace('\'', '"'));
        assertThat(error.path("param").textValue()).isEqualTo(param);
        assertThat(error.path("type").textValue()).isEqualTo("invalid_request_error");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            {}                                                                             | messages                    | messages is missing or null, must be given.
            {'messages':[]}                                                                | messages                    | messages is a list of 0, must not be empty.
            {'messages':'hello'}                                                           | messages                    | messages is a string, must be a list.
            {'messages':['hello']}                                                         | messages[0]                 | messages[0] is 'hello', must be an object.
            {'messages':[null]}                                                            | messages[0]                 | messages[0] is missing or null, must be given.
            {'messages':[{'content':'a'}]}                                                 | messages[0].role            | messages[0].role is missing or null, must be given.
            {'messages':[{'role':'','content':'a'}]}                                       | messages[0].role            | messages[0].role is '', must not be empty.
            {'messages':[{'role':5,'content':'a'}]}                                        | messages[0].role            | messages[0].role is 5, must be a string.
            {'messages':[{'role':'user','content':5}]}                                     | messages[0].content         | messages[0].content must be a string or a list of text parts.
            {'messages':[{'role':'wizard','content':'a'}]}                                 | messages[0].role            | messages[0].role is 'wizard', must be system, developer, user, assistant or tool: the chat template names no such role.
            {'messages':[{'role':'user','content':'a'}],'best_of':2}                       | best_of                     | best_of is 2, must equal n, 1.
            {'messages':[{'role':'user','content':'a'}],'echo':'x'}                        | echo                        | echo is 'x', must be true or false.
            {'messages':[{'role':'user','content':'a'}],'add_generation_prompt':true,'continue_final_message':true} | continue_final_message      | continue_final_message and add_generation_prompt are true, at most one of them may be.
            {'messages':[{'role':'user','content':'a'}],'typical_p':0.5}                   | typical_p                   | typical_p is 0.5, must be left out or 1: it is not supported.
            {'messages':[{'role':'user','content':[{'type':'image_url','image_url':{}}]}]} | messages[0].content[0].type | messages[0].content[0].type is 'image_url', must be 'text'.
            {'messages':[{'role':'user','content':['a']}]}                                 | messages[0].content[0].type | messages[0].content[0].type must be 'text'.
            {'messages':[{'role':'user','content':[{'type':'text'}]}]}                     | messages[0].content[0].text | messages[0].content[0].text must be a string.
            {'messages':[{'role':'user','content':'a'}],'max_tokens':0}                    | max_tokens                  | max_tokens is 0, must be at least 1.
            {'messages':[{'role':'user','content':'a'}],'logprobs':5}                      | logprobs                    | logprobs is 5, must be true or false.
            {'messages':[{'role':'user','content':'a'}],'top_logprobs':5}                  | top_logprobs                | top_logprobs is 5, which needs logprobs to be true.
            {'messages':[{'role':'user','content':'a'}],'logprobs':true,'top_logprobs':21} | top_logprobs                | top_logprobs is 21, must be less than or equal to 20.
            {'messages':[{'role':'user','content':'a'}],'tools':[{'type':'function'}]}     | tools[0].function           | tools[0].function is missing or null, must be given.
            {'messages':[{'role':'user','content':'a'}],'tools':[null]}                    | tools[0]                    | tools[0] is missing or null, must be given.
            {'messages':[{'role':'user','content':'a'}],'tools':5}                         | tools                       | tools is a number, must be a list.
            {'messages':[{'role':'user','content':'a'}],'tools':[{'type':'custom'}]}       | tools[0].type               | tools[0].type is 'custom', must be 'function'.
            {'messages':[{'role':'user','content':'a'}],'tools':[{'type':'function','function':{'name':'a b'}}]} | tools[0].function.name | tools[0].function.name is 'a b', must be 1 to 64 letters, digits, underscores and hyphens.
            {'messages':[{'role':'user','content':'a'}],'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'array'}}}]} | tools[0].function.parameters.type | tools[0].function.parameters.type is 'array', must be 'object'.
            {'messages':[{'role':'user','content':'a'}],'tools':[{'type':'function','function':{'name':'f'}},{'type':'function','function':{'name':'f'}}]} | tools[1].function.name | tools[1].function.name is that of tools[0] too, must differ.
            {'messages':[{'role':'user','content':'a'}],'tool_choice':'required'}          | tool_choice                 | tool_choice asks for a call, but there are no tools.
            {'messages':[{'role':'user','content':'a'}],'tool_choice':'any'}               | tool_choice                 | tool_choice is 'any', must be 'auto', 'none', 'required' or a function.
            {'messages':[{'role':'user','content':'a'}],'tools':[{'type':'function','function':{'name':'f'}}],'tool_choice':{'type':'function','function':{'name':'g'}}} | tool_choice | tool_choice.function.name is 'g', must be that of one of the tools.
            {'messages':[{'role':'assistant','tool_calls':5}]}                             | messages[0].tool_calls      | messages[0].tool_calls must be a list of calls.
            {'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':5}}]}]} | messages[0].tool_calls[0].function.arguments | messages[0].tool_calls[0].function.arguments must be a string of JSON.
            {'messages':[{'role':'tool','content':'a','tool_call_id':5}]}                  | messages[0].tool_call_id    | messages[0].tool_call_id must be a string.
            {'messages':[{'role':'user','content':'a'}],'functions':[{'name':'f'}]}        | functions                   | functions is given, must be left out: use tools.
            {'messages':[{'role':'user','content':'a'}],'function_call':'auto'}            | function_call               | function_call is given, must be left out: use tool_choice.
            {'messages':[{'role':'user','content':'a'}],'prediction':'b'}                  | prediction                  | prediction is 'b', must be an object with a type and content.
            {'messages':[{'role':'user','content':'a'}],'prediction':{'content':'b'}}      | prediction.type             | prediction.type is missing or null, must be 'content'.
            {'messages':[{'role':'user','content':'a'}],'prediction':{'type':'content'}}   | prediction.content          | prediction.content is missing or null, must be given.
            {'messages':[{'role':'user','content':'a'}],'prediction':{'type':'content','content':4}} | prediction.content | prediction.content must be a string or a list of text parts.
            {'messages':[{'role':'user','content':'a'}],'modalities':['text','audio']}     | modalities                  | modalities is a list of 2, must be left out: it is not supported.
            {'messages':[{'role':'user','content':'a'}],'chat_template':'{{ x }}'}         | chat_template               | chat_template is '{{ x }}', must be left out: it is not supported.
            """)
    void chats(String body, String param, String message) throws Exception {
        HttpResponse<String> response = api.post("/v1/chat/completions", body.replace('\'', '"'));

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        JsonNode error = error(response);
        assertThat(error.path("message").textValue()).isEqualTo(message.replace('\'', '"'));
        assertThat(error.path("param").textValue()).isEqualTo(param);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            {                         | Unexpected end-of-input
            {'prompt':'a'             | Unexpected end-of-input
            {'prompt':'a'} x          | Unrecognized token
            {'prompt':'a'}{}          | There is more after its end
            {prompt:'a'}              | Unexpected character
            {'prompt':'a',}           | Unexpected character
            {'prompt':NaN}            | NaN
            {'prompt':[1,             | Unexpected end-of-input
            <a/>                      | Unexpected character
            """)
    void malformedJson(String body, String cause) throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", body.replace('\'', '"'));

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        assertThat(error(response).path("message").textValue()).contains(cause);
    }

    @Test
    void moreBiasesThanThereIsRoomFor() throws Exception {
        String biases = IntStream.range(0, 1025).mapToObj("\"%d\":1"::formatted).collect(Collectors.joining(","));
        HttpResponse<String> response =
                api.post("/v1/completions", "{\"prompt\":\"a\",\"logit_bias\":{" + biases + "}}");

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        assertThat(error(response).path("message").textValue())
                .isEqualTo("logit_bias is an object of more than 1024, must have at most 1024.");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            257 | 1  | stop is a list of more than 256, must have at most 256.
            16  | 1025 | stop has 16400 characters in all, must have at most 16384.
            """)
    void moreStopsThanThereMayBe(int stops, int characters, String message) throws Exception {
        List<String> texts = IntStream.range(0, stops)
                .mapToObj(i -> Character.toString('a' + i % 26).repeat(characters))
                .toList();
        HttpResponse<String> response = api.post(
                "/v1/completions", "{\"prompt\":\"a\",\"stop\":" + ApiClient.JSON.writeValueAsString(texts) + "}");

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        assertThat(error(response).path("message").textValue()).isEqualTo(message);
    }

    @Test
    void nestingWithoutEnd() throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", "{\"prompt\":\"a\",\"x\":" + "[".repeat(100_000));

        assertThat(response.statusCode()).isEqualTo(400);
        error(response);
    }

    @Test
    void bytesThatAreNoText() throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", "\u0000\u0000\u0000{\uFFFF");

        assertThat(response.statusCode()).isEqualTo(400);
        error(response);
    }

    @ParameterizedTest
    @CsvSource({
        "/v1/completions, '{\"prompt\":\"a\",\"model\":\"gpt-9\"}'",
        "/v1/chat/completions, '{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"model\":\"gpt-9\"}'",
        "/tokenize, '{\"prompt\":\"a\",\"model\":\"gpt-9\"}'",
        "/detokenize, '{\"tokens\":[5],\"model\":\"gpt-9\"}'",
    })
    void anotherModel(String path, String body) throws Exception {
        HttpResponse<String> response = api.post(path, body);

        assertThat(response.statusCode()).isEqualTo(404);
        JsonNode error = error(response);
        assertThat(error.path("code").textValue()).isEqualTo("model_not_found");
        assertThat(error.path("message").textValue()).contains("gpt-9", "test-model");
    }

    @ParameterizedTest
    @CsvSource({
        "'{\"prompt\":\"a\",\"max_tokens\":511}', 513",
        "'{\"prompt\":\"a\",\"max_tokens\":511,\"stream\":true}', 513",
        "'{\"prompt\":\"a\",\"max_tokens\":2147483647}', 2147483649",
        "'{\"prompt\":\"a\",\"max_tokens\":1000000000000}', 1000000000002",
        "'{\"prompt\":\"a\",\"max_completion_tokens\":9223372036854775807,\"stream\":true}', 9223372036854775809",
    })
    void moreThanTheContext(String body, String asked) throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", body);

        assertThat(response.statusCode()).isEqualTo(400);
        JsonNode error = error(response);
        assertThat(error.path("code").textValue()).isEqualTo("context_length_exceeded");
        assertThat(error.path("message").textValue()).contains("512", asked);
    }

    @Test
    void aPromptBeyondTheContext() throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", "{\"prompt\":\"" + "word ".repeat(2000) + "\"}");

        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(error(response).path("code").textValue()).isEqualTo("context_length_exceeded");
    }

    /** The demo's longest token has 15 bytes: what is longer than 512 of them is not made into tokens. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            /v1/completions      | 7681  | {'prompt':'%s'}                                | This model's context is 512 tokens, but prompt has at least 513.
            /v1/completions      | 7681  | {'prompt':['a','%s']}                          | This model's context is 512 tokens, but prompt[1] has at least 513.
            /v1/completions      | 7680  | {'prompt':'%s'}                                | for the completion (max_tokens).
            /v1/chat/completions | 99999 | {'messages':[{'role':'user','content':'%s'}]}  | This model's context is 512 tokens, but the chat has at least 66
            /tokenize            | 30721 | {'prompt':'%s'}                                | prompt has at least 2049 tokens, must have at most 2048: 4 times the model's context.
            /tokenize            | 99999 | {'messages':[{'role':'user','content':'%s'}]}  | messages has at least 66
            """)
    void textsThatNeedNotBeReadToBeTooLong(String path, int bytes, String body, String message) throws Exception {
        HttpResponse<String> response = api.post(path, body.replace('\'', '"').formatted("a".repeat(bytes)));

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        assertThat(error(response).path("message").textValue()).contains(message);
    }

    @Test
    void aTextOfMoreThanTheContextIsStillCounted() throws Exception {
        JsonNode answer = api.answer("/tokenize", "{\"prompt\":\"" + "a".repeat(30_720) + "\"}");

        assertThat(answer.path("count").intValue()).isGreaterThan(2048);
    }

    @ParameterizedTest
    @CsvSource({"GET, /nope, 404", "GET, /v1/nope, 404", "GET, /v1/models/other, 404", "GET, /v1/completions, 405"})
    void pathsAndMethods(String method, String path, int status) throws Exception {
        HttpResponse<String> response = api.get(path);

        assertThat(response.statusCode()).isEqualTo(status);
        error(response);
    }

    @ParameterizedTest
    @CsvSource({"text/plain", "text/xml", "application/x-www-form-urlencoded", "multipart/form-data;boundary=x"})
    void otherContentTypes(String type) throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", "{\"prompt\":\"a\"}", "Content-Type", type);

        assertThat(response.statusCode()).isEqualTo(415);
        assertThat(error(response).path("message").textValue()).contains("application/json");
    }

    @ParameterizedTest
    @ValueSource(strings = {"???", "", " "})
    void aContentTypeThatIsNone(String type) throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", "{\"prompt\":\"a\"}", "Content-Type", type);

        assertThat(response.statusCode()).isBetween(400, 415);
        error(response);
    }

    /** Bytes as they may come from Latin-1, and an encoded surrogate; in a prompt, a list, a chat and a name. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            /v1/completions      | {'prompt':'caf\u00e9'}
            /v1/completions      | {'prompt':['caf\u00e9']}
            /v1/completions      | {'prompt':'\u00ed\u00a0\u0080'}
            /v1/completions      | {'pr\u00ffompt':'a'}
            /v1/chat/completions | {'messages':[{'role':'user','content':'caf\u00e9'}]}
            """)
    void bytesThatAreNoUtf8(String path, String body) throws Exception {
        byte[] bytes = body.replace('\'', '"').getBytes(StandardCharsets.ISO_8859_1);

        HttpResponse<String> response = api.postBytes(path, bytes);

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        JsonNode error = error(response);
        assertThat(error.path("message").textValue()).startsWith("The body is not UTF-8: Invalid UTF-8 ");
        assertThat(error.path("param").isNull()).isTrue();
        assertThat(error.path("code").textValue()).isEqualTo("malformed_json");
    }

    @Test
    void aBodyThatSaysItIsTooLarge() throws Exception {
        HttpResponse<String> response = api.post("/v1/completions", "{\"prompt\":\"" + "a".repeat(1 << 20) + "\"}");

        assertThat(response.statusCode()).isEqualTo(413);
        assertThat(error(response).path("message").textValue()).contains("1,048,576 bytes");
    }

    private static byte[] gzip(String body) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = new GZIPOutputStream(bytes)) {
            out.write(body.getBytes(StandardCharsets.UTF_8));
        }
        return bytes.toByteArray();
    }

    @Test
    void aBodyInGzipIsReadAsAnyOther() throws Exception {
        String body = "{\"prompt\":\"The king\",\"max_tokens\":3,\"ignore_eos\":true}";
        HttpResponse<String> response = api.postBytes("/v1/completions", gzip(body), "Content-Encoding", "gzip");

        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        assertThat(ApiClient.json(response.body()).path("choices"))
                .isEqualTo(api.answer("/v1/completions", body).path("choices"));
    }

    @Test
    void encodedBodiesHaveLimitsToo() throws Exception {
        HttpResponse<String> large = api.postBytes(
                "/v1/completions", gzip("{\"prompt\":\"" + "a".repeat(1 << 22) + "\"}"), "Content-Encoding", "gzip");
        assertThat(large.statusCode()).isEqualTo(413);
        assertThat(error(large).path("code").textValue()).isEqualTo("body_too_large");

        HttpResponse<String> broken =
                api.postBytes("/v1/completions", new byte[] {1, 2, 3}, "Content-Encoding", "gzip");
        assertThat(broken.statusCode()).isEqualTo(400);
        assertThat(error(broken).path("code").textValue()).isEqualTo("malformed_json");

        HttpResponse<String> unknown = api.postBytes("/v1/completions", new byte[3], "Content-Encoding", "br");
        assertThat(unknown.statusCode()).isEqualTo(415);
        assertThat(error(unknown).path("message").textValue())
                .isEqualTo("Content-Encoding is \"br\", must be gzip, deflate or identity.");
    }

    /** In chunks, so that its length is not known before. */
    @Test
    void aBodyThatTurnsOutTooLarge() throws Exception {
        try (Socket socket = new Socket(root.getHost(), root.getPort())) {
            OutputStream out = socket.getOutputStream();
            out.write("""
                    POST /v1/completions HTTP/1.1\r
                    Host: localhost\r
                    Content-Type: application/json\r
                    Transfer-Encoding: chunked\r
                    \r
                    """.getBytes(StandardCharsets.US_ASCII));
            chunk(out, "{\"prompt\":\"");
            String text = "a".repeat(1 << 14);
            for (int sent = 0; sent < (1 << 20) + (1 << 14); sent += text.length()) {
                chunk(out, text);
            }
            String answer = head(socket.getInputStream());
            assertThat(answer).startsWith("HTTP/1.1 413");
        }
    }

    private static void chunk(OutputStream out, String text) throws IOException {
        out.write((Integer.toHexString(text.length()) + "\r\n" + text + "\r\n").getBytes(StandardCharsets.US_ASCII));
    }

    private static String head(InputStream in) throws IOException {
        StringBuilder head = new StringBuilder();
        for (int value = in.read(); value >= 0 && !head.toString().endsWith("\r\n\r\n"); value = in.read()) {
            head.append((char) value);
        }
        return head.toString();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            /tokenize   | {}                              | prompt    | Either prompt or messages must be given.
            /tokenize   | {'prompt':'a','messages':[{'role':'user','content':'a'}]} | prompt | Either prompt or messages must be given.
            /tokenize   | {'prompt':['a']}                | prompt    | prompt is a list, must be a string.
            /detokenize | {}                              | tokens    | tokens is missing or null, must be given.
            /detokenize | {'tokens':[5,null]}             | tokens[1] | tokens[1] is missing or null, must be given.
            /detokenize | {'tokens':[5,4096]}             | tokens[1] | tokens[1] is 4096, must be from 0 to 4095.
            /detokenize | {'tokens':'abc'}                | tokens    | tokens is a string, must be a list.
            """)
    void tokens(String path, String body, String param, String message) throws Exception {
        HttpResponse<String> response = api.post(path, body.replace('\'', '"'));

        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        JsonNode error = error(response);
        assertThat(error.path("message").textValue()).isEqualTo(message.replace('\'', '"'));
        assertThat(error.path("param").textValue()).isEqualTo(param);
    }
}
