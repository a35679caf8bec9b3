package io.weft.api.openai;

import io.weft.text.PromptPart;
import io.weft.text.constraint.Syntax;
import io.weft.text.tools.OutputFormats;
import io.weft.text.tools.OutputParser;
import io.weft.text.tools.ReasoningFormat;
import io.weft.text.tools.ReasoningFormat.Start;
import io.weft.text.tools.ToolFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * How the answers of a chat are to be read.
 *
 * @param reasoning how thoughts are marked; empty if they are a part of the answer
 * @param start what the answer begins with
 * @param tools how calls are written; empty if no tools are offered
 * @param functions names of the functions that may be called
 * @param output what the text must be; empty if it may be anything
 */
record ChatReading(
        Optional<ReasoningFormat> reasoning,
        Start start,
        Optional<ToolFormat> tools,
        Set<String> functions,
        Optional<OutputFields.Output> output) {
    /** An answer that is passed on as it is. */
    static final ChatReading PLAIN =
            new ChatReading(Optional.empty(), Start.ANSWER, Optional.empty(), Set.of(), Optional.empty());

    /**
     * @param asked what the request says that the answer must be
     * @param prompt as the template made it
     * @throws io.weft.api.http.ApiException 400 if there are tools that the model cannot call
     */
    static ChatReading of(
            ToolFields fields, Optional<OutputFields.Output> asked, OutputFormats formats, List<PromptPart> prompt) {
        Optional<ToolFormat> tools = fields.format(formats);
        boolean opened =
                formats.reasoning().filter(format -> opens(prompt, format)).isPresent();
        Start start = opened ? Start.THOUGHTS : Start.ANSWER;
        if (tools.isEmpty() && formats.reasoning().isEmpty()) {
            return new ChatReading(formats.reasoning(), start, tools, fields.names(), asked);
        }
        Optional<Syntax> words = asked.map(OutputFields.Output::syntax);
        Optional<Syntax> answer = tools.isPresent() ? fields.syntax(tools.get(), words) : words;
        Optional<Syntax> all = answer.map(syntax ->
                formats.reasoning().map(format -> format.before(syntax, start)).orElse(syntax));
        String field = asked.map(OutputFields.Output::field).orElse("tools");
        return new ChatReading(
                formats.reasoning(),
                start,
                tools,
                fields.names(),
                all.map(syntax -> new OutputFields.Output.Written(field, syntax)));
    }

    /** Whether the template opens the thoughts; a client that writes the same has only written so. */
    private static boolean opens(List<PromptPart> prompt, ReasoningFormat format) {
        return !prompt.isEmpty()
                && prompt.getLast().origin() == PromptPart.Origin.TEMPLATE
                && format.openedBy(prompt.getLast().text());
    }

    /** Whether the answer is passed on as it is. */
    boolean isPlain() {
        return reasoning.isEmpty() && tools.isEmpty();
    }

    OutputParser parser() {
        return new OutputParser(reasoning, start, tools, functions);
    }

    /** Control tokens that must be seen in the text. */
    Set<String> marks() {
        return Stream.concat(
                        tools.map(ToolFormat::marks).stream().flatMap(List::stream),
                        reasoning.stream().flatMap(format -> Stream.of(format.begin(), format.end())))
                .collect(Collectors.toSet());
    }
}
