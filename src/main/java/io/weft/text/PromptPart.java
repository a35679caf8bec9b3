package io.weft.text;

/**
 * A piece of a prompt. Control tokens are read in what a template says, never in what a user says.
 *
 * @param text the piece
 * @param origin who wrote it
 */
public record PromptPart(String text, Origin origin) {
    /** Who wrote a piece. */
    public enum Origin {
        TEMPLATE,
        USER
    }
}
