package io.weft.text.template;

import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.None;
import io.weft.text.template.Value.Sequence;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.IntPredicate;
import java.util.function.ToIntBiFunction;

/** Python's methods of texts, lists and dictionaries, as far as templates call them. */
final class Methods {
    private static final Set<String> OF_TEXT = Set.of(
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "rsplit",
            "splitlines",
            "partition",
            "rpartition",
            "startswith",
            "endswith",
            "replace",
            "upper",
            "lower",
            "swapcase",
            "casefold",
            "title",
            "capitalize",
            "center",
            "ljust",
            "rjust",
            "zfill",
            "expandtabs",
            "join",
            "find",
            "rfind",
            "index",
            "rindex",
            "count",
            "removeprefix",
            "removesuffix",
            "isdigit",
            "isdecimal",
            "isnumeric",
            "isalpha",
            "isalnum",
            "isspace",
            "isupper",
            "islower",
            "istitle",
            "isascii",
            "isidentifier",
            "isprintable",
            "format",
            "format_map");

    private static final Set<String> OF_LIST = Set.of("copy", "index", "count");
    private static final Set<String> OF_TUPLE = Set.of("index", "count");
    private static final Set<String> OF_DICT = Set.of("items", "keys", "values", "get", "copy");

    /** Methods that change their object, which Hugging Face keeps from templates. */
    private static final Set<String> CHANGING_LIST =
            Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");

    private static final Set<String> CHANGING_DICT = Set.of("clear", "pop", "popitem", "setdefault", "update");

    /** Wider than any line. */
    private static final int WIDTH_MOST = 100_000;

    private Methods() {}

    static boolean has(Value object, String name) {
        return switch (object) {
            case Text text -> OF_TEXT.contains(name);
            case Sequence some when some.kind() == Sequence.Kind.LIST -> OF_LIST.contains(name);
            case Sequence some -> some.kind().isIndexed() && OF_TUPLE.contains(name);
            case Mapping dict -> OF_DICT.contains(name);
            default -> false;
        };
    }

    /** Whether a method of this name changes the object. */
    static boolean changes(Value object, String name) {
        return switch (object) {
            case Sequence some -> some.kind() == Sequence.Kind.LIST && CHANGING_LIST.contains(name);
            case Mapping dict -> CHANGING_DICT.contains(name);
            default -> false;
        };
    }

    /** Calls a known method. */
    static Value call(Value object, String name, Arguments arguments) {
        return switch (object) {
            case Text text -> ofText(text, name, arguments);
            case Sequence(var kind, var items) -> ofList(items, name, arguments);
            case Mapping dict -> ofDict(dict, name, arguments);
            default -> throw new TemplateException("a value of type " + Values.type(object) + " has no methods");
        };
    }

    private static Value ofText(Text text, String name, Arguments arguments) {
        String chars = text.chars();
        return switch (name) {
            case "strip" -> text.stripped(optional(arguments), true, true);
            case "lstrip" -> text.stripped(optional(arguments), true, false);
            case "rstrip" -> text.stripped(optional(arguments), false, true);
            case "split" -> {
                long max = arguments.integer(1, "maxsplit", -1);
                String separator = separator(arguments);
                yield new Sequence(separator.isEmpty() ? text.splitAtSpaces(max) : text.split(separator, max));
            }
            case "rsplit" -> rightSplit(text, separator(arguments), arguments.integer(1, "maxsplit", -1));
            case "splitlines" -> new Sequence(text.lines(arguments.truth(0, "keepends")));
            case "partition" -> {
                int at = chars.indexOf(arguments.textOnly(0, "sep"));
                int end = at + arguments.textOnly(0, "sep").length();
                requireSeparator(end - at);
                yield Sequence.tuple(
                        at < 0
                                ? List.of(text, Text.EMPTY, Text.EMPTY)
                                : List.of(text.between(0, at), text.between(at, end), text.from(end)));
            }
            case "rpartition" -> {
                int at = chars.lastIndexOf(arguments.textOnly(0, "sep"));
                int end = at + arguments.textOnly(0, "sep").length();
                requireSeparator(end - at);
                yield Sequence.tuple(
                        at < 0
                                ? List.of(Text.EMPTY, Text.EMPTY, text)
                                : List.of(text.between(0, at), text.between(at, end), text.from(end)));
            }
            case "startswith" -> any(text, arguments, String::startsWith);
            case "endswith" -> any(text, arguments, String::endsWith);
            case "replace" ->
                text.replaced(
                        arguments.textOnly(0, "old"),
                        Values.string(arguments.get(1, "new")),
                        arguments.integer(2, "count", -1));
            case "swapcase" -> text.mapped(Methods::swapped);
            case "casefold" ->
                text.mapped(letters -> letters.toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT));
            case "center" -> {
                int width = width(arguments, 0);
                int missing = Math.max(0, width - text.length());
                int before = missing / 2 + (missing & width & 1);
                yield Formats.padded(
                        Formats.padded(text, text.length() + before, fill(arguments), '>'),
                        width,
                        fill(arguments),
                        '<');
            }
            case "ljust" -> Formats.padded(text, width(arguments, 0), fill(arguments), '<');
            case "rjust" -> Formats.padded(text, width(arguments, 0), fill(arguments), '>');
            case "zfill" -> {
                boolean signed = chars.startsWith("-") || chars.startsWith("+");
                Text digits = signed ? text.from(1) : text;
                int width = width(arguments, 0) - (signed ? 1 : 0);
                yield (signed ? text.between(0, 1) : Text.EMPTY).plus(Formats.padded(digits, width, '0', '>'));
            }
            case "expandtabs" -> expanded(text, arguments.integer(0, "tabsize", 8));
            case "upper" -> text.mapped(letters -> letters.toUpperCase(Locale.ROOT));
            case "lower" -> text.mapped(letters -> letters.toLowerCase(Locale.ROOT));
            case "title" -> text.mapped(Methods::title);
            case "capitalize" -> text.mapped(Methods::capitalized);
            case "join" -> {
                List<Value> items = Values.items(arguments.get(0, "iterable"));
                for (Value item : items) {
                    if (!(item instanceof Text)) {
                        throw new TemplateException("join() is given a value of type " + Values.type(item));
                    }
                }
                yield Values.joined(items, text);
            }
            case "find" -> new Int(place(text, arguments, String::indexOf));
            case "rfind" -> new Int(place(text, arguments, String::lastIndexOf));
            case "index", "rindex" -> {
                long at = place(text, arguments, name.equals("index") ? String::indexOf : String::lastIndexOf);
                if (at < 0) {
                    throw new TemplateException(name + "(): the text has no '" + arguments.textOnly(0, "sub") + "'");
                }
                yield new Int(at);
            }
            case "count" -> {
                String part = arguments.textOnly(0, "sub");
                Window window = Window.of(text, arguments);
                yield new Int(
                        window.isOutside()
                                ? 0
                                : part.isEmpty()
                                        ? window.text().length() + 1
                                        : window.text().split(part, -1).size() - 1);
            }
            case "removeprefix" ->
                chars.startsWith(arguments.textOnly(0, "prefix"))
                        ? text.from(arguments.textOnly(0, "prefix").length())
                        : text;
            case "removesuffix" ->
                chars.endsWith(arguments.textOnly(0, "suffix"))
                        ? text.between(
                                0,
                                chars.length() - arguments.textOnly(0, "suffix").length())
                        : text;
            case "isdecimal" -> all(chars, Character::isDigit);
            case "isdigit" -> all(chars, Methods::isDigit);
            case "isnumeric" -> all(chars, Methods::isNumeric);
            case "isalpha" -> all(chars, Character::isLetter);
            case "isalnum" -> all(chars, c -> Character.isLetter(c) || isNumeric(c));
            case "isspace" -> all(chars, Text::isSpace);
            case "isupper" -> new Bool(isUpper(chars));
            case "islower" -> new Bool(isLower(chars));
            case "istitle" -> new Bool(chars.codePoints().anyMatch(Methods::isCased) && chars.equals(title(chars)));
            case "isascii" -> new Bool(chars.chars().allMatch(c -> c < 0x80));
            case "isidentifier" ->
                new Bool(!chars.isEmpty()
                        && (chars.codePointAt(0) == '_' || Character.isUnicodeIdentifierStart(chars.codePointAt(0)))
                        && chars.codePoints().allMatch(c -> c == '_' || Character.isUnicodeIdentifierPart(c)));
            case "isprintable" -> new Bool(chars.codePoints().allMatch(Text::isPrintable));
            case "format_map" -> {
                if (!(arguments.get(0, "mapping") instanceof Mapping(var entries))) {
                    throw new TemplateException("format_map() needs a dictionary");
                }
                var named = new LinkedHashMap<String, Value>();
                entries.forEach((key, value) -> named.put(Values.string(key).chars(), value));
                yield Formats.braces(text, new Arguments(List.of(), named));
            }
            default -> Formats.braces(text, arguments);
        };
    }

    private static String optional(Arguments arguments) {
        return optional(arguments, "chars");
    }

    /** The text of an optional argument; empty if it is missing. */
    private static String optional(Arguments arguments, String name) {
        Value value = arguments.get(0, name, None.NONE);
        return value == None.NONE ? "" : arguments.textOnly(0, name);
    }

    private static String separator(Arguments arguments) {
        String separator = optional(arguments, "sep");
        if (separator.isEmpty() && arguments.get(0, "sep", None.NONE) != None.NONE) {
            throw new TemplateException("split() has an empty separator");
        }
        return separator;
    }

    private static void requireSeparator(int length) {
        if (length == 0) {
            throw new TemplateException("the separator is empty");
        }
    }

    private static int width(Arguments arguments, int place) {
        long width = Values.integer(arguments.get(place, "width"));
        if (width > WIDTH_MOST) {
            throw new TemplateException("a width is more than " + WIDTH_MOST);
        }
        return (int) Math.max(0, width);
    }

    private static char fill(Arguments arguments) {
        String fill = Values.string(arguments.get(1, "fillchar", Text.ofTemplate(" ")))
                .chars();
        if (fill.length() != 1) {
            throw new TemplateException("a text is filled up with one character, not '" + fill + "'");
        }
        return fill.charAt(0);
    }

    private static Text expanded(Text text, long tab) {
        var out = new Text.Builder();
        long column = 0;
        for (Value one : text.letters()) {
            Text letter = (Text) one;
            if (letter.chars().equals("\t")) {
                long spaces = tab <= 0 ? 0 : Math.min(WIDTH_MOST, tab - column % tab);
                out.append(" ".repeat((int) spaces));
                column += spaces;
            } else {
                out.append(letter);
                column = letter.chars().equals("\n") || letter.chars().equals("\r") ? 0 : column + 1;
            }
        }
        return out.build();
    }

    /** The part of a text that start and end name, as {@code find} and its like take them. */
    private record Window(Text text, int start, boolean isOutside) {
        static Window of(Text text, Arguments arguments) {
            int length = text.length();
            int start = bound(arguments.integer(1, "start", 0), length);
            int end = Math.min(length, bound(arguments.integer(2, "end", length), length));
            return start > length || start > end
                    ? new Window(Text.EMPTY, 0, true)
                    : new Window(text.slice(start, end), start, false);
        }

        private static int bound(long place, int length) {
            return Math.clamp(place < 0 ? place + length : place, 0, length + 1);
        }
    }

    private static Value any(Text text, Arguments arguments, BiPredicate<String, String> test) {
        Value wanted = arguments.get(0, "prefix");
        boolean isTuple = wanted instanceof Sequence some && some.kind().isTuple();
        List<Value> several = isTuple ? Values.items(wanted) : List.of(wanted);
        Window window = Window.of(text, arguments);
        String chars = window.text().chars();
        return new Bool(!window.isOutside()
                && several.stream().anyMatch(one -> {
                    if (!(one instanceof Text part)) {
                        throw new TemplateException(
                                "a text cannot start or end with a value of type " + Values.type(one));
                    }
                    return test.test(chars, part.chars());
                }));
    }

    private static Value all(String chars, IntPredicate test) {
        return new Bool(!chars.isEmpty() && chars.codePoints().allMatch(test));
    }

    private static long place(Text text, Arguments arguments, ToIntBiFunction<String, String> search) {
        Window window = Window.of(text, arguments);
        int at = window.isOutside() ? -1 : search.applyAsInt(window.text().chars(), arguments.textOnly(0, "sub"));
        return at < 0 ? -1 : window.start() + window.text().between(0, at).length();
    }

    /** A digit, or one that is raised or circled. */
    private static boolean isDigit(int c) {
        return Character.isDigit(c)
                || (Character.getType(c) == Character.OTHER_NUMBER
                        && Normalizer.normalize(Character.toString(c), Normalizer.Form.NFKC)
                                .matches("\\d"));
    }

    private static boolean isNumeric(int c) {
        return isDigit(c)
                || Character.getType(c) == Character.OTHER_NUMBER
                || Character.getType(c) == Character.LETTER_NUMBER
                || "一二三四五六七八九十百千万億兆零〇".indexOf(c) >= 0;
    }

    private static boolean isCased(int c) {
        return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
    }

    static boolean isUpper(String chars) {
        return chars.codePoints().anyMatch(Character::isUpperCase)
                && chars.codePoints().noneMatch(c -> Character.isLowerCase(c) || Character.isTitleCase(c));
    }

    static boolean isLower(String chars) {
        return chars.codePoints().anyMatch(Character::isLowerCase)
                && chars.codePoints().noneMatch(c -> Character.isUpperCase(c) || Character.isTitleCase(c));
    }

    private static String swapped(String chars) {
        var out = new StringBuilder(chars.length());
        chars.codePoints().forEach(c -> {
            String letter = Character.toString(c);
            out.append(
                    Character.isUpperCase(c)
                            ? letter.toLowerCase(Locale.ROOT)
                            : Character.isLowerCase(c) ? letter.toUpperCase(Locale.ROOT) : letter);
        });
        return out.toString();
    }

    private static Value rightSplit(Text text, String separator, long max) {
        if (max < 0) {
            return new Sequence(separator.isEmpty() ? text.splitAtSpaces(-1) : text.split(separator, -1));
        }
        if (separator.isEmpty()) {
            return new Sequence(text.splitAtLastSpaces(max));
        }
        var parts = new ArrayList<Value>();
        int end = text.chars().length();
        int at;
        while (parts.size() < max
                && end > 0
                && (at = text.chars().lastIndexOf(separator, end - separator.length())) >= 0) {
            parts.add(text.between(at + separator.length(), end));
            end = at;
        }
        parts.add(text.between(0, end));
        Collections.reverse(parts);
        return new Sequence(parts);
    }

    static String capitalized(String chars) {
        if (chars.isEmpty()) {
            return chars;
        }
        int first = Character.charCount(chars.codePointAt(0));
        return Character.toString(Character.toTitleCase(chars.codePointAt(0)))
                + chars.substring(first).toLowerCase(Locale.ROOT);
    }

    static String title(String chars) {
        var out = new StringBuilder(chars.length());
        boolean inWord = false;
        for (int c : chars.codePoints().toArray()) {
            out.appendCodePoint(inWord ? Character.toLowerCase(c) : Character.toTitleCase(c));
            inWord = Character.isLetter(c);
        }
        return out.toString();
    }

    private static Value ofList(List<Value> items, String name, Arguments arguments) {
        if (name.equals("copy")) {
            return new Sequence(new ArrayList<>(items));
        }
        Value wanted = arguments.get(0, "object");
        return switch (name) {
            case "count" ->
                new Int(items.stream()
                        .filter(item -> Values.equal(item, wanted))
                        .count());
            default -> {
                for (int i = 0; i < items.size(); i++) {
                    if (Values.equal(items.get(i), wanted)) {
                        yield new Int(i);
                    }
                }
                throw new TemplateException("index(): the list has no such item");
            }
        };
    }

    private static Value ofDict(Mapping dict, String name, Arguments arguments) {
        return switch (name) {
            case "items" -> new Sequence(Sequence.Kind.ITEMS, Filters.pairs(dict));
            case "keys" ->
                new Sequence(Sequence.Kind.KEYS, new ArrayList<>(dict.entries().keySet()));
            case "values" ->
                new Sequence(
                        Sequence.Kind.VALUES, new ArrayList<>(dict.entries().values()));
            case "copy" -> new Mapping(new LinkedHashMap<>(dict.entries()));
            default -> {
                Value value = dict.entries().get(Values.hashable(arguments.get(0, "key")));
                yield value == null ? arguments.get(1, "default", None.NONE) : value;
            }
        };
    }
}
