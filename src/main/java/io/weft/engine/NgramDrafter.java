package io.weft.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Drafts what followed when the text was last as it is now: it looks for the longest of the text's last n-grams that
 * occurred before, in the prompt, in the text that the request expects, or in the answer, and takes the newest of its
 * occurrences.
 *
 * <p>For each n there is a table from n-grams to their last places, so a draft and a token take constant time, on
 * average over the text. A token takes about 50 bytes.
 */
final class NgramDrafter implements Drafter {
    /** The lengths of n-grams, longest first: the long ones find the right place, the short ones find some. */
    private static final int[] LENGTHS = {8, 5, 3, 2};

    /** More new tokens may come, but then tables grow as they do. */
    private static final int NEW_TOKENS_USUAL = 1024;

    /** Between texts that do not follow each other; no token. */
    private static final int SEAM = -1;

    private final Table[] tables = new Table[LENGTHS.length];
    /** Prompt and answer; with an expected text: prompt, seam, that text, seam, the end of the prompt again, answer. */
    private int[] tokens;

    private int size;
    /** Where the draft begins before the answer has a token; 0 for where n-grams say. */
    private int expectedStart;

    /**
     * @param prompt token ids
     * @param expected token ids that the answer is likely to have, in this order; may be empty
     * @param newTokens the most tokens of the answer
     */
    NgramDrafter(List<Integer> prompt, List<Integer> expected, int newTokens) {
        int known = prompt.size() + expected.size() + LENGTHS[0] + 2;
        int likely = known + Math.min(newTokens, NEW_TOKENS_USUAL);
        this.tokens = new int[likely];
        for (int i = 0; i < LENGTHS.length; i++) {
            tables[i] = new Table(LENGTHS[i], likely);
        }
        prompt.forEach(this::append);
        if (!expected.isEmpty()) {
            push(SEAM);
            int start = size;
            expected.forEach(this::append);
            push(SEAM);
            // The answer follows the prompt.
            prompt.subList(Math.max(0, prompt.size() - LENGTHS[0]), prompt.size())
                    .forEach(this::append);
            expectedStart = start;
        }
    }

    @Override
    public void append(int token) {
        push(token);
        expectedStart = 0;
        for (Table table : tables) {
            table.put();
        }
    }

    private void push(int token) {
        if (size == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * size);
        }
        tokens[size++] = token;
    }

    @Override
    public List<Integer> draft(int most) {
        int from = expectedStart > 0 ? expectedStart : continuation();
        List<Integer> draft = new ArrayList<>(most);
        while (from > 0 && draft.size() < most) {
            int next = from + draft.size();
            // What repeats within the draft goes on repeating.
            int token = next < size ? tokens[next] : draft.get(next - size);
            if (token == SEAM) {
                break;
            }
            draft.add(token);
        }
        return draft;
    }

    /** The place after the longest n-gram that ends the text and occurred before; 0 if there is none. */
    private int continuation() {
        for (Table table : tables) {
            int end = table.before();
            if (end > 0) {
                return end;
            }
        }
        return 0;
    }

    /**
     * The n-grams of one length, by hash, with the ends of their last occurrence and of the one before the text's end.
     * Collisions are told apart by the tokens themselves.
     */
    private final class Table {
        private final int length;
        /** Ends of n-grams, exclusive; 0 for none. Its size is a power of two, at least twice the entries. */
        private int[] ends;

        private int entries;
        /** Where the n-gram at the end of the text ended before; 0 for nowhere. */
        private int before;

        Table(int length, int likelyEntries) {
            this.length = length;
            this.ends = new int[Integer.highestOneBit(Math.max(4, likelyEntries)) << 2];
        }

        int before() {
            return before;
        }

        /** Notes the n-gram at the end of the text. */
        void put() {
            before = 0;
            if (!isWithinOneText(size)) {
                return;
            }
            int slot = slot(size);
            before = ends[slot];
            ends[slot] = size;
            if (before == 0 && ++entries > ends.length / 2) {
                grow();
            }
        }

        private boolean isWithinOneText(int end) {
            if (end < length) {
                return false;
            }
            for (int i = end - length; i < end; i++) {
                if (tokens[i] == SEAM) {
                    return false;
                }
            }
            return true;
        }

        private void grow() {
            int[] old = ends;
            ends = new int[2 * old.length];
            for (int end : old) {
                if (end > 0) {
                    ends[slot(end)] = end;
                }
            }
        }

        /** The slot of the n-gram that ends there, or a free one for it. */
        private int slot(int end) {
            int mask = ends.length - 1;
            int slot = hash(end) & mask;
            while (ends[slot] > 0 && !isEqual(ends[slot], end)) {
                slot = (slot + 1) & mask;
            }
            return slot;
        }

        private int hash(int end) {
            long hash = 0;
            for (int i = end - length; i < end; i++) {
                hash = (hash + tokens[i] + 1) * 0x9E3779B97F4A7C15L;
                hash ^= hash >>> 32;
            }
            return (int) hash;
        }

        private boolean isEqual(int one, int other) {
            return Arrays.equals(tokens, one - length, one, tokens, other - length, other);
        }
    }
}
