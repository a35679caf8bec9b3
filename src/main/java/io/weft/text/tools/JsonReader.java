package io.weft.text.tools;

import java.util.regex.Pattern;

/** Checks one JSON value, character by character. */
final class JsonReader {
    /** What a character was. */
    enum Step {
        /** A part of the value, which goes on. */
        MORE,
        /** The last character of the value. */
        LAST,
        /** The value, a number or a word, had ended before. */
        AFTER,
        /** Nothing that JSON has there. */
        WRONG
    }

    private enum Expected {
        VALUE,
        VALUE_OR_END,
        NAME_OR_END,
        NAME,
        COLON,
        COMMA_OR_END
    }

    private static final Pattern WORD =
            Pattern.compile("true|false|null|-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?");
    private static final String WORD_CHARACTERS = "+-.0123456789Eabcdefghijklmnopqrstuvwxyz";

    /** The opening braces and brackets of what is open. */
    private final StringBuilder open = new StringBuilder();

    private final StringBuilder word = new StringBuilder();
    private Expected expected = Expected.VALUE;
    private boolean inString;
    private boolean inName;
    private boolean afterBackslash;
    private int hexMissing;

    static boolean isSpace(char c) {
        return c == ' ' || c == '\n' || c == '\r' || c == '\t';
    }

    Step add(char c) {
        if (inString) {
            return string(c);
        }
        if (!word.isEmpty()) {
            if (WORD_CHARACTERS.indexOf(c) >= 0) {
                word.append(c);
                return Step.MORE;
            }
            if (!WORD.matcher(word).matches()) {
                return Step.WRONG;
            }
            word.setLength(0);
            if (open.isEmpty()) {
                return Step.AFTER;
            }
            expected = Expected.COMMA_OR_END;
        }
        return isSpace(c) ? Step.MORE : token(c);
    }

    private Step token(char c) {
        return switch (c) {
            case '{', '[' -> {
                if (!takesValue()) {
                    yield Step.WRONG;
                }
                open.append(c);
                expected = c == '{' ? Expected.NAME_OR_END : Expected.VALUE_OR_END;
                yield Step.MORE;
            }
            case '}', ']' -> closing(c);
            case ',' -> {
                if (expected != Expected.COMMA_OR_END) {
                    yield Step.WRONG;
                }
                expected = open.charAt(open.length() - 1) == '{' ? Expected.NAME : Expected.VALUE;
                yield Step.MORE;
            }
            case ':' -> {
                if (expected != Expected.COLON) {
                    yield Step.WRONG;
                }
                expected = Expected.VALUE;
                yield Step.MORE;
            }
            case '"' -> {
                inName = expected == Expected.NAME || expected == Expected.NAME_OR_END;
                inString = inName || takesValue();
                yield inString ? Step.MORE : Step.WRONG;
            }
            default -> {
                if (!takesValue() || WORD_CHARACTERS.indexOf(c) < 0) {
                    yield Step.WRONG;
                }
                word.append(c);
                yield Step.MORE;
            }
        };
    }

    private Step closing(char c) {
        char opening = c == '}' ? '{' : '[';
        Expected whenEmpty = c == '}' ? Expected.NAME_OR_END : Expected.VALUE_OR_END;
        boolean opened = !open.isEmpty() && open.charAt(open.length() - 1) == opening;
        if (!opened || (expected != whenEmpty && expected != Expected.COMMA_OR_END)) {
            return Step.WRONG;
        }
        open.setLength(open.length() - 1);
        return ended();
    }

    private boolean takesValue() {
        return expected == Expected.VALUE || expected == Expected.VALUE_OR_END;
    }

    private Step ended() {
        expected = Expected.COMMA_OR_END;
        return open.isEmpty() ? Step.LAST : Step.MORE;
    }

    private Step string(char c) {
        if (hexMissing > 0) {
            hexMissing--;
            return c < 0x80 && Character.digit(c, 16) >= 0 ? Step.MORE : Step.WRONG;
        }
        if (afterBackslash) {
            afterBackslash = false;
            hexMissing = c == 'u' ? 4 : 0;
            return "\"\\/bfnrtu".indexOf(c) >= 0 ? Step.MORE : Step.WRONG;
        }
        if (c == '\\') {
            afterBackslash = true;
            return Step.MORE;
        }
        if (c != '"') {
            return c < 0x20 ? Step.WRONG : Step.MORE;
        }
        inString = false;
        if (inName) {
            expected = Expected.COLON;
            return Step.MORE;
        }
        return ended();
    }
}
