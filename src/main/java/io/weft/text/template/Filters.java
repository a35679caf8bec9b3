package io.weft.text.template;

import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.None;
import io.weft.text.template.Value.Real;
import io.weft.text.template.Value.Sequence;
import io.weft.text.template.Value.Undefined;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
            "sum",
            "groupby",
            "batch",
            "slice");

    private static final Set<String> OF_TEXT = Set.of(
            "trim",
            "upper",
            "lower",
            "title",
            "capitalize",
            "replace",
            "e",
            "escape",
            "forceescape",
            "indent",
            "format",
            "wordcount",
            "wordwrap",
            "truncate",
            "center",
            "striptags",
            "urlencode",
            "xmlattr");

    private static final Set<String> OTHERS = Set.of(
            "default",
            "d",
            "length",
            "count",
            "string",
            "safe",
            "list",
            "int",
            "float",
            "abs",
            "round",
            "tojson",
            "items",
            "dictsort",
            "attr",
            "pprint",
            "filesizeformat");

    /** Those that take the items of anything that is true, and are empty for what is not. */
    private static final Set<String> OF_NOTHING = Set.of("map", "select", "reject", "selectattr", "rejectattr");

    private static final Set<String> ATTRIBUTE_NAMES = Set.of("attribute", "default");
    private static final Pattern WORD = Pattern.compile("(?U)\\w+");
    private static final Pattern WHOLE = Pattern.compile("(?U)([+-]?)(0[xXoObB]_?)?([\\p{Alnum}]+(?:_[\\p{Alnum}]+)*)");
    private static final Pattern REAL =
            Pattern.compile("(?U)[+-]?(\\d+(_\\d+)*\\.?(\\d+(_\\d+)*)?|\\.\\d+(_\\d+)*)([eE][+-]?\\d+(_\\d+)*)?");
    private static final Pattern NAMED_REAL = Pattern.compile("(?i)[+-]?(inf|infinity|nan)");
    private static final int ROUNDED_MOST = 400;
    private static final Pattern TAG = Pattern.compile("(?s)<!--.*?-->|<[^>]*>");
    /** The last one makes no other. */
    private static final SequencedMap<String, String> ENTITIES = new LinkedHashMap<>();

    static {
        ENTITIES.put("&lt;", "<");
        ENTITIES.put("&gt;", ">");
        ENTITIES.put("&quot;", "\"");
        ENTITIES.put("&#39;", "'");
        ENTITIES.put("&#34;", "\"");
        ENTITIES.put("&nbsp;", "\u00a0");
        ENTITIES.put("&amp;", "&");
    }

    private static final int TRUNCATED_LENGTH = 255;
    private static final int TRUNCATED_LEEWAY = 5;
    private static final int LINE_WIDTH = 79;
    private static final int CENTER_WIDTH = 80;

    private final Interpreter interpreter;

    /** @param interpreter counts the work */
    Filters(Interpreter interpreter) {
        this.interpreter = interpreter;
    }

    static boolean has(String name) {
        return OTHERS.contains(name) || OF_TEXT.contains(name) || OF_LIST.contains(name);
    }

    Value apply(String name, Value value, Arguments arguments) {
        interpreter.spend(
                switch (value) {
                    case Text text -> text.chars().length() / 64;
                    case Sequence(var kind, var items) -> items.size();
                    default -> 1;
                });
        return switch (name) {
            case "default", "d" ->
                value instanceof Undefined || (arguments.truth(1, "boolean") && !Values.truth(value))
                        ? arguments.get(0, "default_value", Text.EMPTY)
                        : value;
            case "indent" -> indented(textOnly(name, value), arguments);
            case "truncate" -> truncated(textOnly(name, value), arguments);
            case "length", "count" -> new Int(Values.length(value));
            case "string", "safe" -> Values.string(value);
            case "list" -> new Sequence(new ArrayList<>(Values.items(value)));
            case "int" -> integer(value, arguments);
            case "float" -> real(value, arguments);
            case "abs" ->
                value instanceof Real(var number)
                        ? new Real(Math.abs(number))
                        : new Int(Math.abs(Values.integer(value)));
            case "round" -> round(value, arguments);
            case "tojson" -> new Json(arguments).write(value);
            case "items" -> Sequence.lazy(value instanceof Undefined ? List.of() : pairs(value));
            case "dictsort" -> dictSorted(value, arguments);
            case "attr" -> attribute(value, arguments.text(0, "name"));
            case "pprint" -> Values.repr(value);
            case "filesizeformat" -> size(number(value), arguments.truth(0, "binary"));
            case "urlencode" -> urlEncoded(value);
            case "xmlattr" -> xmlAttributes(value, arguments);
            default ->
                OF_TEXT.contains(name) ? ofText(name, Values.string(value), arguments) : ofList(name, value, arguments);
        };
    }

    private static Value ofText(String name, Text text, Arguments arguments) {
        return switch (name) {
            case "trim", "replace" -> Methods.call(text, name.equals("trim") ? "strip" : name, arguments);
            case "upper", "lower", "capitalize" -> Methods.call(text, name, Arguments.NONE);
            case "title" -> text.mapped(Filters::title);
            case "format" -> Formats.percent(text, formatValues(arguments));
            case "wordcount" -> new Int(WORD.matcher(text.chars()).results().count());
            case "wordwrap" -> wrapped(text, arguments);
            case "center" ->
                Methods.call(
                        text, name, new Arguments(List.of(arguments.get(0, "width", new Int(CENTER_WIDTH))), Map.of()));
            case "striptags" -> Values.joined(withoutTags(text).splitAtSpaces(-1), Text.ofTemplate(" "));
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
            String letter = Character.toString(c);
            out.append(inWord ? letter.toLowerCase(Locale.ROOT) : letter.toUpperCase(Locale.ROOT));
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
        List<Value> lines = text.plus(Text.ofTemplate("\n")).lines(false);
        for (int i = 0; i < lines.size(); i++) {
            Text line = (Text) lines.get(i);
            out.append(i > 0 ? "\n" : "");
            boolean wanted = i == 0 ? arguments.truth(1, "first") : !line.isEmpty() || arguments.truth(2, "blank");
            out.append(wanted ? by : Text.EMPTY).append(line);
        }
        return out.build();
    }

    private Value attribute(Value value, String name) {
        boolean isItem = value instanceof Mapping && !Methods.has(value, name);
        return isItem ? Values.missing(value, name) : interpreter.attribute(value, name);
    }

    private static Value formatValues(Arguments arguments) {
        if (arguments.named().isEmpty()) {
            return Sequence.tuple(arguments.positional());
        }
        if (!arguments.positional().isEmpty()) {
            throw new TemplateException("format has arguments with and without names");
        }
        var entries = new LinkedHashMap<Value, Value>();
        arguments.named().forEach((name, value) -> entries.put(Text.ofTemplate(name), value));
        return new Mapping(entries);
    }

    private static Text textOnly(String filter, Value value) {
        if (value instanceof Text text) {
            return text;
        }
        throw new TemplateException(filter + " is not for a value of type " + Values.type(value));
    }

    private static double number(Value value) {
        return value instanceof Text text
                ? real(text.chars()).orElseThrow(() -> new TemplateException("'" + text.chars() + "' is no number"))
                : Values.real(value);
    }

    private static Text truncated(Text text, Arguments arguments) {
        int length = Math.clamp(arguments.integer(0, "length", TRUNCATED_LENGTH), 0, Integer.MAX_VALUE);
        Text end = Values.string(arguments.get(2, "end", Text.ofTemplate("...")));
        long leeway = arguments.integer(3, "leeway", TRUNCATED_LEEWAY);
        if (length < end.length() || leeway < 0) {
            throw new TemplateException("truncate has length " + length + " and leeway " + leeway);
        }
        if (text.length() <= length + leeway) {
            return text;
        }
        Text kept = text.slice(0, length - end.length());
        int space = kept.chars().lastIndexOf(' ');
        return (arguments.truth(1, "killwords") || space < 0 ? kept : kept.between(0, space)).plus(end);
    }

    /** Lines of at most so many characters, broken at spaces, or within words that are longer. */
    private static Text wrapped(Text text, Arguments arguments) {
        int width = Math.clamp(arguments.integer(0, "width", LINE_WIDTH), 1, Integer.MAX_VALUE);
        Value breaks = arguments.find(1, "break_long_words");
        boolean breaksWords = breaks == null || Values.truth(breaks);
        Value given = arguments.get(2, "wrapstring", None.NONE);
        Text between = given == None.NONE ? Text.ofTemplate("\n") : Values.string(given);
        var lines = new ArrayList<Value>();
        for (Value whole : text.lines(false)) {
            Text rest = (Text) whole;
            var wrapped = new ArrayList<Value>();
            while (rest.length() > width) {
                int space = rest.slice(0, width + 1).chars().lastIndexOf(' ');
                int end = space > 0
                        ? space
                        : breaksWords
                                ? rest.slice(0, width).chars().length()
                                : rest.chars().indexOf(' ');
                if (end <= 0) {
                    break;
                }
                wrapped.add(rest.between(0, end).stripped(" ", false, true));
                rest = rest.from(end).stripped(" ", true, false);
            }
            wrapped.add(rest);
            lines.add(Values.joined(wrapped, between));
        }
        return Values.joined(lines, between);
    }

    private static Text withoutTags(Text text) {
        var out = new Text.Builder();
        int start = 0;
        Matcher tags = TAG.matcher(text.chars());
        while (tags.find()) {
            out.append(text, start, tags.start());
            start = tags.end();
        }
        Text shown = out.append(text.from(start)).build();
        for (Map.Entry<String, String> entity : ENTITIES.entrySet()) {
            shown = shown.replaced(entity.getKey(), Text.ofTemplate(entity.getValue()), -1);
        }
        return shown;
    }

    private static Text size(double bytes, boolean binary) {
        double base = binary ? 1024 : 1000;
        if (bytes == 1) {
            return Text.ofTemplate("1 Byte");
        }
        if (bytes < base) {
            return Text.ofTemplate((long) bytes + " Bytes");
        }
        String prefixes = "kMGTPEZY";
        int i = 0;
        double unit = base * base;
        while (i < prefixes.length() - 1 && bytes >= unit) {
            unit *= base;
            i++;
        }
        String prefix = binary ? Character.toUpperCase(prefixes.charAt(i)) + "iB" : prefixes.charAt(i) + "B";
        return Formats.percent(Text.ofTemplate("%.1f " + prefix), new Real(base * bytes / unit));
    }

    private static Text urlEncoded(Value value) {
        if (!(value instanceof Mapping) && (value instanceof Text || !(value instanceof Sequence))) {
            return Values.string(value).mapped(chars -> quoted(chars, "/"));
        }
        var pairs = new ArrayList<Value>();
        Values.entries(value)
                .forEach((key, item) -> pairs.add(Values.string(key)
                        .mapped(chars -> quoted(chars, "").replace("%20", "+"))
                        .plus(Text.ofTemplate("="))
                        .plus(Values.string(item)
                                .mapped(chars -> quoted(chars, "").replace("%20", "+")))));
        return Values.joined(pairs, Text.ofTemplate("&"));
    }

    private static String quoted(String chars, String safe) {
        var out = new StringBuilder();
        for (byte b : chars.getBytes(StandardCharsets.UTF_8)) {
            boolean plain = b > 0 && (Character.isLetterOrDigit(b) || ("_.-~" + safe).indexOf(b) >= 0);
            out.append(plain ? Character.toString(b) : "%%%02X".formatted(b));
        }
        return out.toString();
    }

    private static Text xmlAttributes(Value value, Arguments arguments) {
        var out = new ArrayList<Value>();
        pairs(value).forEach(pair -> {
            Value key = Values.items(pair).getFirst();
            Value item = Values.items(pair).getLast();
            if (item != None.NONE && !(item instanceof Undefined)) {
                out.add(((Text) ofText("e", Values.string(key), Arguments.NONE))
                        .plus(Text.ofTemplate("=\""))
                        .plus((Text) ofText("e", Values.string(item), Arguments.NONE))
                        .plus(Text.ofTemplate("\"")));
            }
        });
        Value spaced = arguments.find(0, "autospace");
        boolean space = !out.isEmpty() && (spaced == null || Values.truth(spaced));
        return Text.ofTemplate(space ? " " : "").plus(Values.joined(out, Text.ofTemplate(" ")));
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
        int base = (int) arguments.integer(1, "base", 10);
        return switch (value) {
            case Text text ->
                whole(text.chars().strip(), base)
                        .or(() -> real(text.chars())
                                .filter(number -> !Double.isNaN(number) && !Double.isInfinite(number))
                                .map(Double::longValue))
                        .<Value>map(Int::new)
                        .orElse(otherwise);
            case Real(var number) -> Double.isNaN(number) ? otherwise : new Int((long) number);
            case Undefined undefined -> throw Values.undefined(undefined);
            case Int number -> number;
            case Bool bool -> new Int(Values.integer(bool));
            default -> otherwise;
        };
    }

    /** Python's {@code int} of a text; empty if that is none. */
    private static Optional<Long> whole(String chars, int base) {
        Matcher match = WHOLE.matcher(chars);
        if (!match.matches()) {
            return Optional.empty();
        }
        String prefix = match.group(2) == null ? "" : match.group(2).toLowerCase(Locale.ROOT);
        int named = switch (prefix) {
            case "0x" -> 16;
            case "0o" -> 8;
            case "0b" -> 2;
            default -> base == 0 ? 10 : base;
        };
        boolean isPrefix = prefix.isEmpty() || base == 0 || base == named;
        String digits = (isPrefix ? "" : prefix) + match.group(3);
        try {
            return Optional.of(Long.parseLong(
                    ("-".equals(match.group(1)) ? "-" : "") + digits.replace("_", ""), isPrefix ? named : base));
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
    }

    /** Python's {@code float} of a text; empty if that is none. */
    private static Optional<Double> real(String chars) {
        String text = chars.strip();
        if (NAMED_REAL.matcher(text).matches()) {
            boolean isNan = text.toLowerCase(Locale.ROOT).contains("nan");
            return Optional.of(
                    isNan ? Double.NaN : text.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY);
        }
        return REAL.matcher(text).matches() ? Optional.of(Double.parseDouble(asciiDigits(text))) : Optional.empty();
    }

    private static String asciiDigits(String number) {
        var out = new StringBuilder();
        number.codePoints()
                .filter(c -> c != '_')
                .map(c -> Character.isDigit(c) ? '0' + Character.digit(c, 10) : c)
                .forEach(out::appendCodePoint);
        return out.toString();
    }

    private static Value real(Value value, Arguments arguments) {
        Value otherwise = arguments.get(0, "default", new Real(0));
        return switch (value) {
            case Text text -> real(text.chars()).<Value>map(Real::new).orElse(otherwise);
            case Undefined undefined -> throw Values.undefined(undefined);
            case Int number -> new Real(Values.real(number));
            case Bool bool -> new Real(Values.real(bool));
            case Real number -> number;
            default -> otherwise;
        };
    }

    private static Value round(Value value, Arguments arguments) {
        String method = Values.string(arguments.get(1, "method", Text.ofTemplate("common")))
                .chars();
        int precision = Math.clamp(arguments.integer(0, "precision", 0), -ROUNDED_MOST, ROUNDED_MOST);
        double number = Values.real(value);
        double scale = Math.pow(10, precision);
        return switch (method) {
            case "common" -> {
                if (value instanceof Real) {
                    boolean isFinite = !Double.isNaN(number) && !Double.isInfinite(number);
                    yield isFinite
                            ? new Real(new BigDecimal(number)
                                    .setScale(precision, RoundingMode.HALF_EVEN)
                                    .doubleValue())
                            : value;
                }
                long whole = Values.integer(value);
                yield new Int(
                        precision >= 0
                                ? whole
                                : new BigDecimal(whole)
                                        .setScale(precision, RoundingMode.HALF_EVEN)
                                        .longValue());
            }
            case "ceil" -> new Real(Math.ceil(number * scale) / scale);
            case "floor" -> new Real(Math.floor(number * scale) / scale);
            default -> throw new TemplateException("round has the method '" + method + "'");
        };
    }

    private Value ofList(String name, Value value, Arguments arguments) {
        if (!OF_LIST.contains(name)) {
            throw new TemplateException("there is no filter '" + name + "'");
        }
        if (OF_NOTHING.contains(name) && !Values.truth(value)) {
            return Sequence.lazy(List.of());
        }
        if (name.equals("first") && value instanceof Sequence(var kind, var left) && kind == Sequence.Kind.LAZY) {
            return left.isEmpty() ? new Undefined("there is no first item") : left.removeFirst();
        }
        boolean isLazy = value instanceof Sequence some && some.kind() == Sequence.Kind.LAZY;
        if (name.equals("last") && isLazy) {
            throw new TemplateException("a generator has no last item");
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
                if (value instanceof Text) {
                    yield Values.joined(items, Text.EMPTY);
                }
                yield isLazy ? new Sequence(items) : Sequence.lazy(items);
            }
            case "map" ->
                Sequence.lazy(
                        items.stream().map(item -> mapped(item, arguments)).toList());
            case "select" ->
                Sequence.lazy(
                        items.stream().filter(item -> holds(item, arguments)).toList());
            case "reject" ->
                Sequence.lazy(
                        items.stream().filter(item -> !holds(item, arguments)).toList());
            case "selectattr" ->
                Sequence.lazy(items.stream()
                        .filter(item -> attributeHolds(item, arguments))
                        .toList());
            case "rejectattr" ->
                Sequence.lazy(items.stream()
                        .filter(item -> !attributeHolds(item, arguments))
                        .toList());
            case "unique" -> unique(items, arguments);
            case "groupby" -> grouped(items, arguments);
            case "batch" -> batched(items, arguments);
            case "slice" -> sliced(items, arguments);
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

    private Value grouped(List<Value> items, Arguments arguments) {
        Value attribute = arguments.get(0, "attribute");
        Value otherwise = arguments.find(1, "default");
        boolean caseSensitive = arguments.truth(2, "case_sensitive");
        UnaryOperator<Value> grouper = item -> {
            Value value = deepAttribute(item, attribute);
            return value instanceof Undefined && otherwise != null ? otherwise : value;
        };
        UnaryOperator<Value> key = item -> caseSensitive ? grouper.apply(item) : Values.folded(grouper.apply(item));
        items.sort((a, b) -> Values.compare(key.apply(a), key.apply(b)));
        var groups = new ArrayList<Value>();
        List<Value> group = new ArrayList<>();
        for (int i = 0; i < items.size(); i++) {
            group.add(items.get(i));
            boolean isLast = i + 1 == items.size();
            if (isLast || !Values.equal(key.apply(items.get(i)), key.apply(items.get(i + 1)))) {
                groups.add(new Sequence(
                        Sequence.Kind.GROUP, List.of(grouper.apply(group.getFirst()), new Sequence(group))));
                group = new ArrayList<>();
            }
        }
        return new Sequence(groups);
    }

    private static Value batched(List<Value> items, Arguments arguments) {
        long asked = Values.integer(arguments.get(0, "linecount"));
        long count = asked < 1 ? Math.max(1, items.size()) : asked;
        Value filler = arguments.get(1, "fill_with", None.NONE);
        var batches = new ArrayList<Value>();
        if (asked == 0 && !items.isEmpty()) {
            batches.add(new Sequence(List.of()));
        }
        for (int i = 0; i < items.size(); i += (int) Math.min(count, items.size())) {
            var batch = new ArrayList<>(items.subList(i, (int) Math.min(i + count, items.size())));
            while (filler != None.NONE && batch.size() < Math.min(count, Interpreter.ITEMS_MAX)) {
                batch.add(filler);
            }
            batches.add(new Sequence(batch));
        }
        return Sequence.lazy(batches);
    }

    private static Value sliced(List<Value> items, Arguments arguments) {
        long slices = Values.integer(arguments.get(0, "slices"));
        if (slices < 1 || slices > Interpreter.ITEMS_MAX) {
            throw new TemplateException("slice is given " + slices + " slices");
        }
        Value filler = arguments.get(1, "fill_with", None.NONE);
        long each = items.size() / slices;
        long longer = items.size() % slices;
        var all = new ArrayList<Value>();
        int start = 0;
        for (long i = 0; i < slices; i++) {
            int end = start + (int) (each + (i < longer ? 1 : 0));
            var slice = new ArrayList<>(items.subList(start, end));
            if (filler != None.NONE && i >= longer) {
                slice.add(filler);
            }
            all.add(new Sequence(slice));
            start = end;
        }
        return Sequence.lazy(all);
    }

    private Comparator<Value> by(@Nullable Value attribute, boolean caseSensitive) {
        Comparator<Value> order = Values.order(caseSensitive);
        return attribute == null || attribute == None.NONE
                ? order
                : Comparator.comparing(item -> attributes(item, attribute), parts(order));
    }

    /** The values of several attributes, with commas between their names. */
    private List<Value> attributes(Value item, Value attribute) {
        return attribute instanceof Text names
                ? names.split(",", -1).stream()
                        .map(name -> deepAttribute(item, name))
                        .toList()
                : List.of(deepAttribute(item, attribute));
    }

    private static Comparator<List<Value>> parts(Comparator<Value> order) {
        return (a, b) -> {
            int result = 0;
            for (int i = 0; result == 0 && i < a.size(); i++) {
                // Two missing attributes are equal, and have no order.
                result = Values.equal(a.get(i), b.get(i)) ? 0 : order.compare(a.get(i), b.get(i));
            }
            return result;
        };
    }

    private Value unique(List<Value> items, Arguments arguments) {
        boolean caseSensitive = arguments.truth(0, "case_sensitive");
        Value attribute = arguments.find(1, "attribute");
        var seen = new LinkedHashSet<Value>();
        return Sequence.lazy(items.stream()
                .filter(item -> {
                    Value key = attribute == null ? item : deepAttribute(item, attribute);
                    return seen.add(Values.hashable(caseSensitive ? key : Values.folded(key)));
                })
                .toList());
    }

    /** {@code a.b} and {@code 0} name what is inside. */
    private Value deepAttribute(Value item, Value attribute) {
        Value value = item;
        if (attribute instanceof Text path) {
            for (String name : path.chars().split("\\.", -1)) {
                value = interpreter.item(
                        value, name.matches("\\d{1,9}") ? new Int(Long.parseLong(name)) : Text.ofTemplate(name));
            }
            return value;
        }
        return interpreter.item(value, attribute);
    }

    private Value mapped(Value item, Arguments arguments) {
        Value attribute = arguments.named().get("attribute");
        if (attribute != null) {
            Value value = deepAttribute(item, attribute);
            if (!ATTRIBUTE_NAMES.containsAll(arguments.named().keySet())) {
                throw new TemplateException("map has arguments beside attribute and default");
            }
            return value instanceof Undefined ? arguments.named().getOrDefault("default", value) : value;
        }
        return apply(arguments.text(0, "filter"), item, arguments.withoutFirst(1));
    }

    private static boolean holds(Value item, Arguments arguments) {
        return arguments.positional().isEmpty()
                ? Values.truth(item)
                : Tests.test(arguments.text(0, "test"), item, arguments.withoutFirst(1));
    }

    private boolean attributeHolds(Value item, Arguments arguments) {
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
            boolean given = separators instanceof Sequence(var kind, var items) && items.size() == 2;
            itemSeparator =
                    given ? Values.string(Values.items(separators).getFirst()).chars() : indent.isEmpty() ? ", " : ",";
            keySeparator =
                    given ? Values.string(Values.items(separators).getLast()).chars() : ": ";
            sorted = arguments.truth(3, "sort_keys");
        }

        Text write(Value value) {
            return written(value);
        }

        private void write(Value value, int depth, Text.Builder out) {
            switch (value) {
                case Text text -> writeText(text, out);
                case Bool(var truth) -> out.append(truth ? "true" : "false");
                case None none -> out.append("null");
                case Int number -> out.append(Values.string(number));
                case Real(var number) ->
                    out.append(
                            Double.isNaN(number)
                                    ? "NaN"
                                    : Double.isInfinite(number)
                                            ? number > 0 ? "Infinity" : "-Infinity"
                                            : Values.real(number));
                case Sequence(var kind, var items)
                when kind == Sequence.Kind.LIST || kind.isTuple() -> {
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
                        writeText(key(entry.getKey()), out);
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

        private Text key(Value key) {
            return switch (key) {
                case Text text -> text;
                case Bool bool -> written(bool);
                case None none -> written(none);
                case Int number -> written(number);
                case Real number -> written(number);
                default -> throw new TemplateException("a value of type " + Values.type(key) + " is no key of JSON");
            };
        }

        private Text written(Value value) {
            var out = new Text.Builder();
            write(value, 1, out);
            return out.build();
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
