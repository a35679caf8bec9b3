package io.weft.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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

/** The events that OpenAI documents, in their order. */
class ResponseFormTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Start START = new Start("resp_1", 5, "m", 9, 4, 0.5, 1);

    private final ResponseForm form;

    ResponseFormTest() throws JsonProcessingException {
        this.form = new ResponseForm(JSON.readValue("{\"input\":\"a\",\"user\":\"u\"}", ResponsesRequest.class));
    }

    private List<Event> events(List<Output> parts, Reason reason) {
        List<Event> events = new ArrayList<>(form.begin(START));
        parts.forEach(part -> events.addAll(form.add(part)));
        events.addAll(form.end(new End(reason, Optional.empty(), 7, 2)));
        for (int i = 0; i < events.size(); i++) {
            assertThat(events.get(i).data().path("type").textValue())
                    .isEqualTo(events.get(i).name());
            assertThat(events.get(i).data().path("sequence_number").intValue()).isEqualTo(i);
        }
        return events;
    }

    /** Events between the first two and the last one. */
    private static String middle(List<Event> events) {
        assertThat(events.subList(0, 2))
                .extracting(Event::name)
                .containsExactly("response.created", "response.in_progress");
        return shown(events.subList(2, events.size() - 1));
    }

    private static String shown(List<Event> events) {
        return events.stream()
                .map(event ->
                        event.data().toString().replace('"', '\'').replaceFirst(",'sequence_number':\\d+", "") + "\n")
                .collect(Collectors.joining());
    }

    @Test
    void text() {
        List<Event> events = events(List.of(new Output.Content("He"), new Output.Content("y")), Reason.STOP);
        String place = "'item_id':'msg_10','output_index':0,'content_index':0,";
        assertThat(middle(events))
                .isEqualTo(
                        "{'type':'response.output_item.added','output_index':0,'item':{'id':'msg_10','type':'message',"
                                + "'status':'in_progress','role':'assistant','content':[]}}\n"
                                + "{'type':'response.content_part.added'," + place
                                + "'part':{'type':'output_text','text':'',"
                                + "'annotations':[],'logprobs':[]}}\n"
                                + "{'type':'response.output_text.delta'," + place + "'delta':'He','logprobs':[]}\n"
                                + "{'type':'response.output_text.delta'," + place + "'delta':'y','logprobs':[]}\n"
                                + "{'type':'response.output_text.done'," + place + "'text':'Hey','logprobs':[]}\n"
                                + "{'type':'response.content_part.done'," + place
                                + "'part':{'type':'output_text','text':'Hey',"
                                + "'annotations':[],'logprobs':[]}}\n"
                                + "{'type':'response.output_item.done','output_index':0,'item':{'id':'msg_10','type':'message',"
                                + "'status':'completed','role':'assistant','content':[{'type':'output_text','text':'Hey',"
                                + "'annotations':[],'logprobs':[]}]}}\n");
        assertThat(events.getLast().name()).isEqualTo("response.completed");
        JsonNode response = events.getLast().data().path("response");
        assertThat(response).isEqualTo(form.whole());
        assertThat(response.path("output").size()).isOne();
        assertThat(response.path("usage").toString().replace('"', '\''))
                .isEqualTo("{'input_tokens':9,'input_tokens_details':{'cached_tokens':4},'output_tokens':7,"
                        + "'output_tokens_details':{'reasoning_tokens':2},'total_tokens':16}");
    }

    @Test
    void thoughtsAndCalls() {
        List<Event> events = events(
                List.of(new Output.Reasoning("Hm"), new Output.Call(0, "f"), new Output.Arguments(0, "{}")),
                Reason.STOP);
        String place = "'item_id':'rs_10','output_index':0,'content_index':0,";
        String call = "'item_id':'fc_11','output_index':1,";
        assertThat(middle(events))
                .isEqualTo("{'type':'response.output_item.added','output_index':0,'item':{'id':'rs_10','type':"
                        + "'reasoning','status':'in_progress','summary':[],'content':[]}}\n"
                        + "{'type':'response.content_part.added'," + place
                        + "'part':{'type':'reasoning_text','text':''}}\n"
                        + "{'type':'response.reasoning_text.delta'," + place + "'delta':'Hm'}\n"
                        + "{'type':'response.reasoning_text.done'," + place + "'text':'Hm'}\n"
                        + "{'type':'response.content_part.done'," + place
                        + "'part':{'type':'reasoning_text','text':'Hm'}}\n"
                        + "{'type':'response.output_item.done','output_index':0,'item':{'id':'rs_10','type':'reasoning',"
                        + "'status':'completed','summary':[],'content':[{'type':'reasoning_text','text':'Hm'}]}}\n"
                        + "{'type':'response.output_item.added','output_index':1,'item':{'id':'fc_11','type':"
                        + "'function_call','status':'in_progress','call_id':'call_10','name':'f','arguments':''}}\n"
                        + "{'type':'response.function_call_arguments.delta'," + call + "'delta':'{}'}\n"
                        + "{'type':'response.function_call_arguments.done'," + call + "'name':'f','arguments':'{}'}\n"
                        + "{'type':'response.output_item.done','output_index':1,'item':{'id':'fc_11','type':"
                        + "'function_call','status':'completed','call_id':'call_10','name':'f','arguments':'{}'}}\n");
        assertThat(form.whole().path("output").size()).isEqualTo(2);
    }

    @Test
    void anAnswerThatIsCut() {
        List<Event> events = events(List.of(new Output.Content("He")), Reason.LENGTH);
        assertThat(events.getLast().name()).isEqualTo("response.incomplete");
        assertThat(form.whole().path("status").textValue()).isEqualTo("incomplete");
        assertThat(form.whole().at("/incomplete_details/reason").textValue()).isEqualTo("max_output_tokens");
        assertThat(form.whole().at("/output/0/status").textValue()).isEqualTo("incomplete");
    }

    @Test
    void anEmptyAnswerIsAMessage() {
        events(List.of(), Reason.STOP);
        assertThat(form.whole().at("/output/0/content/0/text").textValue()).isEmpty();
    }

    @Test
    void aFailure() {
        form.begin(START);
        List<Event> events = form.fail(ApiError.slowReader(), "r1");
        assertThat(events).extracting(Event::name).containsExactly("error", "response.failed");
        assertThat(shown(events.subList(0, 1)))
                .isEqualTo("{'type':'error','code':'slow_reader','message':'The stream was not read fast enough.',"
                        + "'param':null,'error':{'type':'timeout_error','code':'slow_reader','message':'The stream was not"
                        + " read fast enough.','param':null}}\n");
        JsonNode response = events.getLast().data().path("response");
        assertThat(response.path("status").textValue()).isEqualTo("failed");
        assertThat(response.at("/error/code").textValue()).isEqualTo("server_error");
    }
}
