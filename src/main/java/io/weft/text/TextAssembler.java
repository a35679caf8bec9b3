package io.weft.text;

import io.weft.text.Tokenizer.SpecialTokens;
import java.util.List;

/**
 * Turns a completion's tokens into text as they come: holds back bytes that are no character yet and text that may be
 * the start of a stop string. One thread at a time.
 */
public final class TextAssembler {
    /**
     * @param stops strings that end the completion; not part of it
     * @param shown whether special tokens are shown
     */
    public TextAssembler(Tokenizer tokenizer, List<String> stops, SpecialTokens shown) {
        throw new UnsupportedOperationException();
    }

    /** What is known of the text now. */
    public sealed interface Progress {
        /** Text that is certain now, perhaps empty. */
        String text();

        /** More tokens are wanted. */
        record Open(String text) implements Progress {}

        /** The completion has come to a stop string; the text before it is complete. */
        record Stopped(String text, String stop) implements Progress {}
    }

    /** Takes a token. */
    public Progress add(int token) {
        throw new UnsupportedOperationException();
    }

    /** What was held back, once no more tokens come. */
    public String finish() {
        throw new UnsupportedOperationException();
    }
}
