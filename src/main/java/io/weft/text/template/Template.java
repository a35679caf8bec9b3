package io.weft.text.template;

import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A template that has been read. Immutable, thread-safe. */
public final class Template {
    private final List<Node.Statement> statements;

    private Template(List<Node.Statement> statements) {
        this.statements = statements;
    }

    /** The author of a part of a template's output. */
    public enum Origin {
        TEMPLATE,
        CALLER
    }

    /** A part of a template's output, not empty, that has one origin. */
    public record Part(String text, Origin origin) {}

    /** @throws TemplateException with the line, if the source is no template */
    public static Template parse(String source) {
        try {
            return new Template(Parser.parse(source));
        } catch (StackOverflowError e) {
            throw new TemplateException("nests too deeply");
        }
    }

    /**
     * Runs the template.
     *
     * @param own variables whose text counts as the template's, such as special tokens
     * @param callers variables whose text is the caller's; they hide {@code own} variables of the same name
     * @param clock for {@code strftime_now}
     * @return the output; neighbouring parts differ in origin
     * @throws TemplateException if the template raises it, or cannot be run
     */
    public List<Part> render(Map<String, ?> own, Map<String, ?> callers, Clock clock) {
        try {
            var variables = new LinkedHashMap<String, Value>();
            own.forEach((name, value) -> variables.put(name, Value.ofTemplate(value)));
            callers.forEach((name, value) -> variables.put(name, Value.ofCaller(value)));
            return new ArrayList<>(
                    new Interpreter(variables, clock).run(statements).parts());
        } catch (StackOverflowError e) {
            throw new TemplateException("the template, or what it is given, nests too deeply");
        }
    }
}
