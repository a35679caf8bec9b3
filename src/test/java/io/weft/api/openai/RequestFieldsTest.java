package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import io.weft.api.http.ApiException;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What becomes of each field that OpenAI, vLLM, llama.cpp's server, TGI and Hugging Face know. */
class RequestFieldsTest {
    private static final ObjectMapper JSON =
            new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    /**
     * A line of the list.
     *
     * @param doors b for both, c for completions, t for chats
     * @param fate works, refused or none
     * @param refused a value that is refused
     * @param off a value that asks for nothing
     */
    record Field(String name, String doors, String fate, String refused, String off) {
        static Field of(String line) {
            List<String> cells = Arrays.asList(line.split("\t"));
            return new Field(
                    cells.get(0),
                    cells.get(1),
                    cells.get(2),
                    cells.size() > 3 ? cells.get(3) : "",
                    cells.size() > 4 ? cells.get(4) : "");
        }

        @Override
        public String toString() {
            return name;
        }

        List<Class<? extends Record>> requests() {
            return switch (doors) {
                case "c" -> List.of(CompletionRequest.class);
                case "t" -> List.of(ChatRequest.class);
                default -> List.of(CompletionRequest.class, ChatRequest.class);
            };
        }
    }

    private static List<Field> fields(String fate) throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("src/test/resources/requests/fields.tsv"))) {
            return lines.filter(line -> !line.startsWith("#"))
                    .map(Field::of)
                    .filter(field -> field.fate().equals(fate))
                    .toList();
        }
    }

    static List<Field> refused() throws IOException {
        return fields("refused");
    }

    /** The names that a request reads. */
    private static Set<String> names(Class<?> request) {
        Set<String> names = new HashSet<>();
        for (RecordComponent component : request.getRecordComponents()) {
            if (component.getAccessor().isAnnotationPresent(JsonUnwrapped.class)) {
                names.addAll(component.getType().isRecord() ? names(component.getType()) : Set.of());
            } else {
                names.add(new PropertyNamingStrategies.SnakeCaseStrategy().translate(component.getName()));
            }
        }
        return names;
    }

    private static void check(Class<? extends Record> type, String field, String value) throws JsonProcessingException {
        String body = "{\"unknown\":[{\"" + field + "\":1}],\"prompt\":\"a\",\"" + field + "\":" + value
                + ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":3,\"n\":1}";
        switch (JSON.readValue(body, type)) {
            case CompletionRequest request -> request.check();
            case ChatRequest request -> request.check();
            default -> throw new AssertionError(type);
        }
    }

    @ParameterizedTest
    @MethodSource("refused")
    void isRefusedByNameUnlessItAsksForNothing(Field field) {
        for (Class<? extends Record> request : field.requests()) {
            assertThatThrownBy(() -> check(request, field.name(), field.refused()))
                    .as(field.name() + " of " + request.getSimpleName())
                    .isInstanceOf(ApiException.class)
                    .hasMessageStartingWith(field.name() + " is ");
            for (String off : List.of(field.off(), "null")) {
                assertThatCode(() -> check(request, field.name(), off)).doesNotThrowAnyException();
            }
        }
    }

    @Test
    void whatWorksIsRead() throws IOException {
        for (Field field : fields("works")) {
            assertThat(field.requests())
                    .as(field.name())
                    .allSatisfy(request -> assertThat(names(request)).contains(field.name()));
        }
    }

    /** And nothing is both read and refused. */
    @Test
    void theRestIsListedInTheDocumentation() throws IOException {
        String documentation = Files.readString(Path.of("docs/api.md"));
        Set<String> read = Stream.of(CompletionRequest.class, ChatRequest.class)
                .flatMap(request -> names(request).stream())
                .collect(Collectors.toSet());
        assertThat(Stream.concat(fields("none").stream(), refused().stream())).allSatisfy(field -> {
            assertThat(read).doesNotContain(field.name());
            assertThat(documentation).contains("`" + field.name() + "`");
        });
        assertThat(fields("works"))
                .allSatisfy(field -> assertThat(documentation).contains("`" + field.name() + "`"));
    }
}
