package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The text of completions where a text that begins has no space, and one that goes on has. */
@QuarkusTest
@TestProfile(ServiceProfile.Pieces.class)
class PiecesTest {
    private static final String PATH = "/v1/completions";

    @TestHTTPResource("/")
    URI root;

    private ApiClient api;
    private int the;

    @BeforeEach
    void connect() throws Exception {
        api = new ApiClient(root);
        the = api.answer("/tokenize", "{\"prompt\":\"the\",\"add_special_tokens\":false}")
                .at("/tokens/0")
                .intValue();
    }

    private String body(String more) {
        return "{\"prompt\":\"hello\",\"max_tokens\":2,\"temperature\":0,\"logit_bias\":{\"%d\":100}%s}"
                .formatted(the, more);
    }

    @Test
    void aCompletionGoesOnWhereThePromptEnds() throws Exception {
        JsonNode choice = api.answer(PATH, body(",\"return_token_ids\":true")).at("/choices/0");
        assertThat(choice.path("text").textValue()).isEqualTo(" the the");

        String all = StreamSupport.stream(choice.path("prompt_token_ids").spliterator(), false)
                        .skip(1)
                        .map(JsonNode::asText)
                        .collect(Collectors.joining(","))
                + "," + the + "," + the;
        assertThat(api.answer("/detokenize", "{\"tokens\":[" + all + "]}")
                        .path("prompt")
                        .textValue())
                .isEqualTo("hello the the");
        assertThat(api.answer(PATH, body(",\"echo\":true"))
                        .at("/choices/0/text")
                        .textValue())
                .isEqualTo("hello the the");
    }

    @Test
    void aStreamIsTheSameText() throws Exception {
        String events = api.post(PATH, body(",\"stream\":true")).body();
        assertThat(events.split("\"text\":\" the\"", -1)).hasSize(3);
    }

    @Test
    void aStopMayBeginWithASpace() throws Exception {
        JsonNode choice = api.answer(PATH, body(",\"stop\":\" the\"")).at("/choices/0");
        assertThat(choice.path("text").textValue()).isEmpty();
        assertThat(choice.path("finish_reason").textValue()).isEqualTo("stop");
    }

    @Test
    void offsetsArePlacesInTheText() throws Exception {
        JsonNode offsets =
                api.answer(PATH, body(",\"echo\":true,\"logprobs\":0")).at("/choices/0/logprobs/text_offset");
        // The first token of a text, the space that is stripped from its start, and the word.
        assertThat(offsets).hasToString("[0,0,0,5,9]");
        JsonNode own = api.answer(PATH, body(",\"logprobs\":0")).at("/choices/0/logprobs/text_offset");
        assertThat(own).hasToString("[0,4]");
    }
}
