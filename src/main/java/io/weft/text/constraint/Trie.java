package io.weft.text.constraint;

import java.util.Arrays;
import java.util.function.IntPredicate;

/**
 * Tokens by their bytes. Nodes are numbered in the order of a walk from the root, the root not counted: a node's
 * subtree is the nodes from it to {@code end[node]}, so a walk that leaves out a subtree is a loop that jumps.
 */
final class Trie {
    /** The byte that leads to a node. */
    final byte[] label;

    /** The number of bytes that lead to a node. */
    final short[] depth;

    /** The node after a node's subtree. */
    final int[] end;

    /** {@code tokens[first[node]]} to {@code tokens[first[node + 1]]}, exclusive, are those that end at a node. */
    final int[] first;

    final int[] tokens;
    final int depthMax;

    private Trie(byte[] label, short[] depth, int[] end, int[] first, int[] tokens, int depthMax) {
        this.label = label;
        this.depth = depth;
        this.end = end;
        this.first = first;
        this.tokens = tokens;
        this.depthMax = depthMax;
    }

    int nodes() {
        return label.length;
    }

    /** The node to which bytes lead from another one, or from the root if it is negative; -1 if there is none. */
    int after(int node, byte[] bytes) {
        int at = node;
        for (byte b : bytes) {
            int stop = at < 0 ? label.length : end[at];
            int child = at + 1;
            while (child < stop && label[child] != b) {
                child = end[child];
            }
            if (child >= stop) {
                return -1;
            }
            at = child;
        }
        return at;
    }

    /** A token that ends at a node, or -1. */
    int tokenAt(int node) {
        return first[node] < first[node + 1] ? tokens[first[node]] : -1;
    }

    /**
     * @param bytes of all tokens
     * @param sorted ids of tokens, in the order of their bytes
     * @param member which of these ids belong to the trie
     */
    static Trie of(byte[][] bytes, int[] sorted, IntPredicate member) {
        int capacity = 0;
        int longest = 0;
        byte[] before = new byte[0];
        int members = 0;
        for (int id : sorted) {
            if (member.test(id)) {
                capacity += bytes[id].length - common(before, bytes[id]);
                before = bytes[id];
                longest = Math.max(longest, before.length);
                members++;
            }
        }
        var label = new byte[capacity];
        var depth = new short[capacity];
        var end = new int[capacity];
        var first = new int[capacity + 1];
        var tokens = new int[members];
        var path = new int[longest + 1];
        int nodes = 0;
        int placed = 0;
        before = new byte[0];
        for (int id : sorted) {
            if (!member.test(id)) {
                continue;
            }
            byte[] now = bytes[id];
            int common = common(before, now);
            for (int d = before.length; d > common; d--) {
                end[path[d]] = nodes;
            }
            for (int d = common; d < now.length; d++) {
                label[nodes] = now[d];
                depth[nodes] = (short) (d + 1);
                first[nodes] = placed;
                path[d + 1] = nodes++;
            }
            // A token ends at the newest node: equal ones follow one another, and longer ones come later.
            tokens[placed++] = id;
            before = now;
        }
        for (int d = before.length; d > 0; d--) {
            end[path[d]] = nodes;
        }
        first[nodes] = placed;
        return new Trie(label, depth, end, first, tokens, longest);
    }

    private static int common(byte[] a, byte[] b) {
        int mismatch = Arrays.mismatch(a, b);
        return mismatch < 0 ? a.length : mismatch;
    }
}
