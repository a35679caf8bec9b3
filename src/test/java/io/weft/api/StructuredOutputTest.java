package io.weft.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion.VersionFlag;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import java.net.URI;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The demo model's text is nonsense; under a constraint it is a valid value nevertheless. */
@QuarkusTest
@TestProfile(ServiceProfile.class)
class StructuredOutputTest {
    private static final String COMPLETIONS = "/v1/completions";
    private static final String CHAT = "/v1/chat/completions";
    private static final String PERSON = """
            {"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150},
            "tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},
            "required":["name","age","tags"],"additionalProperties":false}""";

    @TestHTTPResource("/")
    URI root;

    private ApiClient api;

    @BeforeEach
    void connect() {
        api = new ApiClient(root);
    }

    private static ObjectNode body(String json) throws Exception {
        return (ObjectNode) ApiClient.JSON.readTree(json);
    }

    /** A request for a completion or a chat, with one more field. */
    private static String request(String path, String field, String value, int seed) throws Exception {
        ObjectNode body = body("{\"max_tokens\":90,\"temperature\":1,\"seed\":" + seed + "}");
        if (path.equals(CHAT)) {
            body.set("messages", ApiClient.JSON.readTree("[{\"role\":\"user\",\"content\":\"Who?\"}]"));
        } else {
            body.put("prompt", "The king");
        }
        body.set(field, ApiClient.JSON.readTree(value));
        return body.toString();
    }

    private static String text(JsonNode answer) {
        JsonNode choice = answer.at("/choices/0");
        return choice.has("text")
                ? choice.path("text").textValue()
                : choice.at("/message/content").textValue();
    }

    private static void assertPerson(String text) throws Exception {
        assertThat(JsonSchemaFactory.getInstance(VersionFlag.V202012)
                        .getSchema(PERSON)
                        .validate(ApiClient.JSON.readTree(text)))
                .as(text)
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            response_format    | {"type":"json_schema","json_schema":{"name":"person","strict":true,"schema":SCHEMA}}
            response_format    | {"type":"json_object","schema":SCHEMA}
            structured_outputs | {"json":SCHEMA,"regex":null,"disable_any_whitespace":false}
            guided_json        | SCHEMA
            json_schema        | SCHEMA
            """)
    void aSchemaIsObeyedUnderEachOfItsNames(String field, String value) throws Exception {
        for (String path : List.of(COMPLETIONS, CHAT)) {
            JsonNode answer = api.answer(path, request(path, field, value.replace("SCHEMA", PERSON), 3));
            assertThat(answer.at("/choices/0/finish_reason").textValue()).isEqualTo("stop");
            assertPerson(text(answer));
        }
    }

    @Test
    void aSchemaMayBeTextOfJson() throws Exception {
        String quoted = ApiClient.JSON.valueToTree(PERSON).toString();
        assertPerson(text(api.answer(CHAT, request(CHAT, "guided_json", quoted, 4))));
    }

    @Test
    void anyObjectIsAnObject() throws Exception {
        for (String value : List.of("{\"type\":\"json_object\"}", "{\"type\":\"text\"}")) {
            String text = text(api.answer(CHAT, request(CHAT, "response_format", value, 5)));
            if (value.contains("json_object")) {
                assertThat(ApiClient.JSON.readTree(text).isObject()).as(text).isTrue();
            }
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            structured_outputs | {"regex":"[A-C]{2,5}-[0-9]+"}
            guided_regex       | "[A-C]{2,5}-[0-9]+"
            regex              | "[A-C]{2,5}-[0-9]+"
            """)
    void anExpressionIsObeyed(String field, String value) throws Exception {
        assertThat(text(api.answer(COMPLETIONS, request(COMPLETIONS, field, value, 6))))
                .matches("[A-C]{2,5}-[0-9]+");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            structured_outputs | {"choice":["yes","no","I do not know, é"]}
            guided_choice      | ["yes","no","I do not know, é"]
            """)
    void oneOfAListIsChosen(String field, String value) throws Exception {
        for (int seed = 0; seed < 5; seed++) {
            assertThat(text(api.answer(CHAT, request(CHAT, field, value, seed))))
                    .isIn("yes", "no", "I do not know, é");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {COMPLETIONS, CHAT})
    void aStreamHasTheSameText(String path) throws Exception {
        String body = request(path, "guided_json", PERSON, 8);
        String whole = text(api.answer(path, body));
        ObjectNode streamed = body(body).put("stream", true);
        String pieces = ApiClient.chunks(api.post(path, streamed.toString()).body()).stream()
                .map(chunk -> chunk.at("/choices/0"))
                .map(choice -> choice.has("text")
                        ? choice.path("text").asText()
                        : choice.at("/delta/content").asText(""))
                .collect(Collectors.joining());
        assertThat(pieces).isEqualTo(whole);
    }

    /** Constrained or not, a text is the same alone and among others. */
    @Test
    void textsDoNotDependOnTheBatch() throws Exception {
        List<String> bodies = new ArrayList<>();
        for (int seed = 0; seed < 4; seed++) {
            bodies.add(request(COMPLETIONS, "guided_json", PERSON, seed));
            bodies.add(request(COMPLETIONS, "ignore_eos", "true", seed).replace("90", "40"));
            bodies.add(request(COMPLETIONS, "guided_regex", "\"(ab|cd)+[0-9]{3,40}\"", seed));
        }
        List<String> alone = new ArrayList<>();
        for (String body : bodies) {
            alone.add(text(api.answer(COMPLETIONS, body)));
        }
        List<CompletableFuture<HttpResponse<String>>> together =
                bodies.stream().map(body -> api.postAsync(COMPLETIONS, body)).toList();
        for (int i = 0; i < bodies.size(); i++) {
            assertThat(text(ApiClient.JSON.readTree(together.get(i).join().body())))
                    .as(bodies.get(i))
                    .isEqualTo(alone.get(i));
        }
    }

    /** The most tokens, n, end tokens that are ignored, biases and penalties: the constraint holds with all of them. */
    @Test
    void otherFieldsDoNotBreakAConstraint() throws Exception {
        ObjectNode body = body(request(COMPLETIONS, "guided_json", PERSON, 9))
                .put("ignore_eos", true)
                .put("n", 3)
                .put("repetition_penalty", 1.5)
                .put("top_k", 1);
        body.putObject("logit_bias").put("5", 100);
        for (JsonNode choice : api.answer(COMPLETIONS, body.toString()).path("choices")) {
            assertThat(choice.path("finish_reason").textValue()).isEqualTo("stop");
            assertPerson(choice.path("text").textValue());
        }
        JsonNode cut = api.answer(COMPLETIONS, body.put("max_tokens", 3).toString());
        assertThat(cut.at("/choices/0/finish_reason").textValue()).isEqualTo("length");
    }

    /** It is found only while the text is written; the next request is served. */
    @Test
    void aConstraintThatIsTooCostlyIsSaid() throws Exception {
        HttpResponse<String> response =
                api.post(COMPLETIONS, request(COMPLETIONS, "guided_regex", "\"(?:a?){500}a{500}\"", 1));
        assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
        assertThat(response.body()).contains("alternatives", "constraint_too_complex");
        assertPerson(text(api.answer(COMPLETIONS, request(COMPLETIONS, "guided_json", PERSON, 1))));
    }
}
