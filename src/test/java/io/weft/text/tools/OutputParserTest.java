package io.weft.text.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.text.tools.ReasoningFormat.Start;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class OutputParserTest {
    private static final Set<String> FUNCTIONS = Set.of("f", "weather", "all_of_it");

    /** What texts are made of, so that marks, calls and what only looks like them meet in all ways. */
    private static final List<String> PIECES = List.of(
            "<tool_call>",
            "</tool_call>",
            "<|tool_call|>",
            "<|/tool_call|>",
            "<tool",
            "[TOOL_CALLS]",
            "[ARGS]",
            "[CALL_ID]",
            "[TOOL",
            "functools",
            "<|python_tag|>",
            ">>>",
            ">>>all\n",
            "f\n",
            "<function=",
            "</function>",
            "f>",
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁call▁begin｜>",
            "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n",
            "<｜tool▁call▁begin｜>f<｜tool▁sep｜>",
            "```<｜tool▁call▁end｜>",
            "<｜tool▁calls▁end｜>",
            "f",
            "weather",
            "{\"name\": \"f\", \"arguments\": ",
            "{\"name\": \"weather\", \"parameters\": ",
            "{\"arguments\": {\"a\": [1, \"}\"]}, \"name\": \"f\"}",
            "\"name\": \"f\"",
            "{\"a\": \"x\\\"y\\u00e9\"}",
            "{\"a\": {}}",
            "{}",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "\\",
            ",",
            ", ",
            ";",
            ":",
            "1.5",
            "tru",
            " ",
            "\n",
            "Hello",
            "\uD83D\uDE00",
            "<think>",
            "</think>",
            "<th");

    private static List<Output> parsed(OutputParser parser, List<String> pieces) {
        var all = new ArrayList<Output>();
        for (String piece : pieces) {
            all.addAll(parser.add(piece));
        }
        all.addAll(parser.finish());
        return joined(all);
    }

    private static List<Output> joined(List<Output> parts) {
        var joined = new ArrayList<Output>();
        for (Output part : parts) {
            Output last = joined.isEmpty() ? null : joined.getLast();
            Output both = switch (part) {
                case Output.Content(String text)
                when last instanceof Output.Content(String before) -> new Output.Content(before + text);
                case Output.Reasoning(String text)
                when last instanceof Output.Reasoning(String before) -> new Output.Reasoning(before + text);
                case Output.Arguments(int index, String text)
                when last instanceof Output.Arguments(int same, String before) && same == index ->
                    new Output.Arguments(index, before + text);
                default -> null;
            };
            if (both == null) {
                joined.add(part);
            } else {
                joined.set(joined.size() - 1, both);
            }
        }
        return joined;
    }

    private static OutputParser parser(ToolFormat format) {
        return new OutputParser(Optional.empty(), Start.ANSWER, Optional.of(format), FUNCTIONS);
    }

    private static List<Output> parsed(ToolFormat format, String text) {
        return parsed(parser(format), List.of(text));
    }

    private static List<Output> call(String name, String arguments) {
        return List.of(new Output.Call(0, name), new Output.Arguments(0, arguments));
    }

    @ParameterizedTest
    @EnumSource
    void partsDoNotDependOnHowATextIsCut(ToolFormat format) {
        var random = new Random(format.ordinal());
        int calls = 0;
        int malformed = 0;
        for (int i = 0; i < 8_000; i++) {
            var text = new StringBuilder();
            for (int j = random.nextInt(14); j >= 0; j--) {
                text.append(PIECES.get(random.nextInt(PIECES.size())));
            }
            Start start = random.nextInt(3) == 0 ? Start.THOUGHTS : Start.ANSWER;
            Optional<ReasoningFormat> reasoning =
                    random.nextInt(3) == 0 ? Optional.of(ReasoningFormat.THINK) : Optional.empty();
            var whole = new OutputParser(reasoning, start, Optional.of(format), FUNCTIONS);
            List<Output> expected = parsed(whole, List.of(text.toString()));
            var pieces = new ArrayList<String>();
            for (int from = 0; from < text.length(); ) {
                int to = Math.min(text.length(), from + 1 + random.nextInt(6));
                pieces.add(text.substring(from, to));
                from = to;
            }
            var cut = new OutputParser(reasoning, start, Optional.of(format), FUNCTIONS);
            assertThat(parsed(cut, pieces)).as("%s", text).isEqualTo(expected);
            assertThat(cut.malformedCalls()).as("%s", text).isEqualTo(whole.malformedCalls());
            assertThat(expected.stream().filter(Output.Call.class::isInstance)).hasSize(whole.calls());
            calls += whole.calls();
            malformed += whole.malformedCalls();
        }
        assertThat(calls).isPositive();
        assertThat(malformed).isPositive();
    }

    @ParameterizedTest
    @EnumSource
    void aTextWithoutMarksIsTheAnswerAtOnce(ToolFormat format) {
        OutputParser parser = parser(format);
        String first = format == ToolFormat.FUNCTIONARY ? "all\n" : "";
        assertThat(parser.add(first + "It is 3 < 4")).containsExactly(new Output.Content("It is 3 < 4"));
        assertThat(parser.add(", [so]\n\nthey\n")).containsExactly(new Output.Content(", [so]\n\nthey"));
        assertThat(parser.finish()).containsExactly(new Output.Content("\n"));
        assertThat(parser.calls()).isZero();
        assertThat(parser.malformedCalls()).isZero();
    }

    @Test
    void callsOfAllFamilies() {
        String arguments = "{\"city\": \"Oslo\", \"days\": [1, 2]}";
        String named = "{\"name\": \"f\", \"arguments\": " + arguments + "}";
        record Row(ToolFormat format, String text) {}
        for (Row row : List.of(
                new Row(ToolFormat.HERMES, "<tool_call>\n" + named + "\n</tool_call>"),
                new Row(ToolFormat.HERMES, "\n\n<tool_call>" + named + "</tool_call>\n"),
                new Row(ToolFormat.HERMES, "<tool_call>{\"arguments\": " + arguments + ", \"name\": \"f\"}"),
                new Row(ToolFormat.LLAMA3, "{\"name\": \"f\", \"parameters\": " + arguments + "}"),
                new Row(
                        ToolFormat.LLAMA3,
                        "<|python_tag|>{\"type\": \"function\", \"name\": \"f\", \"parameters\": " + arguments + "}"),
                new Row(ToolFormat.MISTRAL, "[TOOL_CALLS] [" + named + "]"),
                new Row(
                        ToolFormat.MISTRAL,
                        "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": " + arguments + ", \"id\": \"abcdefghi\"}]"),
                new Row(ToolFormat.MISTRAL_NAMED, "[TOOL_CALLS]f[ARGS]" + arguments),
                new Row(ToolFormat.MISTRAL_NAMED, "[TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]" + arguments),
                new Row(ToolFormat.MISTRAL_NAMED, "[TOOL_CALLS]f" + arguments),
                new Row(ToolFormat.PHI4, "functools[" + named + "]"),
                new Row(ToolFormat.PHI4, "<|tool_call|>[" + named + "]<|/tool_call|>"),
                new Row(ToolFormat.GRANITE, "<|tool_call|>[" + named + "]"),
                new Row(ToolFormat.GRANITE, "<tool_call>" + named),
                new Row(ToolFormat.FUNCTIONARY, "f\n" + arguments),
                new Row(ToolFormat.FUNCTIONARY, "all\n>>>f\n" + arguments),
                new Row(ToolFormat.FUNCTION_TAGS, "<function=f>" + arguments + "</function>"),
                new Row(
                        ToolFormat.DEEPSEEK,
                        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n" + arguments
                                + "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
                new Row(
                        ToolFormat.DEEPSEEK_V31,
                        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>" + arguments
                                + "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"))) {
            assertThat(parsed(row.format(), row.text())).as("%s", row).isEqualTo(call("f", arguments));
        }
    }

    @Test
    void severalCallsAndTheAnswerAroundThem() {
        assertThat(parsed(
                        ToolFormat.HERMES,
                        "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n"
                                + "{\"name\": \"weather\", \"arguments\": {\"a\": 1}}\n</tool_call>"))
                .containsExactly(
                        new Output.Content("Let me see."),
                        new Output.Call(0, "f"),
                        new Output.Arguments(0, "{}"),
                        new Output.Call(1, "weather"),
                        new Output.Arguments(1, "{\"a\": 1}"));
        assertThat(parsed(
                        ToolFormat.LLAMA3,
                        "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"weather\", \"parameters\": {\"a\": 1}}"))
                .hasSize(4);
        assertThat(parsed(ToolFormat.MISTRAL_NAMED, "[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]weather[ARGS]{\"a\": 1}"))
                .hasSize(4);
        assertThat(parsed(
                        ToolFormat.PHI4,
                        "functools[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"f\", \"arguments\": {}}]"))
                .hasSize(4);
        assertThat(parsed(ToolFormat.FUNCTIONARY, "all\nHello>>>f\n{}\n>>>weather\n{}"))
                .hasSize(5);
    }

    @Test
    void aCallIsGivenAsItArrives() {
        OutputParser parser = parser(ToolFormat.HERMES);
        assertThat(parser.add("Hm <tool_")).containsExactly(new Output.Content("Hm"));
        assertThat(parser.add("call>{\"name\": \"f\", \"arg")).isEmpty();
        assertThat(parser.add("uments\": {\"a"))
                .containsExactly(new Output.Call(0, "f"), new Output.Arguments(0, "{\"a"));
        assertThat(parser.add("\": 1}")).containsExactly(new Output.Arguments(0, "\": 1}"));
        assertThat(parser.add("}</tool_call>")).isEmpty();
        assertThat(parser.finish()).isEmpty();
    }

    @Test
    void whatIsNoCallIsAPartOfTheAnswer() {
        record Row(ToolFormat format, String text, int counted) {}
        for (Row row : List.of(
                new Row(ToolFormat.HERMES, "<tool_call>no json</tool_call>", 0),
                new Row(ToolFormat.HERMES, " <tool_call> {\"name\": f}</tool_call> x", 1),
                new Row(ToolFormat.HERMES, "<tool_call>{\"arguments\": {}}", 1),
                new Row(ToolFormat.HERMES, "<tool_call>{\"name\": \"f\"", 1),
                new Row(ToolFormat.HERMES, "</tool_call> <tool_call", 0),
                new Row(ToolFormat.LLAMA3, "{\"city\": \"Oslo\"}", 0),
                new Row(ToolFormat.LLAMA3, "{\"name\": \"Ann\", \"parameters\": {}}", 0),
                new Row(ToolFormat.LLAMA3, "{\"name\": \"f\"}", 0),
                new Row(ToolFormat.LLAMA3, "So: {\"name\": \"f\", \"parameters\": {}}", 0),
                new Row(ToolFormat.MISTRAL_NAMED, "[TOOL_CALLS]f[AR[ARGS]{}", 0),
                new Row(ToolFormat.PHI4, "functools.cache", 0),
                new Row(ToolFormat.FUNCTIONARY, "foo\n{}", 0),
                new Row(ToolFormat.DEEPSEEK, "<｜tool▁calls▁begin｜> none", 0),
                new Row(ToolFormat.DEEPSEEK, "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f {}", 0),
                new Row(ToolFormat.DEEPSEEK_V31, "<｜tool▁calls▁begin｜>\n<｜tool▁call▁begin｜>f<｜tool▁sep", 0),
                new Row(ToolFormat.FUNCTIONARY, "It is", 0))) {
            OutputParser parser = parser(row.format());
            assertThat(parsed(parser, List.of(row.text())))
                    .as("%s", row)
                    .containsExactly(new Output.Content(row.text()));
            assertThat(parser.malformedCalls()).as("%s", row).isEqualTo(row.counted());
        }
    }

    @Test
    void argumentsThatAreNoJsonArePassedOnAndCounted() {
        OutputParser parser = parser(ToolFormat.HERMES);
        assertThat(parsed(parser, List.of("<tool_call>{\"name\": \"f\", \"arguments\": {city: 1}}</tool_call> x")))
                .containsExactly(
                        new Output.Call(0, "f"), new Output.Arguments(0, "{city: 1}}"), new Output.Content(" x"));
        assertThat(parser.malformedCalls()).isOne();
        parser = parser(ToolFormat.MISTRAL_NAMED);
        assertThat(parsed(parser, List.of("[TOOL_CALLS]f[ARGS]{\"a\": "))).isEqualTo(call("f", "{\"a\": "));
        assertThat(parser.malformedCalls()).isOne();
    }

    @Test
    void argumentsMayBeAStringOrMissing() {
        assertThat(parsed(ToolFormat.HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}"))
                .isEqualTo(call("f", "{\"a\": 1}"));
        assertThat(parsed(ToolFormat.HERMES, "<tool_call>{\"name\": \"f\"}</tool_call>"))
                .isEqualTo(call("f", "{}"));
        assertThat(parsed(ToolFormat.HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": null}"))
                .isEqualTo(call("f", "{}"));
    }

    @Test
    void thoughtsComeBeforeTheAnswer() {
        record Row(Start start, String text, String thoughts, String answer) {}
        for (Row row : List.of(
                new Row(Start.ANSWER, "<think>\nHm, \nso.\n</think>\n\nYes.\n", "Hm, \nso.", "Yes.\n"),
                new Row(Start.THOUGHTS, "Hm.</think>Yes.", "Hm.", "Yes."),
                new Row(Start.ANSWER, "\n Yes <think>", "", "\n Yes <think>"),
                new Row(Start.ANSWER, "<thi<think>x", "", "<thi<think>x"),
                new Row(Start.ANSWER, "<think>\n\n</think>\n\nYes.", "", "Yes."),
                new Row(Start.THOUGHTS, "Hm. </thi", "Hm. </thi", ""))) {
            var parser = new OutputParser(Optional.of(ReasoningFormat.THINK), row.start(), Optional.empty(), FUNCTIONS);
            var expected = new ArrayList<Output>();
            if (!row.thoughts().isEmpty()) {
                expected.add(new Output.Reasoning(row.thoughts()));
            }
            if (!row.answer().isEmpty()) {
                expected.add(new Output.Content(row.answer()));
            }
            assertThat(parsed(parser, List.of(row.text()))).as("%s", row).isEqualTo(expected);
        }
        assertThat(ReasoningFormat.THINK.openedBy("<|im_start|>assistant\n<think>\n"))
                .isTrue();
        assertThat(ReasoningFormat.THINK.openedBy("<think>\n\n</think>\n\n")).isFalse();
    }

    @Test
    void callsInThoughtsAreThoughts() {
        var parser = new OutputParser(
                Optional.of(ReasoningFormat.THINK), Start.ANSWER, Optional.of(ToolFormat.HERMES), FUNCTIONS);
        assertThat(parsed(parser, List.of("<think><tool_call></think>\n\n<tool_call>{\"name\": \"f\"}")))
                .containsExactly(
                        new Output.Reasoning("<tool_call>"), new Output.Call(0, "f"), new Output.Arguments(0, "{}"));
    }
}
