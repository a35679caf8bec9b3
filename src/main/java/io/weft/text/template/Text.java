package io.weft.text.template;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A text that knows which of its characters come from the caller. Immutable. Indices and lengths are in code points, as
 * in Python, except for those of {@link #chars()}.
 */
final class Text implements Value, Comparable<Text> {
    static final Text EMPTY = ofTemplate("");
    private static final String LINE_ENDS = "\n\r\u000b\f\u001c\u001d\u001e\u0085\u2028\u2029";

    private final String chars;

    /** Bit i is set if char i comes from the caller. */
    private final BitSet callers;

    /** Not known until somebody asks for code points: most long texts are only copied. */
    private @Nullable Boolean surrogates;

    private Text(String chars, BitSet callers) {
        this.chars = chars;
        this.callers = callers;
    }

    /** Threads that find out at the same time find the same. */
    private boolean hasSurrogates() {
        if (surrogates == null) {
            surrogates = chars.codePointCount(0, chars.length()) != chars.length();
        }
        return surrogates;
    }

    static Text ofTemplate(String chars) {
        return new Text(chars, new BitSet());
    }

    static Text ofCaller(String chars) {
        var callers = new BitSet();
        callers.set(0, chars.length());
        return new Text(chars, callers);
    }

    String chars() {
        return chars;
    }

    boolean isEmpty() {
        return chars.isEmpty();
    }

    int length() {
        return hasSurrogates() ? chars.codePointCount(0, chars.length()) : chars.length();
    }

    /** The text between two char indices. */
    Text between(int start, int end) {
        return start == 0 && end == chars.length()
                ? this
                : new Text(chars.substring(start, end), callers.get(start, end));
    }

    Text from(int start) {
        return between(start, chars.length());
    }

    /** The text between two code point indices. */
    Text slice(int start, int end) {
        return hasSurrogates()
                ? between(chars.offsetByCodePoints(0, start), chars.offsetByCodePoints(0, end))
                : between(start, end);
    }

    List<Value> letters() {
        var letters = new ArrayList<Value>();
        for (int i = 0; i < chars.length(); ) {
            int end = i + Character.charCount(chars.codePointAt(i));
            letters.add(between(i, end));
            i = end;
        }
        return letters;
    }

    Text plus(Text other) {
        return isEmpty()
                ? other
                : other.isEmpty()
                        ? this
                        : new Builder().append(this).append(other).build();
    }

    /** The text with changed characters. If their number changes, all count as the caller's if any did. */
    Text mapped(UnaryOperator<String> change) {
        String changed = change.apply(chars);
        if (changed.length() == chars.length()) {
            return new Text(changed, callers);
        }
        return callers.isEmpty() ? ofTemplate(changed) : ofCaller(changed);
    }

    /** The text without certain characters at its ends: those of {@code unwanted}, or spaces if that is empty. */
    Text stripped(String unwanted, boolean left, boolean right) {
        int start = 0;
        int end = chars.length();
        while (left && start < end && isUnwanted(chars.codePointAt(start), unwanted)) {
            start += Character.charCount(chars.codePointAt(start));
        }
        while (right && end > start && isUnwanted(chars.codePointBefore(end), unwanted)) {
            end -= Character.charCount(chars.codePointBefore(end));
        }
        return between(start, end);
    }

    private static boolean isUnwanted(int codePoint, String unwanted) {
        return unwanted.isEmpty() ? isSpace(codePoint) : unwanted.indexOf(codePoint) >= 0;
    }

    /** What Python's {@code str.isspace} says. */
    static boolean isSpace(int codePoint) {
        return Character.isWhitespace(codePoint) || Character.isSpaceChar(codePoint) || codePoint == 0x85;
    }

    /** What Python's {@code str.isprintable} says. */
    static boolean isPrintable(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> false;
            case Character.SPACE_SEPARATOR -> codePoint == ' ';
            default -> true;
        };
    }

    /** The text with the code points of all characters but those that may {@code stay}, as Python writes them. */
    Text escaped(IntPredicate stay) {
        if (chars.codePoints().allMatch(stay)) {
            return this;
        }
        var out = new Builder();
        for (Value one : letters()) {
            Text letter = (Text) one;
            int c = letter.chars.codePointAt(0);
            String form = c <= 0xFF ? "\\x%02x" : c <= 0xFFFF ? "\\u%04x" : "\\U%08x";
            out.append(stay.test(c) ? letter : letter.mapped(chars -> form.formatted(c)));
        }
        return out.build();
    }

    /** In the order of code points. */
    @Override
    public int compareTo(Text other) {
        if (!hasSurrogates() && !other.hasSurrogates()) {
            return chars.compareTo(other.chars);
        }
        return Arrays.compare(
                chars.codePoints().toArray(), other.chars.codePoints().toArray());
    }

    /** The lines, at every end of a line that Python knows, with or without these ends. */
    List<Value> lines(boolean withEnds) {
        var lines = new ArrayList<Value>();
        int start = 0;
        for (int i = 0; i < chars.length(); i++) {
            if (LINE_ENDS.indexOf(chars.charAt(i)) < 0) {
                continue;
            }
            int end = i;
            if (chars.startsWith("\r\n", i)) {
                i++;
            }
            lines.add(between(start, withEnds ? i + 1 : end));
            start = i + 1;
        }
        if (start < chars.length()) {
            lines.add(from(start));
        }
        return lines;
    }

    /** Splits off at most {@code max} parts and a rest; splits everywhere if {@code max} is negative. */
    List<Value> split(String separator, long max) {
        var parts = new ArrayList<Value>();
        int start = 0;
        int at;
        while ((max < 0 || parts.size() < max) && (at = chars.indexOf(separator, start)) >= 0) {
            parts.add(between(start, at));
            start = at + separator.length();
        }
        parts.add(from(start));
        return parts;
    }

    /** Splits at runs of spaces. */
    List<Value> splitAtSpaces(long max) {
        var parts = new ArrayList<Value>();
        Text rest = stripped("", true, false);
        while (!rest.isEmpty()) {
            int end = 0;
            while (end < rest.chars.length() && !isSpace(rest.chars.charAt(end))) {
                end++;
            }
            if (max >= 0 && parts.size() == max) {
                parts.add(rest);
                break;
            }
            parts.add(rest.between(0, end));
            rest = rest.from(end).stripped("", true, false);
        }
        return parts;
    }

    /** Splits off at most {@code max} parts at runs of spaces, from the end. */
    List<Value> splitAtLastSpaces(long max) {
        var parts = new ArrayList<Value>();
        Text rest = stripped("", false, true);
        while (!rest.isEmpty()) {
            int start = rest.chars.length();
            while (start > 0 && !isSpace(rest.chars.charAt(start - 1))) {
                start--;
            }
            if (parts.size() == max) {
                parts.addFirst(rest);
                break;
            }
            parts.addFirst(rest.from(start));
            rest = rest.between(0, start).stripped("", false, true);
        }
        return parts;
    }

    Text replaced(String old, Text by, long max) {
        var out = new Builder();
        int start = 0;
        long count = 0;
        if (old.isEmpty()) {
            for (Value letter : letters()) {
                if (max < 0 || count++ < max) {
                    out.append(by);
                }
                out.append((Text) letter);
            }
            return (max < 0 || count < max ? out.append(by) : out).build();
        }
        int at;
        while ((max < 0 || count++ < max) && (at = chars.indexOf(old, start)) >= 0) {
            out.append(this, start, at).append(by);
            start = at + old.length();
        }
        return start == 0 ? this : out.append(from(start)).build();
    }

    /** The characters, cut where their origin changes. */
    List<Template.Part> parts() {
        var parts = new ArrayList<Template.Part>();
        for (int start = 0; start < chars.length(); ) {
            boolean callersStart = callers.get(start);
            int end = callersStart ? callers.nextClearBit(start) : callers.nextSetBit(start);
            end = end < 0 ? chars.length() : Math.min(end, chars.length());
            parts.add(new Template.Part(
                    chars.substring(start, end), callersStart ? Template.Origin.CALLER : Template.Origin.TEMPLATE));
            start = end;
        }
        return parts;
    }

    /** Texts with the same characters are equal, whoever wrote them. */
    @Override
    public boolean equals(Object other) {
        return other instanceof Text text && text.chars.equals(chars);
    }

    @Override
    public int hashCode() {
        return chars.hashCode();
    }

    @Override
    public String toString() {
        return chars;
    }

    /** Builds a text of limited length. */
    static final class Builder {
        /** More than the largest context has. */
        private static final int CHARS_MAX = 1 << 25;

        private final StringBuilder chars = new StringBuilder();
        private final BitSet callers = new BitSet();

        Builder append(Text text) {
            return append(text, 0, text.chars.length());
        }

        /** The chars of a text from one to another, without making a text of them. */
        Builder append(Text text, int from, int to) {
            int shift = chars.length() - from;
            append(text.chars, from, to);
            for (int i = text.callers.nextSetBit(from); i >= 0 && i < to; ) {
                int end = Math.min(text.callers.nextClearBit(i), to);
                callers.set(shift + i, shift + end);
                i = text.callers.nextSetBit(end);
            }
            return this;
        }

        /** Appends text of the template. */
        Builder append(String text) {
            append(text, 0, text.length());
            return this;
        }

        private void append(String text, int from, int to) {
            if (to - from > CHARS_MAX - chars.length()) {
                throw new TemplateException("a text becomes longer than " + CHARS_MAX + " characters");
            }
            chars.append(text, from, to);
        }

        Text build() {
            return new Text(chars.toString(), (BitSet) callers.clone());
        }
    }
}
