package io.weft.text.template;

import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.None;
import io.weft.text.template.Value.Real;
import io.weft.text.template.Value.Sequence;
import io.weft.text.template.Value.Undefined;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The filters that templates may apply with {@code |}. */
final class Filters {
    private static final Set<String> OF_LIST = Set.of(
            "first",
            "last",
            "join",
            "reverse",
            "map",
            "select",
            "reject",
            "selectattr",
            "rejectattr",
            "unique",
            "sort",
            "min",
            "max",
            "sum");

    private final Interpreter interpreter;

    /** @param interpreter counts the work */
    Filters(Interpreter interpreter) {
        this.interpreter = interpreter;
    }

    Value apply(String name, Value value, Arguments arguments) {
        interpreter.spend(
                switch (value) {
                    case Text text -> text.chars().length() / 64;
                    case Sequence(var items) -> items.size();
                    default -> 1;
                });
        return switch (name) {
            case "default", "d" ->
                value instanceof Undefined || (arguments.truth(1, "boolean") && !Values.truth(value))
                        ? arguments.get(0, "default_value", Text.EMPTY)
                        : value;
            case "length", "count" -> new Int(Values.length(value));
            case "string", "safe" -> Values.string(value);
            case "list" -> new Sequence(new ArrayList<>(Values.items(value)));
            case "int" -> integer(value, arguments);
            case "float" -> real(value, arguments);
            case "bool" -> new Bool(Values.truth(value));
            case "abs" ->
                value instanceof Real(var number)
                        ? new Real(Math.abs(number))
                        : new Int(Math.abs(Values.integer(value)));
            case "round" -> round(value, arguments);
            case "tojson" -> new Json(arguments).write(value);
            case "trim",
                    "upper",
                    "lower",
                    "title",
                    "capitalize",
                    "replace",
                    "e",
                    "escape",
                    "indent",
                    "format",
                    "wordcount" -> ofText(name, Values.string(value), arguments);
            case "items" -> value instanceof Undefined ? new Sequence(List.of()) : new Sequence(pairs(value));
            case "dictsort" -> dictSorted(value, arguments);
            case "attr" -> Values.item(value, arguments.get(0, "name"));
            default -> ofList(name, value, arguments);
        };
    }

    private static Value ofText(String name, Text text, Arguments arguments) {
        return switch (name) {
            case "trim", "replace" -> Methods.call(text, name.equals("trim") ? "strip" : name, arguments);
            case "upper", "lower", "capitalize" -> Methods.call(text, name, Arguments.NONE);
            case "title" -> text.mapped(Filters::title);
            case "indent" -> indented(text, arguments);
            case "format" -> Values.formatted(text, arguments.positional());
            case "wordcount" -> new Int(text.splitAtSpaces(-1).size());
            default ->
                text.replaced("&", Text.ofTemplate("&amp;"), -1)
                        .replaced("<", Text.ofTemplate("&lt;"), -1)
                        .replaced(">", Text.ofTemplate("&gt;"), -1)
                        .replaced("'", Text.ofTemplate("&#39;"), -1)
                        .replaced("\"", Text.ofTemplate("&#34;"), -1);
        };
    }

    /** Jinja's own rule: spaces, hyphens and brackets separate words. */
    private static String title(String chars) {
        var out = new StringBuilder(chars.length());
        boolean inWord = false;
        for (int c : chars.codePoints().toArray()) {
            out.appendCodePoint(inWord ? Character.toLowerCase(c) : Character.toUpperCase(c));
            inWord = !Text.isSpace(c) && "-({[<".indexOf(c) < 0;
        }
        return out.toString();
    }

    private static Text indented(Text text, Arguments arguments) {
        Value width = arguments.get(0, "width", new Int(4));
        Text by = width instanceof Text prefix
                ? prefix
                : Text.ofTemplate(" ".repeat(Math.clamp(Values.integer(width), 0, 1000)));
        var out = new Text.Builder();
        List<Value> lines = text.split("\n", -1);
        for (int i = 0; i < lines.size(); i++) {
            Text line = (Text) lines.get(i);
            out.append(i > 0 ? "\n" : "");
            boolean wanted = i == 0 ? arguments.truth(1, "first") : !line.isEmpty() || arguments.truth(2, "blank");
            out.append(wanted ? by : Text.EMPTY).append(line);
        }
        return out.build();
    }

    static List<Value> pairs(Value value) {
        if (!(value instanceof Mapping(var entries))) {
            throw new TemplateException("a value of type " + Values.type(value) + " has no items");
        }
        return new ArrayList<>(entries.entrySet().stream().map(Values::pair).toList());
    }

    private static Value dictSorted(Value value, Arguments arguments) {
        int place = arguments.get(1, "by", Text.ofTemplate("key")).equals(Text.ofTemplate("value")) ? 1 : 0;
        Comparator<Value> order = Values.order(arguments.truth(0, "case_sensitive"));
        List<Value> pairs = pairs(value);
        Comparator<Value> byPlace =
                Comparator.comparing(pair -> Values.items(pair).get(place), order);
        pairs.sort(arguments.truth(2, "reverse") ? byPlace.reversed() : byPlace);
        return new Sequence(pairs);
    }

    private static Value integer(Value value, Arguments arguments) {
        Value otherwise = arguments.get(0, "default", new Int(0));
        try {
            return switch (value) {
                case Text text ->
                    text.chars().strip().matches("(?U)[+-]?\\d+(_\\d+)*")
                            ? new Int(Long.parseLong(text.chars().strip().replace("_", "")))
                            : new Int((long) Double.parseDouble(text.chars().strip()));
                case Real(var number) -> new Int((long) number);
                case Undefined undefined -> throw Values.undefined(undefined);
                case Int number -> number;
                case Bool bool -> new Int(Values.integer(bool));
                default -> otherwise;
            };
        } catch (NumberFormatException e) {
            return otherwise;
        }
    }

    private static Value real(Value value, Arguments arguments) {
        try {
            return value instanceof Text text
                    ? new Real(Double.parseDouble(text.chars().strip()))
                    : new Real(Values.real(value));
        } catch (NumberFormatException e) {
            return arguments.get(0, "default", new Real(0));
        }
    }

    private static Value round(Value value, Arguments arguments) {
        String method = Values.string(arguments.get(1, "method", Text.ofTemplate("common")))
                .chars();
        if (value instanceof Int && method.equals("common")) {
            return value;
        }
        double scale = Math.pow(10, (double) arguments.integer(0, "precision", 0));
        double scaled = Values.real(value) * scale;
        return new Real(
                switch (method) {
                    case "ceil" -> Math.ceil(scaled) / scale;
                    case "floor" -> Math.floor(scaled) / scale;
                    default -> Math.rint(scaled) / scale;
                });
    }

    private Value ofList(String name, Value value, Arguments arguments) {
        if (!OF_LIST.contains(name)) {
            throw new TemplateException("there is no filter '" + name + "'");
        }
        List<Value> items = new ArrayList<>(Values.items(value));
        return switch (name) {
            case "first" -> items.isEmpty() ? new Undefined("there is no first item") : items.getFirst();
            case "last" -> items.isEmpty() ? new Undefined("there is no last item") : items.getLast();
            case "join" -> {
                Value attribute = arguments.find(1, "attribute");
                if (attribute != null) {
                    items.replaceAll(item -> deepAttribute(item, attribute));
                }
                yield Values.joined(items, Values.string(arguments.get(0, "d", Text.EMPTY)));
            }
            case "reverse" -> {
                Collections.reverse(items);
                yield value instanceof Text ? Values.joined(items, Text.EMPTY) : new Sequence(items);
            }
            case "map" ->
                new Sequence(items.stream().map(item -> mapped(item, arguments)).toList());
            case "select" ->
                new Sequence(
                        items.stream().filter(item -> holds(item, arguments)).toList());
            case "reject" ->
                new Sequence(
                        items.stream().filter(item -> !holds(item, arguments)).toList());
            case "selectattr" ->
                new Sequence(items.stream()
                        .filter(item -> attributeHolds(item, arguments))
                        .toList());
            case "rejectattr" ->
                new Sequence(items.stream()
                        .filter(item -> !attributeHolds(item, arguments))
                        .toList());
            case "unique" -> unique(items, arguments);
            case "sort" -> {
                Comparator<Value> order = by(arguments.find(2, "attribute"), arguments.truth(1, "case_sensitive"));
                items.sort(arguments.truth(0, "reverse") ? order.reversed() : order);
                yield new Sequence(items);
            }
            case "min" ->
                items.stream()
                        .min(by(arguments.find(1, "attribute"), arguments.truth(0, "case_sensitive")))
                        .orElseGet(() -> new Undefined("there is no least item"));
            case "max" ->
                items.stream()
                        .max(by(arguments.find(1, "attribute"), arguments.truth(0, "case_sensitive")))
                        .orElseGet(() -> new Undefined("there is no greatest item"));
            default -> {
                Value sum = arguments.get(1, "start", new Int(0));
                Value attribute = arguments.find(0, "attribute");
                for (Value item : items) {
                    Value part = attribute == null || attribute == None.NONE ? item : deepAttribute(item, attribute);
                    sum = Values.arithmetic("+", sum, part);
                }
                yield sum;
            }
        };
    }

    private static Comparator<Value> by(@Nullable Value attribute, boolean caseSensitive) {
        Comparator<Value> order = Values.order(caseSensitive);
        return attribute == null || attribute == None.NONE
                ? order
                : Comparator.comparing(item -> deepAttribute(item, attribute), order);
    }

    private static Value unique(List<Value> items, Arguments arguments) {
        boolean caseSensitive = arguments.truth(0, "case_sensitive");
        Value attribute = arguments.find(1, "attribute");
        var seen = new LinkedHashSet<Value>();
        return new Sequence(items.stream()
                .filter(item -> {
                    Value key = attribute == null ? item : deepAttribute(item, attribute);
                    return seen.add(caseSensitive ? key : Values.folded(key));
                })
                .toList());
    }

    /** {@code a.b} and {@code 0} name what is inside. */
    private static Value deepAttribute(Value item, Value attribute) {
        Value value = item;
        if (attribute instanceof Text path) {
            for (String name : path.chars().split("\\.", -1)) {
                value = Values.item(
                        value, name.matches("\\d{1,9}") ? new Int(Long.parseLong(name)) : Text.ofTemplate(name));
            }
            return value;
        }
        return Values.item(value, attribute);
    }

    private Value mapped(Value item, Arguments arguments) {
        Value attribute = arguments.named().get("attribute");
        if (attribute != null) {
            Value value = deepAttribute(item, attribute);
            return value instanceof Undefined ? arguments.named().getOrDefault("default", value) : value;
        }
        return apply(arguments.text(0, "filter"), item, arguments.withoutFirst(1));
    }

    private static boolean holds(Value item, Arguments arguments) {
        return arguments.positional().isEmpty()
                ? Values.truth(item)
                : Tests.test(arguments.text(0, "test"), item, arguments.withoutFirst(1));
    }

    private static boolean attributeHolds(Value item, Arguments arguments) {
        return holds(deepAttribute(item, arguments.get(0, "attribute")), arguments.withoutFirst(1));
    }

    /**
     * Python's {@code json.dumps} as Hugging Face calls it: characters stay as they are, and the arguments' order is
     * its own.
     */
    private static final class Json {
        private final String indent;
        private final String itemSeparator;
        private final String keySeparator;
        private final boolean asciiOnly;
        private final boolean sorted;

        Json(Arguments arguments) {
            Value width = arguments.get(1, "indent", None.NONE);
            indent = switch (width) {
                case None none -> "";
                case Text text -> "\n" + text.chars();
                default -> "\n" + " ".repeat(Math.clamp(Values.integer(width), 0, 100));
            };
            asciiOnly = arguments.truth(0, "ensure_ascii");
            Value separators = arguments.get(2, "separators", None.NONE);
            boolean given = separators instanceof Sequence(var items) && items.size() == 2;
            itemSeparator =
                    given ? Values.string(Values.items(separators).getFirst()).chars() : indent.isEmpty() ? ", " : ",";
            keySeparator =
                    given ? Values.string(Values.items(separators).getLast()).chars() : ": ";
            sorted = arguments.truth(3, "sort_keys");
        }

        Text write(Value value) {
            var out = new Text.Builder();
            write(value, 1, out);
            return out.build();
        }

        private void write(Value value, int depth, Text.Builder out) {
            switch (value) {
                case Text text -> writeText(text, out);
                case Bool(var truth) -> out.append(truth ? "true" : "false");
                case None none -> out.append("null");
                case Int number -> out.append(Values.string(number));
                case Real number -> out.append(Values.string(number));
                case Sequence(var items) -> {
                    out.append("[");
                    for (int i = 0; i < items.size(); i++) {
                        out.append(i > 0 ? itemSeparator : "");
                        newLine(depth, out);
                        write(items.get(i), depth + 1, out);
                    }
                    if (!items.isEmpty()) {
                        newLine(depth - 1, out);
                    }
                    out.append("]");
                }
                case Mapping(var entries) -> {
                    out.append("{");
                    String between = "";
                    List<Map.Entry<Value, Value>> ordered = new ArrayList<>(entries.entrySet());
                    if (sorted) {
                        ordered.sort(Map.Entry.comparingByKey(Values::compare));
                    }
                    for (Map.Entry<Value, Value> entry : ordered) {
                        out.append(between);
                        newLine(depth, out);
                        writeText(Values.string(entry.getKey()), out);
                        out.append(keySeparator);
                        write(entry.getValue(), depth + 1, out);
                        between = itemSeparator;
                    }
                    if (!entries.isEmpty()) {
                        newLine(depth - 1, out);
                    }
                    out.append("}");
                }
                case Undefined undefined -> throw Values.undefined(undefined);
                default -> throw new TemplateException("a value of type " + Values.type(value) + " is not for tojson");
            }
        }

        private void newLine(int depth, Text.Builder out) {
            if (!indent.isEmpty()) {
                out.append("\n").append(indent.substring(1).repeat(depth));
            }
        }

        private void writeText(Text text, Text.Builder out) {
            out.append("\"");
            String chars = text.chars();
            int start = 0;
            for (int i = 0; i < chars.length(); i++) {
                String escape = escape(chars.charAt(i));
                if (!escape.isEmpty()) {
                    out.append(text.between(start, i)).append(escape);
                    start = i + 1;
                }
            }
            out.append(text.from(start)).append("\"");
        }

        private String escape(char c) {
            return switch (c) {
                case '"' -> "\\\"";
                case '\\' -> "\\\\";
                case '\n' -> "\\n";
                case '\r' -> "\\r";
                case '\t' -> "\\t";
                case '\b' -> "\\b";
                case '\f' -> "\\f";
                default -> c < 0x20 || (asciiOnly && c > 0x7E) ? "\\u%04x".formatted((int) c) : "";
            };
        }
    }
}
