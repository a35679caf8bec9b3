package io.weft.text.constraint;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;

/**
 * Regular expressions of ECMA-262, as JSON Schema has them, made into automata. Where other dialects read a class
 * differently ({@code \s}, {@code .}), it means what is in all of them, so that a text that is written under an
 * expression matches it in each.
 */
final class Regex {
    private static final int LENGTH_MAX = 8192;
    private static final int NESTING_MAX = 100;
    private static final int LOOKING_MAX = 4;
    private static final int WORK_MAX = 4_000_000;

    private static final CharClass DIGIT = CharClass.range('0', '9');
    private static final CharClass WORD =
            DIGIT.or(CharClass.range('a', 'z')).or(CharClass.range('A', 'Z')).or(CharClass.of('_'));
    private static final CharClass SPACE = CharClass.anyOf(" \t\n\u000B\f\r");
    private static final CharClass NO_SPACE = SPACE.or(
                    CharClass.anyOf("\u00A0\u1680\u2028\u2029\u202F\u205F\u3000\uFEFF\u0085"))
            .or(CharClass.range(0x2000, 0x200A))
            .complement();
    private static final CharClass DOT =
            CharClass.anyOf("\n\r\u0085\u2028\u2029").complement();

    private sealed interface Node permits Chars, Sequence, Choice, Repeat, Begin, End {}

    private record Chars(CharClass set) implements Node {}

    private record Sequence(List<Node> parts) implements Node {}

    private record Choice(List<Node> branches) implements Node {}

    /** @param max {@code Integer.MAX_VALUE} for no limit */
    private record Repeat(Node part, int min, int max) implements Node {}

    private record Begin() implements Node {}

    private record End() implements Node {}

    private static final Node ANY_TEXT = new Repeat(new Chars(CharClass.ANY), 0, Integer.MAX_VALUE);

    private final String source;
    private int at;
    private int nesting;

    private Regex(String source) {
        this.source = source;
    }

    /** The texts that match as a whole. */
    static CharAutomaton whole(String expression) {
        Looking looking = looking(expression);
        return looking.applied(new Assembly(expression).automaton(parse(looking.rest())));
    }

    /** The texts that have a match in them. */
    static CharAutomaton within(String expression) {
        Looking looking = looking(expression);
        Node node = new Sequence(List.of(ANY_TEXT, parse(looking.rest()), ANY_TEXT));
        return looking.applied(new Assembly(expression).automaton(node));
    }

    /**
     * What an expression that begins with {@code ^} looks ahead for right there.
     *
     * @param rest the expression without that
     */
    private record Looking(List<CharAutomaton> wanted, List<CharAutomaton> unwanted, String rest) {
        CharAutomaton applied(CharAutomaton texts) {
            CharAutomaton all = texts;
            for (CharAutomaton beginning : wanted) {
                all = all.and(beginning);
            }
            for (CharAutomaton beginning : unwanted) {
                all = all.and(beginning.complement());
            }
            return all;
        }
    }

    private static Looking looking(String expression) {
        var wanted = new ArrayList<CharAutomaton>();
        var unwanted = new ArrayList<CharAutomaton>();
        if (!expression.startsWith("^(?!") && !expression.startsWith("^(?=")) {
            return new Looking(wanted, unwanted, expression);
        }
        checkLength(expression);
        var parser = new Regex(expression);
        parser.at = 1;
        while (parser.take("(?")) {
            List<CharAutomaton> which;
            if (parser.take("!")) {
                which = unwanted;
            } else if (parser.take("=")) {
                which = wanted;
            } else {
                parser.at -= 2;
                break;
            }
            if (which.size() == LOOKING_MAX) {
                throw parser.wrong("more than " + LOOKING_MAX + " of (?! or (?=");
            }
            Node beginning = parser.choice();
            if (!parser.take(")")) {
                throw parser.wrong("an unmatched (");
            }
            which.add(new Assembly(expression).automaton(new Sequence(List.of(beginning, ANY_TEXT))));
        }
        String rest = "^" + expression.substring(parser.at);
        if (parse(rest) instanceof Choice) {
            throw parser.wrong("(?! or (?= in one of several branches, which is not enforced,");
        }
        return new Looking(wanted, unwanted, rest);
    }

    private static void checkLength(String expression) {
        if (expression.length() > LENGTH_MAX) {
            throw new ConstraintException(
                    "a regular expression of %d characters, more than %d".formatted(expression.length(), LENGTH_MAX));
        }
    }

    private static Node parse(String expression) {
        checkLength(expression);
        var parser = new Regex(expression);
        Node node = parser.choice();
        if (parser.at < expression.length()) {
            throw parser.wrong("an unmatched )");
        }
        return node;
    }

    private ConstraintException wrong(String what) {
        String shown = source.length() > 100 ? source.substring(0, 100) + "..." : source;
        return new ConstraintException(
                "the regular expression \"%s\" has %s at character %d".formatted(shown, what, at));
    }

    private boolean ended() {
        return at >= source.length();
    }

    private boolean take(String text) {
        if (source.startsWith(text, at)) {
            at += text.length();
            return true;
        }
        return false;
    }

    private int next() {
        if (ended()) {
            throw wrong("an end too early");
        }
        int c = source.codePointAt(at);
        at += Character.charCount(c);
        return c;
    }

    private Node choice() {
        if (++nesting > NESTING_MAX) {
            throw wrong("more than " + NESTING_MAX + " groups in each other");
        }
        var branches = new ArrayList<Node>();
        do {
            branches.add(sequence());
        } while (take("|"));
        nesting--;
        return branches.size() == 1 ? branches.getFirst() : new Choice(branches);
    }

    private Node sequence() {
        var parts = new ArrayList<Node>();
        while (!ended() && source.charAt(at) != '|' && source.charAt(at) != ')') {
            parts.add(quantified(atom()));
        }
        return parts.size() == 1 ? parts.getFirst() : new Sequence(parts);
    }

    private Node quantified(Node node) {
        int min;
        int max;
        if (take("*")) {
            min = 0;
            max = Integer.MAX_VALUE;
        } else if (take("+")) {
            min = 1;
            max = Integer.MAX_VALUE;
        } else if (take("?")) {
            min = 0;
            max = 1;
        } else {
            int end = braces();
            if (end < 0) {
                return node;
            }
            String[] bounds = source.substring(at + 1, end).split(",", -1);
            min = bound(bounds[0]);
            max = bounds.length == 1 ? min : bounds[1].isEmpty() ? Integer.MAX_VALUE : bound(bounds[1]);
            if (min > max) {
                throw wrong("a range of repetitions that is out of order");
            }
            at = end + 1;
        }
        // Lazy: the same texts.
        take("?");
        if (!ended() && "*+?".indexOf(source.charAt(at)) >= 0) {
            throw wrong("a quantifier after a quantifier");
        }
        if (node instanceof Begin || node instanceof End) {
            throw wrong("a quantifier after an anchor");
        }
        return new Repeat(node, min, max);
    }

    /** The end of a quantifier in braces; -1 if these are none, and stand for themselves. */
    private int braces() {
        if (ended() || source.charAt(at) != '{') {
            return -1;
        }
        int end = source.indexOf('}', at);
        return end > 0 && source.substring(at + 1, end).matches("[0-9]+(,[0-9]*)?") ? end : -1;
    }

    private int bound(String digits) {
        if (digits.length() > 6) {
            throw wrong("too many repetitions");
        }
        return Integer.parseInt(digits);
    }

    private Node atom() {
        if (take("(")) {
            if (take("?")) {
                if (take("<") && !ended() && source.charAt(at) != '=' && source.charAt(at) != '!') {
                    while (next() != '>') {
                        // The name of a group says nothing about texts.
                    }
                } else if (!take(":")) {
                    throw wrong("(?, which is enforced for (?: and named groups only,");
                }
            }
            Node node = choice();
            if (!take(")")) {
                throw wrong("an unmatched (");
            }
            return node;
        }
        if (take("[")) {
            return new Chars(set());
        }
        if (take("^")) {
            return new Begin();
        }
        if (take("$")) {
            return new End();
        }
        if (take(".")) {
            return new Chars(DOT);
        }
        if (take("\\")) {
            if (take("A")) {
                return new Begin();
            }
            if (take("z") || take("Z")) {
                return new End();
            }
            if (!ended() && (source.charAt(at) == 'b' || source.charAt(at) == 'B')) {
                throw wrong("\\b, which is not enforced,");
            }
            return new Chars(escape());
        }
        int c = next();
        if ("*+?".indexOf(c) >= 0) {
            throw wrong("a quantifier after nothing");
        }
        return literal(c);
    }

    private Node literal(int c) {
        if (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
            throw wrong("half a character");
        }
        return new Chars(CharClass.of(c));
    }

    /** After a backslash. */
    private CharClass escape() {
        int c = next();
        return switch (c) {
            case 'd' -> DIGIT;
            case 'D' -> DIGIT.complement();
            case 'w' -> WORD;
            case 'W' -> WORD.complement();
            case 's' -> SPACE;
            case 'S' -> NO_SPACE;
            case 'n' -> CharClass.of('\n');
            case 'r' -> CharClass.of('\r');
            case 't' -> CharClass.of('\t');
            case 'f' -> CharClass.of('\f');
            case 'v' -> CharClass.of('\u000B');
            case 'x' -> CharClass.of(hexadecimal(2));
            case 'u' -> unicode();
            case 'p' -> property();
            case 'P' -> property().complement();
            case 'c' -> CharClass.of(next() & 0x1F);
            case '0' -> {
                if (!ended() && Character.isDigit(source.charAt(at))) {
                    throw wrong("an octal escape, which is not enforced,");
                }
                yield CharClass.of(0);
            }
            default -> {
                if (c < 0x80 && Character.isLetterOrDigit(c)) {
                    throw wrong("\\" + Character.toString(c) + ", which is not enforced,");
                }
                yield CharClass.of(c);
            }
        };
    }

    private int hexadecimal(int digits) {
        int value = 0;
        for (int i = 0; i < digits; i++) {
            int digit = Character.digit(next(), 16);
            if (digit < 0) {
                throw wrong("an incomplete escape");
            }
            value = (value << 4) | digit;
        }
        return value;
    }

    private CharClass unicode() {
        int c;
        if (take("{")) {
            int end = source.indexOf('}', at);
            if (end < at + 1 || end > at + 6) {
                throw wrong("an incomplete escape");
            }
            c = hexadecimal(end - at);
            at++;
        } else {
            c = hexadecimal(4);
            if (Character.isHighSurrogate((char) c) && take("\\u")) {
                c = Character.toCodePoint((char) c, (char) hexadecimal(4));
            }
        }
        if (!CharClass.ANY.contains(c)) {
            throw wrong("half a character");
        }
        return CharClass.of(c);
    }

    /** A general category, such as {@code \p{L}} or {@code \p{Lu}}. */
    private CharClass property() {
        if (!take("{")) {
            throw wrong("an incomplete escape");
        }
        int end = source.indexOf('}', at);
        String name = end < 0 ? "" : source.substring(at, end);
        List<String> categories = List.of(
                "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Me", "Mc", "Nd", "Nl", "No", "", "Zs", "Zl", "Zp", "Cc",
                "Cf", "", "Co", "Cs", "Pd", "Ps", "Pe", "Pc", "Po", "Sm", "Sc", "Sk", "So", "Pi", "Pf");
        var wanted = new BitSet();
        for (int i = 0; i < categories.size(); i++) {
            String category = categories.get(i);
            boolean cased = name.equals("LC") && i >= 1 && i <= 3;
            wanted.set(i, !category.isEmpty() && !name.isEmpty() && (category.startsWith(name) || cased));
        }
        if (wanted.isEmpty()) {
            throw wrong("\\p{" + name + "}, which is not enforced,");
        }
        at = end + 1;
        var ranges = new ArrayList<CharClass>();
        int first = -1;
        for (int c = 0; c <= 0x110000; c++) {
            boolean member = c <= 0x10FFFF && wanted.get(Character.getType(c));
            if (member && first < 0) {
                first = c;
            } else if (!member && first >= 0) {
                ranges.add(CharClass.range(first, c - 1));
                first = -1;
            }
        }
        return CharClass.union(ranges);
    }

    /** After an opening bracket. */
    private CharClass set() {
        boolean negated = take("^");
        var members = new ArrayList<CharClass>();
        while (!take("]")) {
            CharClass member = member();
            if (!source.startsWith("-", at) || source.startsWith("-]", at)) {
                members.add(member);
                continue;
            }
            at++;
            CharClass last = member();
            if (member.size() != 1 || last.size() != 1) {
                throw wrong("a range between classes");
            }
            if (member.first() > last.first()) {
                throw wrong("a range that is out of order");
            }
            members.add(CharClass.range(member.first(), last.first()));
        }
        CharClass all = CharClass.union(members);
        return negated ? all.complement() : all;
    }

    private CharClass member() {
        if (take("\\")) {
            return take("b") ? CharClass.of('\b') : escape();
        }
        return ((Chars) literal(next())).set();
    }

    /** Makes an automaton with empty transitions, and then one without. */
    private static final class Assembly {
        private final Work work;
        private final List<List<Object>> edges = new ArrayList<>();

        private record Empty(int to) {}

        private record Read(CharClass on, int to) {}

        private record AtBegin(int to) {}

        private record AtEnd(int to) {}

        Assembly(String expression) {
            String shown = expression.length() > 100 ? expression.substring(0, 100) + "..." : expression;
            this.work = new Work("the regular expression \"" + shown + "\" is too large", WORK_MAX);
        }

        private int state() {
            if (edges.size() >= 2 * CharAutomaton.STATES_MAX) {
                work.spend(WORK_MAX);
            }
            edges.add(new ArrayList<>(2));
            return edges.size() - 1;
        }

        CharAutomaton automaton(Node node) {
            int start = state();
            return withoutEmpty(start, add(node, start));
        }

        /** Adds what leads from a state, and returns where it leads to. */
        private int add(Node node, int from) {
            work.spend(1);
            return switch (node) {
                case Chars(CharClass set) -> {
                    int to = state();
                    edges.get(from).add(new Read(set, to));
                    yield to;
                }
                case Sequence(List<Node> parts) -> {
                    int to = from;
                    for (Node part : parts) {
                        to = add(part, to);
                    }
                    yield to;
                }
                case Choice(List<Node> branches) -> {
                    int to = state();
                    for (Node branch : branches) {
                        int first = state();
                        edges.get(from).add(new Empty(first));
                        edges.get(add(branch, first)).add(new Empty(to));
                    }
                    yield to;
                }
                case Repeat(Node part, int min, int max) -> {
                    int to = from;
                    for (int i = 0; i < min; i++) {
                        to = add(part, to);
                    }
                    if (max == Integer.MAX_VALUE) {
                        int loop = state();
                        edges.get(to).add(new Empty(loop));
                        edges.get(add(part, loop)).add(new Empty(loop));
                        to = state();
                        edges.get(loop).add(new Empty(to));
                    } else if (max > min) {
                        int end = state();
                        for (int i = min; i < max; i++) {
                            edges.get(to).add(new Empty(end));
                            int first = state();
                            edges.get(to).add(new Empty(first));
                            to = add(part, first);
                        }
                        edges.get(to).add(new Empty(end));
                        to = end;
                    }
                    yield to;
                }
                case Begin() -> {
                    int to = state();
                    edges.get(from).add(new AtBegin(to));
                    yield to;
                }
                case End() -> {
                    int to = state();
                    edges.get(from).add(new AtEnd(to));
                    yield to;
                }
            };
        }

        /** Whether nothing was read yet, something was, or nothing more may be. */
        private enum Phase {
            FRESH,
            READ,
            OVER
        }

        private record Place(int state, Phase phase) {}

        private CharAutomaton withoutEmpty(int start, int end) {
            var builder = new CharAutomaton.Builder();
            var numbers = new HashMap<Place, Integer>();
            var places = new ArrayList<Place>();
            places.add(new Place(start, Phase.FRESH));
            numbers.put(places.getFirst(), builder.state());
            for (int number = 0; number < places.size(); number++) {
                for (Place place : reachedFrom(places.get(number))) {
                    if (place.state() == end) {
                        builder.accept(number);
                    }
                    if (place.phase() == Phase.OVER) {
                        continue;
                    }
                    for (Object edge : edges.get(place.state())) {
                        if (edge instanceof Read(CharClass on, int to)) {
                            var next = new Place(to, Phase.READ);
                            Integer target = numbers.get(next);
                            if (target == null) {
                                target = builder.state();
                                numbers.put(next, target);
                                places.add(next);
                            }
                            builder.arc(number, on, target);
                        }
                    }
                }
            }
            builder.spend(WORK_MAX - work.left());
            return builder.build();
        }

        private List<Place> reachedFrom(Place from) {
            var seen = new LinkedHashSet<Place>();
            var open = new ArrayDeque<Place>();
            open.add(from);
            seen.add(from);
            while (!open.isEmpty()) {
                Place place = open.pop();
                for (Object edge : edges.get(place.state())) {
                    work.spend(1);
                    Place next = switch (edge) {
                        case Empty(int to) -> new Place(to, place.phase());
                        case AtBegin(int to) when place.phase() == Phase.FRESH -> new Place(to, Phase.FRESH);
                        case AtEnd(int to) -> new Place(to, Phase.OVER);
                        default -> null;
                    };
                    if (next != null && seen.add(next)) {
                        open.add(next);
                    }
                }
            }
            return List.copyOf(seen);
        }
    }
}
