package io.weft.text;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntFunction;

/**
 * The rule by which a tokenizer's tokens become text, read from the {@code decoder} of its file. In the common kinds a
 * text is the concatenation of its tokens' bytes, so it can be written token by token.
 */
sealed interface TokenDecoder {
    /** The bytes that a token of this content stands for. */
    byte[] bytes(String content);

    /** A GPT-2 style vocabulary: each character of a token stands for a byte. */
    record ByteLevel() implements TokenDecoder {
        /** {@code BYTES[c]} is the byte that character c stands for, or -1. */
        private static final short[] BYTES = table();

        /**
         * Printable Latin-1 characters stand for themselves, the other bytes, in order, for the characters from U+0100
         * ({@code bytes_to_unicode} of GPT-2).
         */
        private static short[] table() {
            var bytes = new short[0x100 + 0x44];
            Arrays.fill(bytes, (short) -1);
            char next = 0x100;
            for (short b = 0; b < 0x100; b++) {
                boolean printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
                bytes[printable ? b : next++] = b;
            }
            return bytes;
        }

        @Override
        public byte[] bytes(String content) {
            var bytes = new byte[content.length()];
            for (int i = 0; i < bytes.length; i++) {
                char c = content.charAt(i);
                if (c >= BYTES.length || BYTES[c] < 0) {
                    // An added token, spelled as it is.
                    return content.getBytes(StandardCharsets.UTF_8);
                }
                bytes[i] = (byte) BYTES[c];
            }
            return bytes;
        }
    }

    /**
     * A sentencepiece vocabulary: tokens such as {@code <0x0A>} stand for a byte.
     *
     * @param replacements text that stands for other text, such as U+2581 for a space, in order
     * @param leadingSpaces up to this many spaces at the start of a text come from the encoder
     */
    record SentencePiece(List<Replacement> replacements, int leadingSpaces) implements TokenDecoder {
        record Replacement(String pattern, String content) {}

        @Override
        public byte[] bytes(String content) {
            String text = content;
            for (Replacement replacement : replacements) {
                text = text.replace(replacement.pattern(), replacement.content());
            }
            if (text.length() == 6 && text.startsWith("<0x") && text.endsWith(">")) {
                try {
                    return new byte[] {(byte) Integer.parseInt(text, 3, 5, 16)};
                } catch (NumberFormatException e) {
                    // A token that only looks like a byte token.
                }
            }
            return text.getBytes(StandardCharsets.UTF_8);
        }
    }

    /** No decoder: tokens are words, with spaces between them. */
    record Words() implements TokenDecoder {
        @Override
        public byte[] bytes(String content) {
            return content.getBytes(StandardCharsets.UTF_8);
        }
    }

    /** Any other kind. Its result depends on neighbouring tokens, and only the library knows it. */
    record Library() implements TokenDecoder {
        @Override
        public byte[] bytes(String content) {
            return content.getBytes(StandardCharsets.UTF_8);
        }
    }

    /** @param decoder {@code decoder} of a {@code tokenizer.json} */
    static TokenDecoder of(JsonNode decoder) {
        if (decoder.isNull() || decoder.isMissingNode()) {
            return new Words();
        }
        var steps = new ArrayList<JsonNode>();
        flatten(decoder, steps);
        if (steps.size() == 1 && type(steps.getFirst()).equals("ByteLevel")) {
            return new ByteLevel();
        }
        var replacements = new ArrayList<SentencePiece.Replacement>();
        boolean bytes = false;
        boolean fused = false;
        int leadingSpaces = 0;
        for (JsonNode step : steps) {
            String pattern = step.path("pattern").path("String").asText("");
            switch (type(step)) {
                case "Replace" -> {
                    if (pattern.isEmpty() || bytes) {
                        return new Library();
                    }
                    replacements.add(new SentencePiece.Replacement(
                            pattern, step.path("content").asText()));
                }
                case "ByteFallback" -> bytes = true;
                case "Fuse" -> fused = true;
                case "Strip" -> {
                    boolean spaces = step.path("content").asText().equals(" ");
                    if (!fused || !spaces || step.path("stop").asInt() != 0 || leadingSpaces > 0) {
                        return new Library();
                    }
                    leadingSpaces = step.path("start").asInt();
                }
                default -> {
                    return new Library();
                }
            }
        }
        return bytes ? new SentencePiece(List.copyOf(replacements), leadingSpaces) : new Library();
    }

    private static void flatten(JsonNode decoder, List<JsonNode> steps) {
        if (type(decoder).equals("Sequence")) {
            decoder.path("decoders").forEach(step -> flatten(step, steps));
        } else {
            steps.add(decoder);
        }
    }

    private static String type(JsonNode step) {
        return step.path("type").asText();
    }

    /** Writes one text, token by token. One thread at a time. */
    interface Run {
        /** Begins the text after other tokens, which are not written. To be called before all others, if at all. */
        void follow(List<Integer> before);

        /** Appends what another token makes certain; keeps bytes that may still become a character. */
        void add(int token, StringBuilder out);

        /** Appends the bytes kept so far, with incomplete characters as U+FFFD. */
        void finish(StringBuilder out);
    }

    /** A run over tokens' bytes. */
    final class ByteRun implements Run {
        /** More than the bytes of a character. */
        private static final int CHARACTER_TOKENS_MAX = 8;

        private final IntFunction<byte[]> pieces;
        private final byte[] between;
        private final Utf8 utf8 = new Utf8();
        private int leadingSpaces;
        private boolean started;

        /**
         * @param between text between two tokens
         * @param leadingSpaces spaces to leave out at the start
         */
        ByteRun(IntFunction<byte[]> pieces, String between, int leadingSpaces) {
            this.pieces = pieces;
            this.between = between.getBytes(StandardCharsets.UTF_8);
            this.leadingSpaces = leadingSpaces;
        }

        @Override
        public void follow(List<Integer> before) {
            var unseen = new StringBuilder();
            int next = 0;
            while (next < before.size() && leadingSpaces > 0) {
                add(before.get(next++), unseen);
            }
            // Only the last bytes matter from here on.
            int last = Math.max(next, before.size() - CHARACTER_TOKENS_MAX);
            if (last > next) {
                started = true;
                utf8.finish(unseen);
            }
            before.subList(last, before.size()).forEach(token -> add(token, unseen));
        }

        @Override
        public void add(int token, StringBuilder out) {
            if (started) {
                write(between, out);
            }
            started = true;
            write(pieces.apply(token), out);
        }

        private void write(byte[] bytes, StringBuilder out) {
            for (byte b : bytes) {
                if (b == ' ' && leadingSpaces > 0) {
                    leadingSpaces--;
                } else {
                    leadingSpaces = 0;
                    utf8.add(b, out);
                }
            }
        }

        @Override
        public void finish(StringBuilder out) {
            utf8.finish(out);
        }
    }

    /**
     * A run that asks the library for the text of a window of tokens: those of the last piece of text, as context, and
     * those after it. The part of the window's text after the context's text is new.
     */
    final class LibraryRun implements Run {
        /**
         * An unfinished character takes at most four tokens; if a longer window still ends in U+FFFD, the text contains
         * it.
         */
        private static final int UNREAD_TOKENS_MAX = 8;

        private final Function<List<Integer>, String> library;
        private final List<Integer> window = new ArrayList<>();
        private int contextTokens;
        private String context = "";

        LibraryRun(Function<List<Integer>, String> library) {
            this.library = library;
        }

        @Override
        public void follow(List<Integer> before) {
            window.addAll(before.subList(Math.max(0, before.size() - UNREAD_TOKENS_MAX), before.size()));
            contextTokens = window.size();
            context = library.apply(window);
            // The last ones may be a part of a character.
            while (contextTokens > 1 && context.endsWith("\uFFFD")) {
                contextTokens--;
                context = library.apply(window.subList(0, contextTokens));
            }
        }

        @Override
        public void add(int token, StringBuilder out) {
            window.add(token);
            String text = library.apply(window);
            boolean finished = text.length() > context.length() && !text.endsWith("\uFFFD");
            if (finished || window.size() - contextTokens > UNREAD_TOKENS_MAX) {
                emit(text, out);
            }
        }

        @Override
        public void finish(StringBuilder out) {
            if (window.size() > contextTokens) {
                emit(library.apply(window), out);
            }
        }

        private void emit(String text, StringBuilder out) {
            if (text.length() > context.length()) {
                out.append(text, context.length(), text.length());
            }
            window.subList(0, contextTokens).clear();
            contextTokens = window.size();
            context = library.apply(window);
        }
    }
}
