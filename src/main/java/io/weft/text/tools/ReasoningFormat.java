package io.weft.text.tools;

import io.weft.text.constraint.Syntax;
import io.weft.text.constraint.Syntax.AnyOf;
import io.weft.text.constraint.Syntax.Free;
import io.weft.text.constraint.Syntax.Literal;
import io.weft.text.constraint.Syntax.Mark;
import java.util.List;
import java.util.Optional;

/**
 * How a model marks thoughts before its answer.
 *
 * @param begin what comes before them; the prompt may end with it
 * @param end what comes after them
 */
public record ReasoningFormat(String begin, String end) {
    /** What nearly all models that think write. */
    public static final ReasoningFormat THINK = new ReasoningFormat("<think>", "</think>");

    /** The format of a chat template; nothing if it has no marks of thoughts. */
    public static Optional<ReasoningFormat> of(String template) {
        return template.contains(THINK.begin) || template.contains(THINK.end) ? Optional.of(THINK) : Optional.empty();
    }

    /** Whether a prompt has opened the thoughts, so that the model only ends them. */
    public boolean openedBy(String prompt) {
        return prompt.stripTrailing().endsWith(begin);
    }

    /** An answer with thoughts before it, or without them if it has not begun with them. */
    public Syntax before(Syntax answer, Start start) {
        Syntax thoughts = Syntax.sequence(
                new Free(List.of(end), ""),
                new Mark(end),
                new AnyOf(List.of(new Literal(""), new Literal("\n"), new Literal("\n\n"))));
        return switch (start) {
            case THOUGHTS -> Syntax.sequence(thoughts, answer);
            case ANSWER -> Syntax.sequence(Syntax.optional(Syntax.sequence(new Mark(begin), thoughts)), answer);
        };
    }

    /** What a text begins with. */
    public enum Start {
        /** The prompt has ended with the mark that begins thoughts. */
        THOUGHTS,
        /** The answer, or the mark that begins thoughts. */
        ANSWER
    }
}
