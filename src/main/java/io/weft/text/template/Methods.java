package io.weft.text.template;

import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.None;
import io.weft.text.template.Value.Sequence;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.IntPredicate;

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
            "startswith",
            "endswith",
            "replace",
            "upper",
            "lower",
            "title",
            "capitalize",
            "join",
            "find",
            "rfind",
            "index",
            "count",
            "removeprefix",
            "removesuffix",
            "isdigit",
            "isalpha",
            "isalnum",
            "isspace",
            "isupper",
            "islower",
            "format");

    private static final Set<String> OF_LIST = Set.of("append", "index", "count");
    private static final Set<String> OF_DICT = Set.of("items", "keys", "values", "get");

    private Methods() {}

    static boolean has(Value object, String name) {
        return switch (object) {
            case Text text -> OF_TEXT.contains(name);
            case Sequence list -> OF_LIST.contains(name);
            case Mapping dict -> OF_DICT.contains(name);
            default -> false;
        };
    }

    /** Calls a known method. */
    static Value call(Value object, String name, Arguments arguments) {
        return switch (object) {
            case Text text -> ofText(text, name, arguments);
            case Sequence(var items) -> ofList(items, name, arguments);
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
            case "splitlines" -> lines(text);
            case "partition" -> {
                int at = chars.indexOf(arguments.text(0, "sep"));
                int end = at + arguments.text(0, "sep").length();
                yield new Sequence(
                        at < 0
                                ? List.of(text, Text.EMPTY, Text.EMPTY)
                                : List.of(text.between(0, at), text.between(at, end), text.from(end)));
            }
            case "startswith" -> any(chars, arguments, String::startsWith);
            case "endswith" -> any(chars, arguments, String::endsWith);
            case "replace" ->
                text.replaced(
                        arguments.text(0, "old"),
                        Values.string(arguments.get(1, "new")),
                        arguments.integer(2, "count", -1));
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
            case "find" -> new Int(place(text, chars.indexOf(arguments.text(0, "sub"))));
            case "rfind" -> new Int(place(text, chars.lastIndexOf(arguments.text(0, "sub"))));
            case "index" -> {
                int at = chars.indexOf(arguments.text(0, "sub"));
                if (at < 0) {
                    throw new TemplateException("index(): the text has no '" + arguments.text(0, "sub") + "'");
                }
                yield new Int(place(text, at));
            }
            case "count" -> {
                String part = arguments.text(0, "sub");
                yield new Int(
                        part.isEmpty()
                                ? text.length() + 1
                                : text.split(part, -1).size() - 1);
            }
            case "removeprefix" ->
                chars.startsWith(arguments.text(0, "prefix"))
                        ? text.from(arguments.text(0, "prefix").length())
                        : text;
            case "removesuffix" ->
                chars.endsWith(arguments.text(0, "suffix"))
                        ? text.between(
                                0, chars.length() - arguments.text(0, "suffix").length())
                        : text;
            case "isdigit" -> all(chars, Character::isDigit);
            case "isalpha" -> all(chars, Character::isLetter);
            case "isalnum" -> all(chars, Character::isLetterOrDigit);
            case "isspace" -> all(chars, Text::isSpace);
            case "isupper" ->
                new Bool(chars.equals(chars.toUpperCase(Locale.ROOT)) && !chars.equals(chars.toLowerCase(Locale.ROOT)));
            case "islower" ->
                new Bool(chars.equals(chars.toLowerCase(Locale.ROOT)) && !chars.equals(chars.toUpperCase(Locale.ROOT)));
            default -> format(text, arguments);
        };
    }

    private static String optional(Arguments arguments) {
        return optional(arguments, "chars");
    }

    /** The text of an optional argument; empty if it is missing. */
    private static String optional(Arguments arguments, String name) {
        Value value = arguments.get(0, name, None.NONE);
        return value == None.NONE ? "" : Values.string(value).chars();
    }

    private static String separator(Arguments arguments) {
        String separator = optional(arguments, "sep");
        if (separator.isEmpty() && arguments.get(0, "sep", None.NONE) != None.NONE) {
            throw new TemplateException("split() has an empty separator");
        }
        return separator;
    }

    private static Value any(String chars, Arguments arguments, BiPredicate<String, String> test) {
        Value wanted = arguments.get(0, "prefix");
        List<Value> several = wanted instanceof Sequence(var items) ? items : List.of(wanted);
        return new Bool(several.stream().anyMatch(one -> {
            if (!(one instanceof Text text)) {
                throw new TemplateException("a text cannot start or end with a value of type " + Values.type(one));
            }
            return test.test(chars, text.chars());
        }));
    }

    private static Value all(String chars, IntPredicate test) {
        return new Bool(!chars.isEmpty() && chars.codePoints().allMatch(test));
    }

    private static long place(Text text, int charIndex) {
        return charIndex < 0 ? -1 : text.between(0, charIndex).length();
    }

    private static Value rightSplit(Text text, String separator, long max) {
        if (max < 0) {
            return new Sequence(separator.isEmpty() ? text.splitAtSpaces(-1) : text.split(separator, -1));
        }
        if (separator.isEmpty()) {
            throw new TemplateException("rsplit() with a limit needs a separator");
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

    private static Value lines(Text text) {
        List<Value> lines = text.replaced("\r\n", Text.ofTemplate("\n"), -1)
                .replaced("\r", Text.ofTemplate("\n"), -1)
                .split("\n", -1);
        if (lines.getLast().equals(Text.EMPTY)) {
            lines.removeLast();
        }
        return new Sequence(lines);
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

    /** {@code str.format} with plain fields: {@code {}}, {@code {0}}, {@code {name}}. */
    private static Text format(Text text, Arguments arguments) {
        var out = new Text.Builder();
        int next = 0;
        String chars = text.chars();
        for (int i = 0; i < chars.length(); ) {
            char c = chars.charAt(i);
            if ((c == '{' || c == '}') && i + 1 < chars.length() && chars.charAt(i + 1) == c) {
                out.append(text.between(i, i + 1));
                i += 2;
            } else if (c == '{') {
                int end = chars.indexOf('}', i);
                String field = end < 0 ? "{" : chars.substring(i + 1, end);
                if (!field.matches("\\w*")) {
                    throw new TemplateException("format() does not know the field '" + field + "'");
                }
                int place = field.isEmpty()
                        ? next++
                        : field.matches("\\d{1,4}") ? Integer.parseInt(field) : Integer.MAX_VALUE;
                out.append(Values.string(arguments.get(place, field)));
                i = end + 1;
            } else {
                out.append(text.between(i, i + 1));
                i++;
            }
        }
        return out.build();
    }

    private static Value ofList(List<Value> items, String name, Arguments arguments) {
        Value wanted = arguments.get(0, "object");
        return switch (name) {
            case "append" -> {
                if (items.size() >= Interpreter.ITEMS_MAX) {
                    throw new TemplateException("a list becomes longer than " + Interpreter.ITEMS_MAX);
                }
                items.add(wanted);
                yield None.NONE;
            }
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
            case "items" -> new Sequence(Filters.pairs(dict));
            case "keys" -> new Sequence(new ArrayList<>(dict.entries().keySet()));
            case "values" -> new Sequence(new ArrayList<>(dict.entries().values()));
            default -> {
                Value value = dict.entries().get(arguments.get(0, "key"));
                yield value == null ? arguments.get(1, "default", None.NONE) : value;
            }
        };
    }
}
