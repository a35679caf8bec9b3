package io.weft.text;

import io.weft.text.Tokenizer.SpecialTokens;
import java.util.List;
import java.util.Set;

/**
 * Turns a completion's tokens into text as they arrive. Holds back bytes of incomplete characters and text that may be
 * the start of a stop string. The text of the tokens before it ({@link Tokenizer#decodeOpen}) and all texts together
 * equal {@link Tokenizer#decode} of all tokens, up to the stop that starts first. Time is linear in the text. One
 * thread at a time.
 */
public final class TextAssembler {
    private final TokenDecoder.Run run;
    private final StopScanner scanner;

    /** Decoded text that was not returned yet, and the index of its first character in the whole text. */
    private final StringBuilder held = new StringBuilder();

    private long heldStart;
    /** Code points of the text that was returned. */
    private int returned;

    private boolean ended;

    /**
     * @param stops strings that end the completion; not part of it
     * @param shown whether special tokens are shown
     * @throws IllegalArgumentException if a stop is empty
     */
    public TextAssembler(Tokenizer tokenizer, List<String> stops, SpecialTokens shown) {
        this(tokenizer, List.of(), stops, shown, Set.of());
    }

    /**
     * A completion of other tokens: a word that follows a text begins with a space, which one that begins a text has
     * not, and a character may begin before the completion.
     *
     * @param before the tokens of the prompt
     * @param stops strings that end the completion; not part of it
     * @param shown whether special tokens are shown
     * @param marks contents of special tokens that are shown in any case
     * @throws IllegalArgumentException if a stop is empty
     */
    public TextAssembler(
            Tokenizer tokenizer, List<Integer> before, List<String> stops, SpecialTokens shown, Set<String> marks) {
        this.run = tokenizer.decoding(shown, marks);
        this.scanner = new StopScanner(stops);
        run.follow(before);
    }

    /** The code points of the text so far, returned or held back: the place in the text at which a token begins. */
    public int codePoints() {
        return returned + held.codePointCount(0, held.length());
    }

    /** The result of adding a token. */
    public sealed interface Progress {
        /** Newly certain text, perhaps empty. */
        String text();

        /** The completion goes on. */
        record Open(String text) implements Progress {}

        /** The completion has reached a stop string; the text before it is complete. */
        record Stopped(String text, String stop) implements Progress {}
    }

    /**
     * Adds a token.
     *
     * @throws IllegalStateException after a stop, or after {@link #finish}
     */
    public Progress add(int token) {
        if (ended) {
            throw new IllegalStateException("the text has ended");
        }
        int scanned = held.length();
        run.add(token, held);
        scan(scanned);
        String text = takeUntil(scanner.certain());
        String stop = scanner.found();
        if (stop == null) {
            return new Progress.Open(text);
        }
        ended = true;
        held.setLength(0);
        return new Progress.Stopped(text, stop);
    }

    /**
     * Adds a token within which no stop ends; returns newly certain text, perhaps empty.
     *
     * @throws IllegalStateException after a stop, or after {@link #finish}
     */
    public String addExempt(int token) {
        if (ended) {
            throw new IllegalStateException("the text has ended");
        }
        int scanned = held.length();
        run.add(token, held);
        for (int i = scanned; i < held.length(); i++) {
            scanner.addExempt(held.charAt(i));
        }
        return takeUntil(scanner.certain());
    }

    /** Ends the text and returns what was held back; after a stop, nothing. */
    public String finish() {
        if (ended) {
            return "";
        }
        ended = true;
        int scanned = held.length();
        run.finish(held);
        scan(scanned);
        return takeUntil(scanner.end());
    }

    private void scan(int from) {
        for (int i = from; i < held.length(); i++) {
            scanner.add(held.charAt(i));
        }
    }

    private String takeUntil(long end) {
        int length = (int) (end - heldStart);
        String text = held.substring(0, length);
        held.delete(0, length);
        heldStart = end;
        returned += text.codePointCount(0, text.length());
        return text;
    }
}
