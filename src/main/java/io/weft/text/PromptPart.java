package io.weft.text;

/**
 * A part of a prompt. Control tokens are recognised in a template's text, never in a user's text.
 *
 * @param text the text of this part
 * @param origin who wrote it
 */
public record PromptPart(String text, Origin origin) {
    /** The author of a part. */
    public enum Origin {
        TEMPLATE,
        USER
    }
}
