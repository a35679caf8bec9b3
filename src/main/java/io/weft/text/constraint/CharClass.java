package io.weft.text.constraint;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A set of characters (Unicode scalar values: no surrogates). Immutable. */
final class CharClass implements Grammar.Label {
    static final CharClass NONE = new CharClass(new int[0]);
    static final CharClass ANY = new CharClass(new int[] {0, 0xD7FF, 0xE000, 0x10FFFF});
    static final CharClass ASCII = range(0, 0x7F);

    /** What a JSON string writes with an escape: quotation mark, backslash, control characters. */
    static final CharClass ESCAPED = range(0, 0x1F).or(of('"')).or(of('\\'));

    /** Ascending, disjoint, not adjacent: first, last, first, last. */
    private final int[] bounds;

    /** Members below 128. */
    private final long low;

    private final long high;

    private CharClass(int[] bounds) {
        this.bounds = bounds;
        this.low = bits(0);
        this.high = bits(64);
    }

    private long bits(int from) {
        long bits = 0;
        for (int i = 0; i < bounds.length && bounds[i] < from + 64; i += 2) {
            for (int c = Math.max(from, bounds[i]); c <= Math.min(from + 63, bounds[i + 1]); c++) {
                bits |= 1L << (c - from);
            }
        }
        return bits;
    }

    static CharClass of(int character) {
        return range(character, character);
    }

    /** Both ends are members; surrogates between them are not. */
    static CharClass range(int first, int last) {
        return new CharClass(common(new int[] {first, last}, ANY.bounds));
    }

    /** The characters of a text. */
    static CharClass anyOf(String characters) {
        return union(characters.codePoints().mapToObj(CharClass::of).toList());
    }

    static CharClass union(List<CharClass> classes) {
        var ranges = new ArrayList<int[]>();
        for (CharClass one : classes) {
            for (int i = 0; i < one.bounds.length; i += 2) {
                ranges.add(new int[] {one.bounds[i], one.bounds[i + 1]});
            }
        }
        ranges.sort((a, b) -> Integer.compare(a[0], b[0]));
        var merged = new int[ranges.size() * 2];
        int length = 0;
        for (int[] range : ranges) {
            if (length > 0 && range[0] <= merged[length - 1] + 1) {
                merged[length - 1] = Math.max(merged[length - 1], range[1]);
            } else {
                merged[length++] = range[0];
                merged[length++] = range[1];
            }
        }
        return new CharClass(Arrays.copyOf(merged, length));
    }

    CharClass or(CharClass other) {
        return union(List.of(this, other));
    }

    CharClass and(CharClass other) {
        if (other.equals(ANY)) {
            return this;
        }
        if (this.equals(ANY)) {
            return other;
        }
        return new CharClass(common(bounds, other.bounds));
    }

    private static int[] common(int[] a, int[] b) {
        var both = new int[a.length + b.length];
        int length = 0;
        for (int i = 0, j = 0; i < a.length && j < b.length; ) {
            int first = Math.max(a[i], b[j]);
            int last = Math.min(a[i + 1], b[j + 1]);
            if (first <= last) {
                both[length++] = first;
                both[length++] = last;
            }
            if (a[i + 1] < b[j + 1]) {
                i += 2;
            } else {
                j += 2;
            }
        }
        return Arrays.copyOf(both, length);
    }

    CharClass complement() {
        var others = new int[bounds.length + 2];
        int length = 0;
        int next = 0;
        for (int i = 0; i < bounds.length; i += 2) {
            if (bounds[i] > next) {
                others[length++] = next;
                others[length++] = bounds[i] - 1;
            }
            next = bounds[i + 1] + 1;
        }
        if (next <= 0x10FFFF) {
            others[length++] = next;
            others[length++] = 0x10FFFF;
        }
        return new CharClass(common(Arrays.copyOf(others, length), ANY.bounds));
    }

    CharClass without(CharClass other) {
        return and(other.complement());
    }

    boolean isEmpty() {
        return bounds.length == 0;
    }

    boolean contains(int character) {
        if (character < 128) {
            return ((character < 64 ? low >>> character : high >>> (character - 64)) & 1) != 0;
        }
        return overlaps(character, character);
    }

    /** Whether there is a member from first to last. */
    boolean overlaps(int first, int last) {
        int from = 0;
        int to = bounds.length / 2;
        while (from < to) {
            int middle = (from + to) >>> 1;
            if (bounds[2 * middle + 1] < first) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        return from < bounds.length / 2 && bounds[2 * from] <= last;
    }

    boolean overlaps(CharClass other) {
        return !and(other).isEmpty();
    }

    /** The smallest member; there is one. */
    int first() {
        return bounds[0];
    }

    /** The number of members. */
    int size() {
        int size = 0;
        for (int i = 0; i < bounds.length; i += 2) {
            size += bounds[i + 1] - bounds[i] + 1;
        }
        return size;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof CharClass that && Arrays.equals(bounds, that.bounds);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bounds);
    }
}
