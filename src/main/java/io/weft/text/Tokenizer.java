package io.weft.text;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A model's tokenizer. Thread-safe. */
public final class Tokenizer implements AutoCloseable {
    private Tokenizer() {}

    /** Whether tokens such as {@code <s>} are added to a text, or shown in one. */
    public enum SpecialTokens {
        WITH,
        WITHOUT
    }

    /**
     * Opens {@code tokenizer.json} and {@code tokenizer_config.json} of a model's directory.
     *
     * @throws TokenizerException naming file and cause
     */
    public static Tokenizer open(Path modelDirectory) {
        throw new UnsupportedOperationException();
    }

    /** Ids below this; the highest id and one. */
    public int size() {
        throw new UnsupportedOperationException();
    }

    /** Encodes a user's text; control tokens in it are plain text. */
    public List<Integer> encode(String text, SpecialTokens added) {
        throw new UnsupportedOperationException();
    }

    /** Encodes a rendered chat; no special tokens are added to those that the template wrote. */
    public List<Integer> encode(List<PromptPart> parts) {
        throw new UnsupportedOperationException();
    }

    /** The text of some tokens; ids outside the vocabulary give nothing. */
    public String decode(List<Integer> tokens, SpecialTokens shown) {
        throw new UnsupportedOperationException();
    }

    /**
     * The text of one token by itself, as log-probabilities show it; bytes that are no UTF-8 by themselves as U+FFFD.
     */
    public String piece(int token) {
        throw new UnsupportedOperationException();
    }

    /** The bytes of one token. */
    public byte[] pieceBytes(int token) {
        throw new UnsupportedOperationException();
    }

    /** The model's chat template, if it has one. */
    public Optional<ChatTemplate> chatTemplate() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
}
