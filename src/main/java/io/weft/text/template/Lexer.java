package io.weft.text.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Cuts a template into data and the tokens of its tags. Whitespace control is Jinja's with {@code trim_blocks} (removes
 * a newline after a block or comment) and {@code lstrip_blocks} (removes spaces from a line's start to a block or
 * comment). It also removes a newline at the template's end.
 */
final class Lexer {
    enum Kind {
        DATA,
        BLOCK_BEGIN,
        BLOCK_END,
        VARIABLE_BEGIN,
        VARIABLE_END,
        NAME,
        STRING,
        INTEGER,
        REAL,
        OPERATOR,
        END
    }

    record Token(Kind kind, String text, int line) {
        boolean is(Kind wanted, String wantedText) {
            return kind == wanted && text.equals(wantedText);
        }
    }

    private static final Pattern RAW_BEGIN = Pattern.compile("(?U)\\{%[-+]?\\s*raw\\s*(?:-%}\\s*|%})");
    private static final Pattern RAW_END = Pattern.compile("(?U)\\{%([-+]?)\\s*endraw\\s*(?:\\+%}|-%}\\s*|%}\\n?)");
    private static final Pattern COMMENT_END = Pattern.compile("(?U)\\+#}|-#}\\s*|#}\\n?");
    private static final Pattern BLOCK_END = Pattern.compile("(?U)\\+%}|-%}\\s*|%}\\n?");
    private static final Pattern VARIABLE_END = Pattern.compile("(?U)-}}\\s*|}}");

    private static final Pattern SPACE = Pattern.compile("(?U)\\s+");
    /** Not after a dot: {@code a.0.1} has two indices. */
    private static final Pattern REAL = Pattern.compile(
            "(?<!\\.)\\d+(?:_\\d+)*(?:\\.\\d+(?:_\\d+)*(?:[eE][+-]?\\d+(?:_\\d+)*)?|[eE][+-]?\\d+(?:_\\d+)*)");

    private static final Pattern INTEGER =
            Pattern.compile("0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?\\d)*|0(?:_?0)*");
    private static final Pattern NAME = Pattern.compile("[\\p{L}_][\\p{L}\\p{N}_]*");
    private static final Pattern STRING =
            Pattern.compile("'[^'\\\\]*+(?:\\\\.[^'\\\\]*+)*+'|\"[^\"\\\\]*+(?:\\\\.[^\"\\\\]*+)*+\"", Pattern.DOTALL);
    private static final Pattern OPERATOR = Pattern.compile("//|\\*\\*|==|!=|>=|<=|[-+/*%~\\[\\](){}><=.:|,;]");
    private static final Map<String, String> CLOSING = Map.of("(", ")", "[", "]", "{", "}");

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int position;
    private int line = 1;
    private boolean lineStarting = true;

    private Lexer(String source) {
        this.source = source;
    }

    /** @throws TemplateException if the source is no template */
    static List<Token> tokens(String source) {
        String lines = source.replaceAll("\\r\\n?", "\n");
        return new Lexer(lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines).run();
    }

    private List<Token> run() {
        while (position < source.length()) {
            int start = nextTag();
            boolean tag = start < source.length();
            String sign = tag && start + 2 < source.length() ? source.substring(start + 2, start + 3) : "";
            boolean variable = tag && source.charAt(start + 1) == '{';
            data(start, tag ? sign : "+", variable);
            if (tag) {
                switch (source.charAt(start + 1)) {
                    case '#' -> {
                        skipSign(start + 2);
                        Matcher end = find(COMMENT_END, "a comment is not closed with #}");
                        moveTo(end.end());
                    }
                    case '{' -> tag(start, Kind.VARIABLE_BEGIN, Kind.VARIABLE_END, VARIABLE_END);
                    default -> {
                        Matcher raw = at(RAW_BEGIN);
                        if (raw != null) {
                            moveTo(raw.end());
                            Matcher end = find(RAW_END, "a raw block is not closed with {% endraw %}");
                            data(end.start(), end.group(1), false);
                            moveTo(end.end());
                        } else {
                            tag(start, Kind.BLOCK_BEGIN, Kind.BLOCK_END, BLOCK_END);
                        }
                    }
                }
            }
        }
        tokens.add(new Token(Kind.END, "", line));
        return tokens;
    }

    /** The index of the next tag's opening, or the source's end. */
    private int nextTag() {
        int start = position;
        while ((start = source.indexOf('{', start)) >= 0) {
            if (start + 1 < source.length() && "{%#".indexOf(source.charAt(start + 1)) >= 0) {
                return start;
            }
            start++;
        }
        return source.length();
    }

    /** Takes the text up to a tag; the tag's sign decides whether the spaces before it stay. */
    private void data(int end, String sign, boolean variable) {
        String text = source.substring(position, end);
        int kept = text.length();
        if (sign.equals("-")) {
            kept = Text.ofTemplate(text).stripped("", false, true).chars().length();
        } else if (!sign.equals("+") && !variable) {
            int lineStart = text.lastIndexOf('\n') + 1;
            if ((lineStart > 0 || lineStarting)
                    && text.substring(lineStart).codePoints().allMatch(Text::isSpace)) {
                kept = lineStart;
            }
        }
        if (kept > 0) {
            tokens.add(new Token(Kind.DATA, text.substring(0, kept), line));
        }
        moveTo(end);
    }

    private void moveTo(int end) {
        for (int i = position; i < end; i++) {
            if (source.charAt(i) == '\n') {
                line++;
            }
        }
        lineStarting = end > 0 && source.charAt(end - 1) == '\n';
        position = end;
    }

    private void skipSign(int at) {
        boolean sign = at < source.length() && "+-".indexOf(source.charAt(at)) >= 0;
        moveTo(sign ? at + 1 : at);
    }

    private void tag(int start, Kind begin, Kind end, Pattern ending) {
        tokens.add(new Token(begin, "", line));
        int firstLine = line;
        skipSign(start + 2);
        Deque<String> open = new ArrayDeque<>();
        while (position < source.length()) {
            Matcher match = open.isEmpty() ? at(ending) : null;
            if (match != null) {
                tokens.add(new Token(end, "", line));
                moveTo(match.end());
                return;
            }
            if ((match = at(SPACE)) == null) {
                match = token(open);
            }
            moveTo(match.end());
        }
        throw TemplateException.at(firstLine, "a tag is not closed");
    }

    private Matcher token(Deque<String> open) {
        Matcher match;
        if ((match = at(REAL)) != null) {
            tokens.add(new Token(Kind.REAL, match.group().replace("_", ""), line));
        } else if ((match = at(INTEGER)) != null) {
            tokens.add(new Token(Kind.INTEGER, match.group().replace("_", ""), line));
        } else if ((match = at(NAME)) != null) {
            tokens.add(new Token(Kind.NAME, match.group(), line));
        } else if ((match = at(STRING)) != null) {
            tokens.add(new Token(
                    Kind.STRING,
                    unescape(match.group().substring(1, match.group().length() - 1)),
                    line));
        } else if ((match = at(OPERATOR)) != null) {
            String operator = match.group();
            String closing = CLOSING.get(operator);
            if (closing != null) {
                open.push(closing);
            } else if (CLOSING.containsValue(operator) && !operator.equals(open.poll())) {
                throw TemplateException.at(line, "unexpected '" + operator + "'");
            }
            tokens.add(new Token(Kind.OPERATOR, operator, line));
        } else {
            throw TemplateException.at(line, "unexpected '" + Character.toString(source.codePointAt(position)) + "'");
        }
        return match;
    }

    private @Nullable Matcher at(Pattern pattern) {
        Matcher matcher = pattern.matcher(source).useTransparentBounds(true).region(position, source.length());
        return matcher.lookingAt() ? matcher : null;
    }

    private Matcher find(Pattern pattern, String problem) {
        Matcher matcher = pattern.matcher(source);
        if (!matcher.find(position)) {
            throw TemplateException.at(line, problem);
        }
        return matcher;
    }

    /** Python's escapes; a backslash before another character stands for itself. */
    private String unescape(String text) {
        var out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != '\\' || i + 1 == text.length()) {
                out.append(c);
                continue;
            }
            char escape = text.charAt(++i);
            switch (escape) {
                case '\n' -> {}
                case '\\', '\'', '"' -> out.append(escape);
                case 'n' -> out.append('\n');
                case 't' -> out.append('\t');
                case 'r' -> out.append('\r');
                case 'a' -> out.append('\u0007');
                case 'b' -> out.append('\b');
                case 'f' -> out.append('\f');
                case 'v' -> out.append('\u000b');
                case 'x' -> i += code(text, i + 1, 2, out);
                case 'u' -> i += code(text, i + 1, 4, out);
                case 'U' -> i += code(text, i + 1, 8, out);
                case '0', '1', '2', '3', '4', '5', '6', '7' -> {
                    int end = i + 1;
                    while (end < text.length() && end < i + 3 && text.charAt(end) >= '0' && text.charAt(end) <= '7') {
                        end++;
                    }
                    out.append((char) Integer.parseInt(text, i, end, 8));
                    i = end - 1;
                }
                default -> out.append('\\').append(escape);
            }
        }
        return out.toString();
    }

    private int code(String text, int start, int digits, StringBuilder out) {
        try {
            out.appendCodePoint(Integer.parseInt(text, start, start + digits, 16));
        } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
            throw TemplateException.at(line, "a string has an escape without its " + digits + " hex digits");
        }
        return digits;
    }
}
