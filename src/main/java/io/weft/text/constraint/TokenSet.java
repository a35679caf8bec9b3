package io.weft.text.constraint;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The tokens that may come next at a {@link Level}, as far as the levels below do not matter. */
final class TokenSet {
    /** Tokens that this set shares with others, a bit a token; empty if there are none. */
    private final long[] base;

    /** Other tokens: as ids if they are few, else a bit a token in {@code dense}. */
    private final int[] own;

    private final long[] dense;

    /** The trie of the exits. */
    final Trie trie;

    /** Nodes at which the level is left: of the tokens there and below them the levels below decide. */
    final int[] exits;

    /** What ends at each of them. */
    final Move.Leave[] ended;

    TokenSet(long[] base, Collector own, Trie trie, int[] exits, Move.Leave[] ended) {
        this.base = base;
        this.own = own.few();
        this.dense = own.many();
        this.trie = trie;
        this.exits = exits;
        this.ended = ended;
    }

    /** Words that this set holds for itself. */
    int weightWords() {
        return own.length / 2 + dense.length + exits.length + 8;
    }

    /** @param words overwritten */
    void writeTo(long[] words) {
        if (base.length > 0) {
            System.arraycopy(base, 0, words, 0, base.length);
        } else {
            Arrays.fill(words, 0);
        }
        for (int token : own) {
            words[token >>> 6] |= 1L << token;
        }
        for (int i = 0; i < dense.length; i++) {
            words[i] |= dense[i];
        }
    }

    /** Collects tokens. */
    static final class Collector {
        private final int words;
        private int[] few = new int[64];
        private int count;
        private long @Nullable [] many;

        /** @param words of a mask */
        Collector(int words) {
            this.words = words;
        }

        void add(int token) {
            if (many != null) {
                many[token >>> 6] |= 1L << token;
            } else if (count == words * 2) {
                long[] made = new long[words];
                many = made;
                for (int i = 0; i < count; i++) {
                    made[few[i] >>> 6] |= 1L << few[i];
                }
                count = 0;
                add(token);
            } else {
                if (count == few.length) {
                    few = Arrays.copyOf(few, count * 2);
                }
                few[count++] = token;
            }
        }

        int[] few() {
            return Arrays.copyOf(few, count);
        }

        long[] many() {
            return many == null ? new long[0] : many;
        }
    }
}
