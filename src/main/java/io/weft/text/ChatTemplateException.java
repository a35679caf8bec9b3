package io.weft.text;

/** A chat template refused a conversation, or cannot be run. The message is for the client. */
public final class ChatTemplateException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ChatTemplateException(String message) {
        super(message);
    }
}
