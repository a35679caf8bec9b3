package io.weft.api.openai;

/** Another API for the same chats: what its request stands for is a {@link ChatDraft}. One request. */
public interface Door {
    /** With what ids of answers begin. */
    String idPrefix();

    /**
     * Names the door's field where a chat's is named.
     *
     * @param text a field of the chat, or a message that begins with one
     */
    String named(String text);

    /** A new answer. */
    AnswerForm answer();
}
