package io.weft.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.api.http.ApiError;
import io.weft.api.openai.AnswerForm.End;
import io.weft.api.openai.AnswerForm.Event;
import io.weft.api.openai.AnswerForm.Reason;
import io.weft.api.openai.AnswerForm.Start;
import io.weft.text.tools.Output;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The events that Anthropic documents, in their order. */
class MessageFormTest {
    private static final Start START = new Start("msg_1", 5, "m", 9, 4, 1, 1);
    private static final String BEGIN =
            "{'type':'message_start','message':{'id':'msg_1','type':'message','role':'assistant','model':'m','content':[],"
                    + "'stop_reason':null,'stop_sequence':null,'usage':{'input_tokens':5,'cache_creation_input_tokens':0,"
                    + "'cache_read_input_tokens':4,'output_tokens':0}}}\n";

    private final MessageForm form = new MessageForm();

    private String events(List<Output> parts, End end) {
        List<Event> events = new ArrayList<>(form.begin(START));
        parts.forEach(part -> events.addAll(form.add(part)));
        events.addAll(form.end(end));
        return shown(events);
    }

    private static String shown(List<Event> events) {
        return events.stream()
                .peek(event -> assertThat(event.data().path("type").textValue()).isEqualTo(event.name()))
                .map(event -> event.data().toString().replace('"', '\'') + "\n")
                .collect(Collectors.joining());
    }

    private static End end(Reason reason) {
        return new End(reason, Optional.empty(), 7, 0);
    }

    private static String ending(String reason) {
        return "{'type':'message_delta','delta':{'stop_reason':'" + reason + "','stop_sequence':null},'usage':"
                + "{'input_tokens':5,'cache_creation_input_tokens':0,'cache_read_input_tokens':4,'output_tokens':7}}\n"
                + "{'type':'message_stop'}\n";
    }

    @Test
    void text() {
        assertThat(events(List.of(new Output.Content("He"), new Output.Content("y")), end(Reason.STOP)))
                .isEqualTo(BEGIN
                        + "{'type':'content_block_start','index':0,'content_block':{'type':'text','text':''}}\n"
                        + "{'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':'He'}}\n"
                        + "{'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':'y'}}\n"
                        + "{'type':'content_block_stop','index':0}\n"
                        + ending("end_turn"));
        assertThat(form.whole().toString().replace('"', '\''))
                .isEqualTo("{'id':'msg_1','type':'message','role':'assistant','model':'m','content':[{'type':'text',"
                        + "'text':'Hey'}],'stop_reason':'end_turn','stop_sequence':null,'usage':{'input_tokens':5,"
                        + "'cache_creation_input_tokens':0,'cache_read_input_tokens':4,'output_tokens':7}}");
    }

    @Test
    void thoughtsTextAndCalls() {
        assertThat(events(
                        List.of(
                                new Output.Reasoning("Hm"),
                                new Output.Content("So"),
                                new Output.Call(0, "f"),
                                new Output.Arguments(0, "{\"a\""),
                                new Output.Arguments(0, ":1}"),
                                new Output.Call(1, "g")),
                        end(Reason.STOP)))
                .isEqualTo(BEGIN
                        + "{'type':'content_block_start','index':0,'content_block':{'type':'thinking','thinking':'',"
                        + "'signature':''}}\n"
                        + "{'type':'content_block_delta','index':0,'delta':{'type':'thinking_delta','thinking':'Hm'}}\n"
                        + "{'type':'content_block_stop','index':0}\n"
                        + "{'type':'content_block_start','index':1,'content_block':{'type':'text','text':''}}\n"
                        + "{'type':'content_block_delta','index':1,'delta':{'type':'text_delta','text':'So'}}\n"
                        + "{'type':'content_block_stop','index':1}\n"
                        + "{'type':'content_block_start','index':2,'content_block':{'type':'tool_use','id':'toolu_10',"
                        + "'name':'f','input':{}}}\n"
                        + "{'type':'content_block_delta','index':2,'delta':{'type':'input_json_delta','partial_json':"
                        + "'{\\'a\\''}}\n"
                        + "{'type':'content_block_delta','index':2,'delta':{'type':'input_json_delta','partial_json':"
                        + "':1}'}}\n"
                        + "{'type':'content_block_stop','index':2}\n"
                        + "{'type':'content_block_start','index':3,'content_block':{'type':'tool_use','id':'toolu_11',"
                        + "'name':'g','input':{}}}\n"
                        + "{'type':'content_block_stop','index':3}\n"
                        + ending("tool_use"));
        assertThat(form.whole().path("content").toString().replace('"', '\''))
                .isEqualTo("[{'type':'thinking','thinking':'Hm','signature':''},{'type':'text','text':'So'},"
                        + "{'type':'tool_use','id':'toolu_10','name':'f','input':{'a':1}},"
                        + "{'type':'tool_use','id':'toolu_11','name':'g','input':{}}]");
    }

    @Test
    void anAnswerThatIsCut() {
        assertThat(events(List.of(new Output.Call(0, "f"), new Output.Arguments(0, "{\"a")), end(Reason.LENGTH)))
                .endsWith(ending("max_tokens"));
        assertThat(form.whole().at("/content/0/input/INVALID_JSON").textValue()).isEqualTo("{\"a");
    }

    @Test
    void aStopSequence() {
        String events = events(List.of(), new End(Reason.STOP, Optional.of("x"), 7, 0));
        assertThat(events)
                .startsWith(BEGIN + "{'type':'message_delta','delta':{'stop_reason':'stop_sequence',"
                        + "'stop_sequence':'x'}");
        assertThat(form.whole().path("content").isEmpty()).isTrue();
    }

    @Test
    void aFailure() {
        form.begin(START);
        assertThat(shown(form.fail(ApiError.slowReader(), "r1")))
                .isEqualTo("{'type':'error','error':{'type':'timeout_error','message':'The stream was not read fast"
                        + " enough.','details':{'error_code':'slow_reader'}},'request_id':'r1'}\n");
    }
}
