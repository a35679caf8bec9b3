package io.weft.text.constraint;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/** Writes random texts under a constraint. */
public final class TextWriter {
    /** What ends a JSON text soonest, outside strings. */
    private static final List<String> ENDING =
            List.of("}", "]", ",", ":", "n", "u", "l", "0", "1", "-", "\"", "t", "[");

    private final Vocabulary vocabulary;
    private final List<byte[]> tokens;
    private final Random random;
    private final long[] words;
    private final int[] single = new int[256];

    /** @param tokens what each token adds to the text; that a control token has no bytes does not matter */
    public TextWriter(Vocabulary vocabulary, List<byte[]> tokens, Random random) {
        this.vocabulary = vocabulary;
        this.tokens = tokens;
        this.random = random;
        this.words = new long[vocabulary.words()];
        Arrays.fill(single, -1);
        for (int token = 0; token < tokens.size(); token++) {
            if (tokens.get(token).length == 1) {
                single[tokens.get(token)[0] & 0xFF] = token;
            }
        }
    }

    private boolean allowed(int token) {
        return token >= 0 && (words[token >>> 6] >>> token & 1) != 0;
    }

    /**
     * Tokens at random, and after some of them those that end the text soonest.
     *
     * @param json whether the text is JSON
     * @return the text's bytes; empty if it did not end within {@code most} tokens
     * @throws AssertionError at a dead end
     */
    public Optional<byte[]> write(Constraint constraint, int most, boolean json) {
        int free = random.nextInt(60);
        boolean spell = random.nextInt(4) == 0;
        var text = new ByteArrayOutputStream();
        ConstraintState state = constraint.start();
        boolean inString = false;
        boolean escaped = false;
        for (int i = 0; i < most; i++) {
            state.mask(words, most - i);
            int token = choose(i < free, spell, json, inString, text);
            state = state.advance(token);
            if (state.ended()) {
                return Optional.of(text.toByteArray());
            }
            if (vocabulary.marks().contains(token)) {
                inString = false;
            }
            for (byte b : tokens.get(token)) {
                text.write(b);
                if (escaped) {
                    escaped = false;
                } else if (inString && b == '\\') {
                    escaped = true;
                } else if (b == '"') {
                    inString = !inString;
                }
            }
        }
        return Optional.empty();
    }

    /**
     * Tokens at random, of which there may be {@code most} with the one that ends the text.
     *
     * @return the text's bytes; empty if it did not end
     */
    public Optional<byte[]> writeWithin(Constraint constraint, int most) {
        var text = new ByteArrayOutputStream();
        ConstraintState state = constraint.start();
        boolean spell = random.nextInt(3) == 0;
        for (int i = 0; i < most; i++) {
            state.mask(words, most - i);
            int token = choose(true, spell, false, false, text);
            state = state.advance(token);
            if (state.ended()) {
                return Optional.of(text.toByteArray());
            }
            text.writeBytes(tokens.get(token));
        }
        return Optional.empty();
    }

    private int choose(boolean free, boolean spell, boolean json, boolean inString, ByteArrayOutputStream text) {
        int allowed = 0;
        for (long word : words) {
            allowed += Long.bitCount(word);
        }
        if (allowed == 0) {
            throw new AssertionError("a dead end after " + text);
        }
        int end = vocabulary.endTokens()[0];
        if (!free || random.nextInt(8) == 0) {
            if (allowed(end)) {
                return end;
            }
            for (int mark : vocabulary.marks()) {
                if (allowed(mark)) {
                    return mark;
                }
            }
            if (json && inString && allowed(single['"'])) {
                return single['"'];
            }
            if (json && !inString) {
                for (String ending : ENDING) {
                    if (allowed(single[ending.charAt(0)])) {
                        return single[ending.charAt(0)];
                    }
                }
            }
        }
        if ((spell || !free) && random.nextBoolean()) {
            int first = random.nextInt(256);
            for (int i = 0; i < 256; i++) {
                if (allowed(single[(first + i) & 0xFF])) {
                    return single[(first + i) & 0xFF];
                }
            }
        }
        return pick(words, random);
    }

    /** One of the tokens of a mask, of which there is one at least. */
    static int pick(long[] words, Random random) {
        int skip = random.nextInt(Arrays.stream(words).mapToInt(Long::bitCount).sum());
        for (int i = 0; ; i++) {
            int count = Long.bitCount(words[i]);
            if (skip < count) {
                long word = words[i];
                for (int j = 0; j < skip; j++) {
                    word &= word - 1;
                }
                return i * 64 + Long.numberOfTrailingZeros(word);
            }
            skip -= count;
        }
    }
}
