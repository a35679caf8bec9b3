package io.weft.text.tools;

import java.util.Optional;

/**
 * How a model marks what is not the answer.
 *
 * @param tools calls of tools; empty if it calls none, or nobody knows how
 * @param reasoning thoughts; empty if they are a part of the answer
 */
public record OutputFormats(Optional<ToolFormat> tools, Optional<ReasoningFormat> reasoning) {
    /** The formats that a chat template shows. */
    public static OutputFormats of(String template) {
        return new OutputFormats(ToolFormat.of(template), ReasoningFormat.of(template));
    }
}
