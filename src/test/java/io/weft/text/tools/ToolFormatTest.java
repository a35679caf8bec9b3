package io.weft.text.tools;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion.VersionFlag;
import io.weft.text.constraint.Constraint;
import io.weft.text.constraint.ConstraintState;
import io.weft.text.constraint.Syntax;
import io.weft.text.constraint.TestVocabularies;
import io.weft.text.constraint.TextWriter;
import io.weft.text.constraint.Vocabulary;
import io.weft.text.tools.ReasoningFormat.Start;
import io.weft.text.tools.ToolFormat.Calls;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What a format prescribes is what it reads. */
class ToolFormatTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int TOKENS_MAX = 20_000;

    private static Function function(String name, String schema) throws IOException {
        return new Function(name, JSON.readTree(schema));
    }

    private static List<Function> functions() throws IOException {
        return List.of(
                function("f", "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}"),
                function("f-2", "{\"type\": \"object\"}"),
                function(
                        "weather",
                        "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"maxLength\": 9},"
                                + " \"days\": {\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"maxItems\": 3},"
                                + " \"unit\": {\"enum\": [\"C\", \"F\"]}}, \"required\": [\"city\", \"unit\"],"
                                + " \"additionalProperties\": false}"));
    }

    /** A vocabulary, and what each token shows. */
    private record Kind(Vocabulary vocabulary, List<byte[]> shown) {
        static Kind spelled() {
            List<byte[]> tokens = TestVocabularies.jsonLike(5);
            return new Kind(Vocabulary.of(tokens, List.of(0)), tokens);
        }

        static Kind withControlTokens(List<String> marks) {
            List<byte[]> tokens = TestVocabularies.jsonLike(6);
            var shown = new ArrayList<>(tokens);
            Map<String, Integer> ids = new HashMap<>();
            for (String mark : marks) {
                ids.put(mark, tokens.size());
                tokens.add(new byte[0]);
                shown.add(mark.getBytes(StandardCharsets.UTF_8));
            }
            return new Kind(Vocabulary.of(tokens, List.of(0), ids), shown);
        }

        String write(Constraint constraint, long seed) {
            byte[] text = new TextWriter(vocabulary, shown, new Random(seed))
                    .write(constraint, TOKENS_MAX, true)
                    .orElseThrow();
            return new String(text, StandardCharsets.UTF_8);
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyCallUnderTheConstraintIsRead(ToolFormat format) throws IOException {
        List<Function> functions = functions();
        var marks = new ArrayList<>(format.marks());
        marks.addAll(List.of("<think>", "</think>", "<other>"));
        for (Kind kind : List.of(Kind.spelled(), Kind.withControlTokens(marks))) {
            for (Calls calls : Calls.values()) {
                Syntax forced = format.calls(functions, calls);
                assertCalls(format, kind, calls, forced, Optional.empty(), 1);
                assertCalls(format, kind, calls, format.answerOrCalls(functions, calls), Optional.empty(), 0);
                if (kind.vocabulary().size() != Kind.spelled().vocabulary().size()) {
                    // Without a token for the mark, thoughts that are written at random do not end soon.
                    for (Start start : Start.values()) {
                        Syntax thoughtful = ReasoningFormat.THINK.before(forced, start);
                        assertCalls(format, kind, calls, thoughtful, Optional.of(start), 1);
                    }
                }
            }
        }
    }

    private static void assertCalls(
            ToolFormat format, Kind kind, Calls calls, Syntax syntax, Optional<Start> thoughts, int least)
            throws IOException {
        Map<String, JsonSchema> schemas = functions().stream()
                .collect(Collectors.toMap(
                        Function::name,
                        function -> JsonSchemaFactory.getInstance(VersionFlag.V202012)
                                .getSchema(function.parameters())));
        Constraint constraint = Constraint.syntax(syntax, kind.vocabulary());
        int most = 0;
        for (int i = 0; i < 40; i++) {
            String text = kind.write(constraint, i);
            var parser = new OutputParser(
                    thoughts.map(start -> ReasoningFormat.THINK),
                    thoughts.orElse(Start.ANSWER),
                    Optional.of(format),
                    schemas.keySet());
            var parts = new ArrayList<>(parser.add(text));
            parts.addAll(parser.finish());
            assertThat(parser.malformedCalls()).as("%s", text).isZero();
            assertThat(parser.calls()).as("%s", text).isGreaterThanOrEqualTo(least);
            assertThat(calls == Calls.ONE_OR_MORE || parser.calls() <= 1)
                    .as("%s", text)
                    .isTrue();
            most = Math.max(most, parser.calls());
            String name = "";
            for (Output part : parts) {
                switch (part) {
                    case Output.Call call -> name = call.name();
                    case Output.Arguments arguments -> {
                        JsonNode value = JSON.readTree(arguments.text());
                        JsonSchema schema = Objects.requireNonNull(schemas.get(name), text);
                        assertThat(schema.validate(value)).as("%s", text).isEmpty();
                    }
                    case Output.Content content ->
                        assertThat(least).as("%s", text).isZero();
                    case Output.Reasoning reasoning -> assertThat(thoughts).isPresent();
                }
            }
        }
        assertThat(most).as("most calls of a text").isGreaterThanOrEqualTo(least);
    }

    /** Calls that are allowed alone are allowed after an answer too. */
    @ParameterizedTest
    @EnumSource
    void callsMayFollowAnAnswer(ToolFormat format) throws IOException {
        Kind kind = Kind.spelled();
        String answer = switch (format.reading().bare()) {
            case NOTHING -> "It {is} [3] < 4.\n";
            case OBJECT -> "";
            case NAME -> "all\nIt {is} > 4.>>>";
        };
        Constraint alone = Constraint.syntax(format.calls(functions(), Calls.ONE_OR_MORE), kind.vocabulary());
        Constraint either = Constraint.syntax(format.answerOrCalls(functions(), Calls.ONE_OR_MORE), kind.vocabulary());
        for (int i = 0; i < 10; i++) {
            ConstraintState state = either.start();
            for (byte b : (answer + kind.write(alone, i)).getBytes(StandardCharsets.UTF_8)) {
                state = state.advance(1 + (b & 0xFF));
            }
            assertThat(state.complete()).isTrue();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "qwen2, HERMES",
        "qwen3, HERMES",
        "llama3-tools, LLAMA3",
        "mistral, MISTRAL",
        "deepseek,",
        "chatml,",
        "gemma,",
        "llama2,",
        "zephyr,"
    })
    void formatsAreRecognised(String family, ToolFormat format) throws IOException {
        Path file = Path.of("src/test/resources/chat-templates/" + family + ".json");
        String template =
                JSON.readTree(Files.readAllBytes(file)).path("template").textValue();
        assertThat(ToolFormat.of(template)).isEqualTo(Optional.ofNullable(format));
        assertThat(ReasoningFormat.of(template).isPresent())
                .isEqualTo(List.of("qwen3", "deepseek").contains(family));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '#',
            quoteCharacter = '`',
            value = {
                "MISTRAL_NAMED # {% if tools %}{{ '[TOOL_CALLS]' + name + '[ARGS]' + arguments }}",
                "FUNCTION_TAGS # {% if tools %}<function=example_function_name>{\"x\": 1}</function>",
                "FUNCTIONARY # {% if tools %}Respond with >>>${recipient}\\n{% endif %}>>>",
                "PHI4 # {% if tools %}functools[{...}]",
                "PHI4_MINI # {% if 'tools' in message %}{{ '<|tool|>' + message['tools'] + '<|/tool|>' }}",
                "GRANITE # {% if tools %}<|start_of_role|>assistant<|end_of_role|><|tool_call|>",
                "LLAMA3 # {% if tools %}{{ '<|python_tag|>' }}",
                "DEEPSEEK # {% if tools %}<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\\n```json",
                "DEEPSEEK_V31 # {% if tools %}<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}",
            })
    void furtherFormatsAreRecognised(ToolFormat format, String template) {
        assertThat(ToolFormat.of(template)).contains(format);
        assertThat(ToolFormat.of(template.replace("tools", "x"))).isEmpty();
    }
}
