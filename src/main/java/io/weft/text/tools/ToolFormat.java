package io.weft.text.tools;

import io.weft.text.constraint.Syntax;
import io.weft.text.constraint.Syntax.AnyOf;
import io.weft.text.constraint.Syntax.Free;
import io.weft.text.constraint.Syntax.Json;
import io.weft.text.constraint.Syntax.Literal;
import io.weft.text.constraint.Syntax.Mark;
import io.weft.text.constraint.Syntax.Repeated;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** How a family of models writes calls of tools. */
@SuppressWarnings("ImmutableEnumChecker") // Records of lists that nobody changes.
public enum ToolFormat {
    /** {@code <tool_call>{"name": …, "arguments": …}</tool_call>}: Hermes, Qwen, Granite 4. */
    HERMES(
            new Reading(List.of("<tool_call>"), List.of("</tool_call>"), Bare.NOTHING, Name.IN_JSON),
            new Writing(
                    "",
                    List.of(new Mark("<tool_call>"), new Literal("\n{\"name\": \"")),
                    List.of(new Literal("\", \"arguments\": ")),
                    List.of(new Literal("}\n"), new Mark("</tool_call>")),
                    "\n",
                    List.of(),
                    List.of())),
    /** {@code {"name": …, "parameters": …}} as the whole answer: Llama 3. */
    LLAMA3(
            new Reading(List.of("<|python_tag|>"), List.of(), Bare.OBJECT, Name.IN_JSON),
            new Writing(
                    "",
                    List.of(new Literal("{\"name\": \"")),
                    List.of(new Literal("\", \"parameters\": ")),
                    List.of(new Literal("}")),
                    "; ",
                    List.of(),
                    List.of())),
    /** {@code [TOOL_CALLS][{"name": …, "arguments": …}]}. */
    MISTRAL(
            new Reading(List.of("[TOOL_CALLS]"), List.of(), Bare.NOTHING, Name.BEFORE_ARGUMENTS),
            Writing.list(List.of(new Mark("[TOOL_CALLS]"), new Literal("[")), List.of(new Literal("]")))),
    /** {@code [TOOL_CALLS]name[ARGS]{…}}: Mistral's models since 2025. */
    MISTRAL_NAMED(
            new Reading(List.of("[TOOL_CALLS]"), List.of(), Bare.NOTHING, Name.BEFORE_ARGUMENTS),
            new Writing(
                    "",
                    List.of(new Mark("[TOOL_CALLS]")),
                    List.of(new Mark("[ARGS]")),
                    List.of(),
                    "",
                    List.of(),
                    List.of())),
    /** {@code functools[{"name": …, "arguments": …}]}: Phi-4. */
    PHI4(
            new Reading(List.of("functools", "<|tool_call|>"), List.of("<|/tool_call|>"), Bare.NOTHING, Name.IN_JSON),
            Writing.list(List.of(new Literal("functools[")), List.of(new Literal("]")))),
    /** {@code <|tool_call|>[{"name": …, "arguments": …}]<|/tool_call|>}: Phi-4-mini. */
    PHI4_MINI(
            new Reading(List.of("functools", "<|tool_call|>"), List.of("<|/tool_call|>"), Bare.NOTHING, Name.IN_JSON),
            Writing.list(
                    List.of(new Mark("<|tool_call|>"), new Literal("[")),
                    List.of(new Literal("]"), new Mark("<|/tool_call|>")))),
    /** {@code <|tool_call|>[{"name": …, "arguments": …}]}: Granite 3. */
    GRANITE(
            new Reading(List.of("<|tool_call|>", "<tool_call>"), List.of("</tool_call>"), Bare.NOTHING, Name.IN_JSON),
            Writing.list(List.of(new Mark("<|tool_call|>"), new Literal("[")), List.of(new Literal("]")))),
    /** {@code >>>name}, a new line, the arguments; the prompt ends with {@code >>>}: functionary 3.2. */
    FUNCTIONARY(
            new Reading(List.of(">>>"), List.of(), Bare.NAME, Name.ON_A_LINE),
            new Writing("all\n", List.of(), List.of(new Literal("\n")), List.of(), ">>>", List.of(), List.of())),
    /** {@code <function=name>{…}</function>}: functionary 3.1. */
    FUNCTION_TAGS(
            new Reading(List.of("<function="), List.of("</function>"), Bare.NOTHING, Name.IN_TAG),
            new Writing(
                    "",
                    List.of(new Literal("<function=")),
                    List.of(new Literal(">")),
                    List.of(new Literal("</function>")),
                    "",
                    List.of(),
                    List.of())),
    /** {@code <｜tool▁call▁begin｜>function<｜tool▁sep｜>name}, a block of JSON, an end: DeepSeek V3. */
    DEEPSEEK(
            new Reading(
                    List.of(DeepSeek.CALLS),
                    List.of(DeepSeek.CALL + "function" + DeepSeek.SEPARATOR),
                    "\n```json",
                    List.of("```" + DeepSeek.CALL_END, DeepSeek.CALL_END, DeepSeek.CALLS_END),
                    Bare.NOTHING,
                    Name.BEFORE_SEPARATOR),
            new Writing(
                    "",
                    List.of(new Mark(DeepSeek.CALL), new Literal("function"), new Mark(DeepSeek.SEPARATOR)),
                    List.of(new Literal("\n```json\n")),
                    List.of(new Literal("\n```"), new Mark(DeepSeek.CALL_END)),
                    "\n",
                    List.of(new Mark(DeepSeek.CALLS)),
                    List.of(new Mark(DeepSeek.CALLS_END)))),
    /** {@code <｜tool▁call▁begin｜>name<｜tool▁sep｜>{…}<｜tool▁call▁end｜>}: DeepSeek V3.1. */
    DEEPSEEK_V31(
            new Reading(
                    List.of(DeepSeek.CALLS),
                    List.of(DeepSeek.CALL),
                    DeepSeek.SEPARATOR,
                    List.of(DeepSeek.CALL_END, DeepSeek.CALLS_END),
                    Bare.NOTHING,
                    Name.BEFORE_SEPARATOR),
            new Writing(
                    "",
                    List.of(new Mark(DeepSeek.CALL)),
                    List.of(new Mark(DeepSeek.SEPARATOR)),
                    List.of(new Mark(DeepSeek.CALL_END)),
                    "",
                    List.of(new Mark(DeepSeek.CALLS)),
                    List.of(new Mark(DeepSeek.CALLS_END))));

    /** What a text may begin with that is a call without a mark before it. */
    enum Bare {
        NOTHING,
        /** The JSON object of a call. */
        OBJECT,
        /** A name, of a function or {@code all} for an answer. */
        NAME
    }

    /** Where a call has the function's name. */
    enum Name {
        IN_JSON,
        /** Before {@code [ARGS]}; or in JSON, if there is a list. */
        BEFORE_ARGUMENTS,
        /** Up to the end of the line. */
        ON_A_LINE,
        /** Up to {@code >}. */
        IN_TAG,
        /** Up to {@link Reading#separator}. */
        BEFORE_SEPARATOR
    }

    /** DeepSeek's control tokens. */
    private static final class DeepSeek {
        static final String CALLS = "<｜tool▁calls▁begin｜>";
        static final String CALL = "<｜tool▁call▁begin｜>";
        static final String SEPARATOR = "<｜tool▁sep｜>";
        static final String CALL_END = "<｜tool▁call▁end｜>";
        static final String CALLS_END = "<｜tool▁calls▁end｜>";
    }

    /**
     * What {@link OutputParser} needs.
     *
     * @param opens marks that may come before the first call, and are left out
     * @param begins marks that begin calls
     * @param separator what is between a name and its arguments, if {@link Name} says so
     * @param ends marks that may come after them, and are left out
     */
    record Reading(List<String> opens, List<String> begins, String separator, List<String> ends, Bare bare, Name name) {
        Reading(List<String> begins, List<String> ends, Bare bare, Name name) {
            this(List.of(), begins, "", ends, bare, name);
        }

        /** All that may begin what is no answer. */
        List<String> starts() {
            return Stream.concat(opens.stream(), begins.stream()).toList();
        }
    }

    /**
     * What a constraint needs: {@code open (before name between arguments after) … close}.
     *
     * @param answer what comes before an answer that is no call
     * @param separator between two calls
     */
    private record Writing(
            String answer,
            List<Syntax> before,
            List<Syntax> between,
            List<Syntax> after,
            String separator,
            List<Syntax> open,
            List<Syntax> close) {
        static Writing list(List<Syntax> open, List<Syntax> close) {
            return new Writing(
                    "",
                    List.of(new Literal("{\"name\": \"")),
                    List.of(new Literal("\", \"arguments\": ")),
                    List.of(new Literal("}")),
                    ", ",
                    open,
                    close);
        }
    }

    private final Reading reading;
    private final Writing writing;

    ToolFormat(Reading reading, Writing writing) {
        this.reading = reading;
        this.writing = writing;
    }

    Reading reading() {
        return reading;
    }

    /** The name in settings. */
    public String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Marks that may be control tokens, and must be seen in the text all the same. */
    public List<String> marks() {
        if (reading.name == Name.BEFORE_SEPARATOR) {
            return List.of(DeepSeek.CALLS, DeepSeek.CALL, DeepSeek.SEPARATOR, DeepSeek.CALL_END, DeepSeek.CALLS_END);
        }
        var marks = new ArrayList<>(reading.begins);
        marks.addAll(reading.ends);
        if (reading.name == Name.BEFORE_ARGUMENTS) {
            marks.addAll(List.of(OutputParser.ARGUMENTS_MARK, OutputParser.ID_MARK));
        }
        return List.copyOf(marks);
    }

    /** The number of letters and digits that the family's templates demand of a call's id; 0 for any. */
    public int idLength() {
        return this == MISTRAL || this == MISTRAL_NAMED ? 9 : 0;
    }

    /** Whether the family's templates have the tools in the system message, as JSON. */
    public boolean toolsInSystemMessage() {
        return this == PHI4_MINI;
    }

    /** Whether the family's templates want the arguments of calls as text, where others want an object. */
    public boolean templateTakesText() {
        return this == FUNCTIONARY || this == FUNCTION_TAGS || this == DEEPSEEK_V31;
    }

    /** Whether the family writes more than one call in an answer. */
    private boolean parallel() {
        return this != LLAMA3;
    }

    /** The format that a chat template shows; nothing if it takes no tools, or has them written in another way. */
    public static Optional<ToolFormat> of(String template) {
        if (!template.contains("tools") || template.contains("<parameter=") || template.contains("<arg_key>")) {
            return Optional.empty();
        }
        if (template.contains(DeepSeek.CALLS)) {
            return Optional.of(template.contains("```json") ? DEEPSEEK : DEEPSEEK_V31);
        }
        if (template.contains("[TOOL_CALLS]")) {
            return Optional.of(template.contains("[ARGS]") ? MISTRAL_NAMED : MISTRAL);
        }
        if (template.contains("<function=")) {
            return Optional.of(FUNCTION_TAGS);
        }
        if (template.contains(">>>all") || (template.contains(">>>") && template.contains("recipient"))) {
            return Optional.of(FUNCTIONARY);
        }
        if (template.contains("functools")) {
            return Optional.of(PHI4);
        }
        if (template.contains("<|tool|>")) {
            return Optional.of(PHI4_MINI);
        }
        if (template.contains("<|tool_call|>")) {
            return Optional.of(GRANITE);
        }
        if (template.contains("<tool_call>")) {
            return Optional.of(HERMES);
        }
        boolean llama = template.contains("<|python_tag|>")
                || (template.contains("<|start_header_id|>") && template.contains("\"parameters\""));
        return llama ? Optional.of(LLAMA3) : Optional.empty();
    }

    /** How many calls an answer has. */
    public enum Calls {
        ONE,
        ONE_OR_MORE
    }

    /** Calls and nothing else, with arguments that obey the functions' schemas. */
    public Syntax calls(List<Function> functions, Calls calls) {
        var options = new ArrayList<Syntax>();
        for (Function function : functions) {
            options.add(new Syntax.Sequence(Stream.of(
                            writing.before,
                            List.of(new Literal(function.name())),
                            writing.between,
                            List.of(new Json("function " + function.name(), function.parameters())),
                            writing.after)
                    .<Syntax>flatMap(List::stream)
                    .toList()));
        }
        Syntax call = new AnyOf(options);
        Syntax all = calls == Calls.ONE || !parallel() ? call : new Repeated(call, new Literal(writing.separator));
        return Syntax.sequence(new Syntax.Sequence(writing.open), all, new Syntax.Sequence(writing.close));
    }

    /** An answer in words, calls, or one and then the other. */
    public Syntax answerOrCalls(List<Function> functions, Calls calls) {
        Syntax all = calls(functions, calls);
        return switch (reading.bare) {
            case NOTHING -> Syntax.sequence(new Free(reading.starts(), ""), Syntax.optional(all));
            case OBJECT -> new AnyOf(List.of(all, new Free(reading.starts(), "{ \n\r\t")));
            case NAME ->
                new AnyOf(List.of(
                        all,
                        Syntax.sequence(
                                new Literal(writing.answer),
                                new Free(reading.starts(), ""),
                                Syntax.optional(Syntax.sequence(new Literal(writing.separator), all)))));
        };
    }
}
