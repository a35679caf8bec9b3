package io.weft.text.tools;

/** A part of what a model writes. Parts come in order; neighbours of one kind may be joined. */
public sealed interface Output {
    /** A part of the answer. */
    record Content(String text) implements Output {}

    /** A part of the thoughts before the answer. */
    record Reasoning(String text) implements Output {}

    /**
     * A call of a tool begins; its arguments follow, before the next call.
     *
     * @param index of the call in the answer
     */
    record Call(int index, String name) implements Output {}

    /** A part of the JSON text of a call's arguments, as the model wrote it. */
    record Arguments(int index, String text) implements Output {}
}
