package io.weft.text.constraint;

import io.weft.text.Tokenizer;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * A model's tokens as bytes, arranged so that those that a constraint allows are found quickly. Made once for a model:
 * takes about a second and 20 MB for 128,000 tokens. Thread-safe.
 */
public final class Vocabulary {
    /** Longer tokens are decoration, such as lines of a thousand hyphens, and are never allowed. */
    private static final int TOKEN_BYTES_MAX = 1024;

    /** Classes for which {@link #run} is kept; each takes up to five megabytes for 128,000 tokens. */
    private static final int RUNS_MAX = 16;

    /** Longer tokens, which are few, are looked at one by one. */
    private static final int RUN_CHARACTERS_MAX = 32;

    /** A run has this part of all tokens at least. */
    private static final int RUN_SHARE = 16;

    private final byte[][] bytes;
    private final int[] sorted;
    private final int[] endTokens;
    private final Map<String, Integer> marks;
    private final boolean[] single = new boolean[256];
    /** By token. */
    private final short[] openings;

    private final int openingsMost;
    private final int[] byteTokens;
    private final Trie trie;

    private final Map<CharClass, Optional<Run>> runs = new LinkedHashMap<>(RUNS_MAX, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<CharClass, Optional<Run>> eldest) {
            return size() > RUNS_MAX;
        }
    };

    private Vocabulary(byte[][] bytes, Collection<Integer> endTokens, Map<String, Integer> marks) {
        this.bytes = bytes;
        this.marks = Map.copyOf(marks);
        this.endTokens = endTokens.stream()
                .mapToInt(Integer::intValue)
                .filter(token -> token >= 0 && token < bytes.length)
                .distinct()
                .toArray();
        for (int token : this.endTokens) {
            bytes[token] = new byte[0];
        }
        this.openings = new short[bytes.length];
        int most = 0;
        for (int token = 0; token < bytes.length; token++) {
            if (bytes[token].length == 1) {
                single[Byte.toUnsignedInt(bytes[token][0])] = true;
            }
            if (bytes[token].length <= TOKEN_BYTES_MAX) {
                openings[token] = (short) openings(bytes[token]);
                most = Math.max(most, openings[token]);
            }
        }
        this.openingsMost = most;
        this.byteTokens = IntStream.range(0, bytes.length)
                .filter(token -> bytes[token].length == 1)
                .toArray();
        this.sorted = IntStream.range(0, bytes.length)
                .filter(token -> bytes[token].length > 0 && bytes[token].length <= TOKEN_BYTES_MAX)
                .boxed()
                .sorted(Comparator.comparing(token -> bytes[token], Arrays::compareUnsigned))
                .mapToInt(Integer::intValue)
                .toArray();
        this.trie = Trie.of(bytes, sorted, token -> true);
        run(CharClass.ANY.without(CharClass.ESCAPED));
    }

    /**
     * @param endTokens which end a text
     * @see Tokenizer#innerBytes
     */
    public static Vocabulary of(Tokenizer tokenizer, Collection<Integer> endTokens) {
        return new Vocabulary(
                IntStream.range(0, tokenizer.size())
                        .mapToObj(tokenizer::innerBytes)
                        .toArray(byte[][]::new),
                endTokens,
                tokenizer.controlTokens());
    }

    /**
     * @param tokens the bytes that a token adds to a text, by its id; empty for one that is never allowed inside
     * @param endTokens which end a text
     */
    public static Vocabulary of(List<byte[]> tokens, Collection<Integer> endTokens) {
        return of(tokens, endTokens, Map.of());
    }

    /** @param marks control tokens by their content, which add no bytes to a text */
    public static Vocabulary of(List<byte[]> tokens, Collection<Integer> endTokens, Map<String, Integer> marks) {
        return new Vocabulary(tokens.stream().map(byte[]::clone).toArray(byte[][]::new), endTokens, marks);
    }

    /** The number of tokens. */
    public int size() {
        return bytes.length;
    }

    /** The number of words of a mask: a bit a token. */
    public int words() {
        return Math.ceilDiv(bytes.length, Long.SIZE);
    }

    /** The control token of this content, if there is one that does not end a text. */
    OptionalInt mark(String content) {
        Integer token = marks.get(content);
        return token == null || Arrays.stream(endTokens).anyMatch(end -> token == end)
                ? OptionalInt.empty()
                : OptionalInt.of(token);
    }

    Collection<Integer> marks() {
        return marks.values();
    }

    byte[] bytes(int token) {
        return bytes[token];
    }

    /** The tokens of one byte. */
    int[] byteTokens() {
        return byteTokens;
    }

    boolean ends(int token) {
        return Arrays.stream(endTokens).anyMatch(end -> end == token);
    }

    /** How many braces and brackets a token opens. */
    int openings(int token) {
        return openings[token];
    }

    /** The most of these. */
    int openingsMost() {
        return openingsMost;
    }

    private static int openings(byte[] token) {
        int count = 0;
        for (byte b : token) {
            count += b == '{' || b == '[' ? 1 : 0;
        }
        return count;
    }

    int[] endTokens() {
        return endTokens;
    }

    /** Whether a token stands for this byte alone. */
    boolean writes(int b) {
        return single[b];
    }

    Trie trie() {
        return trie;
    }

    /** The tokens that consist of characters of one class, as far as they are not long. */
    static final class Run {
        final CharClass of;

        /** {@code upTo[n]} has a bit for each token of at most n characters; the last has all of them. */
        final long[][] upTo;

        /** All other tokens. */
        final Trie others;

        private Run(CharClass of, long[][] upTo, Trie others) {
            this.of = of;
            this.upTo = upTo;
            this.others = others;
        }

        int charactersMax() {
            return upTo.length - 1;
        }
    }

    /** Nothing if the class has so few tokens that it is as well to look at each. */
    synchronized Optional<Run> run(CharClass of) {
        Optional<Run> known = runs.get(of);
        if (known == null) {
            known = makeRun(of);
            runs.put(of, known);
        }
        return known;
    }

    private Optional<Run> makeRun(CharClass of) {
        var characters = new int[bytes.length];
        int most = 0;
        int members = 0;
        for (int token : sorted) {
            int count = charactersOf(bytes[token], of);
            if (count > 0 && count <= RUN_CHARACTERS_MAX) {
                characters[token] = count;
                most = Math.max(most, count);
                members++;
            }
        }
        if (members < bytes.length / RUN_SHARE) {
            return Optional.empty();
        }
        var upTo = new long[most + 1][words()];
        for (int token : sorted) {
            if (characters[token] > 0) {
                upTo[characters[token]][token >>> 6] |= 1L << token;
            }
        }
        for (int n = 1; n <= most; n++) {
            for (int i = 0; i < upTo[n].length; i++) {
                upTo[n][i] |= upTo[n - 1][i];
            }
        }
        return Optional.of(new Run(of, upTo, Trie.of(bytes, sorted, token -> characters[token] == 0)));
    }

    /** The number of characters, or 0 if one is incomplete or of another class. */
    private static int charactersOf(byte[] token, CharClass of) {
        int count = 0;
        for (int i = 0; i < token.length; count++) {
            int b = Byte.toUnsignedInt(token[i]);
            int length = b < 0x80 ? 1 : b < 0xC2 ? 0 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : b < 0xF5 ? 4 : 0;
            if (length == 0 || i + length > token.length) {
                return 0;
            }
            int c = length == 1 ? b : b & (0x7F >> length);
            for (int j = 1; j < length; j++) {
                if ((token[i + j] & 0xC0) != 0x80) {
                    return 0;
                }
                c = (c << 6) | (token[i + j] & 0x3F);
            }
            boolean overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
            if (overlong || c > 0x10FFFF || !of.contains(c)) {
                return 0;
            }
            i += length;
        }
        return count;
    }
}
