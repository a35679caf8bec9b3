package io.weft.text.template;

import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.Namespace;
import io.weft.text.template.Value.None;
import io.weft.text.template.Value.Real;
import io.weft.text.template.Value.Sequence;
import io.weft.text.template.Value.Undefined;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Python's operations on values. */
final class Values {
    private static final Text TRUE = Text.ofTemplate("True");
    private static final Text FALSE = Text.ofTemplate("False");
    private static final Text NONE = Text.ofTemplate("None");

    private Values() {}

    static boolean truth(Value value) {
        return switch (value) {
            case Bool(var truth) -> truth;
            case Int(var number) -> number != 0;
            case Real(var number) -> number != 0;
            case Text text -> !text.isEmpty();
            case Sequence(var kind, var items) -> kind == Sequence.Kind.LAZY || !items.isEmpty();
            case Mapping(var entries) -> !entries.isEmpty();
            case None none -> false;
            case Undefined undefined -> false;
            case Namespace namespace -> true;
            case Value.Function function -> true;
            case Value.Loop loop -> true;
            case Value.Cycler cycler -> true;
        };
    }

    /** The name of a value's type in messages. */
    static String type(Value value) {
        return switch (value) {
            case Bool bool -> "bool";
            case Int number -> "int";
            case Real number -> "float";
            case Text text -> "str";
            case Sequence some ->
                switch (some.kind()) {
                    case LIST -> "list";
                    case TUPLE, GROUP -> "tuple";
                    case RANGE -> "range";
                    case KEYS, VALUES, ITEMS -> "view of a dict";
                    case LAZY -> "generator";
                };
            case Mapping mapping -> "dict";
            case None none -> "None";
            case Undefined undefined -> "undefined value";
            case Namespace namespace -> "namespace";
            case Value.Function function -> "function";
            case Value.Loop loop -> "loop";
            case Value.Cycler cycler -> "cycler";
        };
    }

    static TemplateException undefined(Undefined undefined) {
        return new TemplateException(undefined.problem());
    }

    /** The printed form of a value. */
    static Text string(Value value) {
        return switch (value) {
            case Text text -> text;
            case Bool(var truth) -> truth ? TRUE : FALSE;
            case Int(var number) -> Text.ofTemplate(Long.toString(number));
            case Real(var number) -> Text.ofTemplate(real(number));
            case None none -> NONE;
            case Undefined undefined -> Text.EMPTY;
            case Sequence sequence -> repr(sequence);
            case Mapping mapping -> repr(mapping);
            case Namespace(var attributes) -> {
                var entries = new LinkedHashMap<Value, Value>();
                attributes.forEach((name, item) -> entries.put(Text.ofTemplate(name), item));
                yield new Text.Builder()
                        .append("<Namespace ")
                        .append(repr(new Mapping(entries)))
                        .append(">")
                        .build();
            }
            case Value.Function function -> Text.ofTemplate("<function>");
            case Value.Loop loop ->
                Text.ofTemplate("<LoopContext " + (loop.index() + 1) + "/"
                        + loop.items().size() + ">");
            case Value.Cycler cycler -> Text.ofTemplate("<cycler>");
        };
    }

    /** Python's {@code repr} of a float: the shortest text that reads as the same, exponents outside 1e-4 to 1e16. */
    static String real(double number) {
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            return Double.isNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
        }
        double size = Math.abs(number);
        if (size != 0 && (size < 1e-4 || size >= 1e16)) {
            String[] parts = Double.toString(number).split("E", 2);
            int exponent = Integer.parseInt(parts[1]);
            String sign = exponent < 0 ? "-" : "+";
            return parts[0].replaceFirst("\\.0$", "") + "e" + sign + "%02d".formatted(Math.abs(exponent));
        }
        if (size == 0) {
            return Double.toString(number);
        }
        String plain =
                new BigDecimal(Double.toString(number)).stripTrailingZeros().toPlainString();
        return plain.contains(".") ? plain : plain + ".0";
    }

    /** The arguments of a range with these items. */
    private static List<Value> bounds(List<Value> range) {
        long first = range.isEmpty() ? 0 : integer(range.getFirst());
        long step = range.size() < 2 ? 1 : integer(range.get(1)) - first;
        long end = range.isEmpty() ? 0 : integer(range.getLast()) + step;
        return step == 1 ? List.of(new Int(first), new Int(end)) : List.of(new Int(first), new Int(end), new Int(step));
    }

    static Text repr(Value value) {
        return switch (value) {
            case Text text -> quoted(text);
            case Sequence(var kind, var items) -> {
                var out = new Text.Builder().append(kind.opening);
                String between = "";
                for (Value item : kind == Sequence.Kind.RANGE ? bounds(items) : items) {
                    out.append(between).append(repr(item));
                    between = ", ";
                }
                yield out.append(kind.isTuple() && items.size() == 1 ? "," : "")
                        .append(kind.closing)
                        .build();
            }
            case Mapping(var entries) -> {
                var out = new Text.Builder().append("{");
                String between = "";
                for (Map.Entry<Value, Value> entry : entries.entrySet()) {
                    out.append(between)
                            .append(repr(entry.getKey()))
                            .append(": ")
                            .append(repr(entry.getValue()));
                    between = ", ";
                }
                yield out.append("}").build();
            }
            case Undefined undefined -> Text.ofTemplate("Undefined");
            default -> string(value);
        };
    }

    private static Text quoted(Text text) {
        String quote = text.chars().contains("'") && !text.chars().contains("\"") ? "\"" : "'";
        Text escaped = text.replaced("\\", Text.ofTemplate("\\\\"), -1)
                .replaced("\n", Text.ofTemplate("\\n"), -1)
                .replaced("\r", Text.ofTemplate("\\r"), -1)
                .replaced("\t", Text.ofTemplate("\\t"), -1)
                .escaped(Text::isPrintable);
        if (quote.equals("'")) {
            escaped = escaped.replaced("'", Text.ofTemplate("\\'"), -1);
        }
        return new Text.Builder().append(quote).append(escaped).append(quote).build();
    }

    /** The items of a loop over a value. */
    static List<Value> items(Value value) {
        return switch (value) {
            case Sequence(var kind, var items)
            when kind == Sequence.Kind.LAZY -> {
                List<Value> taken = new ArrayList<>(items);
                items.clear();
                yield taken;
            }
            case Sequence(var kind, var items) -> items;
            case Value.Cycler cycler -> throw new TemplateException("a cycler has no end");
            case Mapping(var entries) -> new ArrayList<>(entries.keySet());
            case Text text -> text.letters();
            case Undefined undefined -> List.of();
            default -> throw new TemplateException("a value of type " + type(value) + " is no list");
        };
    }

    static Value pair(Map.Entry<Value, Value> entry) {
        return Sequence.tuple(List.of(entry.getKey(), entry.getValue()));
    }

    static long length(Value value) {
        if (value instanceof Sequence some && some.kind() == Sequence.Kind.LAZY) {
            throw new TemplateException("a generator has no length");
        }
        return value instanceof Text text ? text.length() : items(value).size();
    }

    private static Optional<Number> number(Value value) {
        return switch (value) {
            case Int(var number) -> Optional.of(number);
            case Bool(var truth) -> Optional.of(truth ? 1L : 0L);
            case Real(var number) -> Optional.of(number);
            default -> Optional.empty();
        };
    }

    static boolean isNumber(Value value) {
        return number(value).isPresent();
    }

    static long integer(Value value) {
        if (number(value).orElse(null) instanceof Long integer) {
            return integer;
        }
        throw wrong(value, "an integer");
    }

    static double real(Value value) {
        return number(value).orElseThrow(() -> wrong(value, "a number")).doubleValue();
    }

    private static TemplateException wrong(Value value, String wanted) {
        return value instanceof Undefined undefined
                ? undefined(undefined)
                : new TemplateException("a value of type " + type(value) + " is not " + wanted);
    }

    /** Whether two values are one object. */
    @SuppressWarnings("ReferenceEquality") // that is the question
    static boolean isSame(Value left, Value right) {
        return left == right;
    }

    static boolean equal(Value left, Value right) {
        Optional<Number> leftNumber = number(left);
        Optional<Number> rightNumber = number(right);
        if (leftNumber.isPresent() && rightNumber.isPresent()) {
            boolean exact = !(left instanceof Real) && !(right instanceof Real);
            return exact ? integer(left) == integer(right) : real(left) == real(right);
        }
        if (left instanceof Sequence(var kind, var a) && right instanceof Sequence(var other, var b)) {
            if (kind == Sequence.Kind.LAZY || other == Sequence.Kind.LAZY) {
                return isSame(left, right);
            }
            boolean same = a.size() == b.size() && (kind == other || (kind.isTuple() && other.isTuple()));
            for (int i = 0; same && i < a.size(); i++) {
                same = equal(a.get(i), b.get(i));
            }
            return same;
        }
        if (left instanceof Mapping(var a) && right instanceof Mapping(var b)) {
            return a.size() == b.size()
                    && a.entrySet().stream().allMatch(entry -> {
                        Value other = b.get(entry.getKey());
                        return other != null && equal(entry.getValue(), other);
                    });
        }
        if (left instanceof Undefined && right instanceof Undefined) {
            return true;
        }
        if (left instanceof Namespace) {
            return isSame(left, right);
        }
        return left.equals(right);
    }

    static int compare(Value left, Value right) {
        if (left instanceof Text a && right instanceof Text b) {
            return a.compareTo(b);
        }
        if (left instanceof Sequence(var kind, var a)
                && right instanceof Sequence(var other, var b)
                && canJoin(kind)
                && canJoin(other)
                && kind.isTuple() == other.isTuple()) {
            for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
                if (!equal(a.get(i), b.get(i))) {
                    return compare(a.get(i), b.get(i));
                }
            }
            return Integer.compare(a.size(), b.size());
        }
        for (Value side : List.of(left, right)) {
            if (side instanceof Undefined undefined) {
                throw undefined(undefined);
            }
        }
        if (number(left).isEmpty() || number(right).isEmpty()) {
            throw new TemplateException(
                    "values of types " + type(left) + " and " + type(right) + " cannot be compared");
        }
        return left instanceof Real || right instanceof Real
                ? Double.compare(real(left), real(right))
                : Long.compare(integer(left), integer(right));
    }

    /** Sorts texts without regard to case, as Jinja does unless it is told otherwise. */
    static Comparator<Value> order(boolean caseSensitive) {
        return (a, b) -> compare(caseSensitive ? a : folded(a), caseSensitive ? b : folded(b));
    }

    static Value folded(Value value) {
        return value instanceof Text text ? text.mapped(chars -> chars.toLowerCase(java.util.Locale.ROOT)) : value;
    }

    static boolean contains(Value container, Value wanted) {
        return switch (container) {
            case Text text when wanted instanceof Text part -> text.chars().contains(part.chars());
            case Mapping(var entries) -> entries.containsKey(hashable(wanted));
            case Sequence sequence -> items(sequence).stream().anyMatch(item -> equal(item, wanted));
            case Undefined undefined -> false;
            default ->
                throw new TemplateException(
                        "'in' is not for a value of type " + type(wanted) + " and one of type " + type(container));
        };
    }

    private static boolean canJoin(Sequence.Kind kind) {
        return kind == Sequence.Kind.LIST || kind.isTuple();
    }

    private static boolean canRepeat(Value value) {
        return value instanceof Text || (value instanceof Sequence some && canJoin(some.kind()));
    }

    /** A value as a key: lists and dictionaries can be none. */
    static Value hashable(Value key) {
        boolean isHashable = switch (key) {
            case Mapping mapping -> false;
            case Sequence(var kind, var items) -> {
                items.forEach(item -> {
                    if (kind.isTuple()) {
                        hashable(item);
                    }
                });
                yield kind != Sequence.Kind.LIST;
            }
            default -> true;
        };
        if (!isHashable) {
            throw new TemplateException("a value of type " + type(key) + " cannot be a key");
        }
        return key;
    }

    /** The entries of a dictionary, or of a list of pairs. */
    static Map<Value, Value> entries(Value value) {
        if (value instanceof Mapping(var entries)) {
            return entries;
        }
        if (value instanceof Undefined undefined) {
            throw undefined(undefined);
        }
        var entries = new LinkedHashMap<Value, Value>();
        for (Value item : items(value)) {
            List<Value> pair = items(item);
            if (pair.size() != 2) {
                throw new TemplateException("a dictionary is made of pairs, not of " + pair.size() + " values");
            }
            entries.put(hashable(pair.getFirst()), pair.getLast());
        }
        return entries;
    }

    static Value arithmetic(String operator, Value left, Value right) {
        if (operator.equals("~")) {
            return string(left).plus(string(right));
        }
        if (operator.equals("%") && left instanceof Text format) {
            return Formats.percent(format, right);
        }
        for (Value side : List.of(left, right)) {
            if (side instanceof Undefined undefined) {
                throw undefined(undefined);
            }
        }
        if (operator.equals("+") && left instanceof Text a && right instanceof Text b) {
            return a.plus(b);
        }
        if (operator.equals("+")
                && left instanceof Sequence(var kind, var a)
                && right instanceof Sequence(var other, var b)
                && canJoin(kind)
                && canJoin(other)
                && kind.isTuple() == other.isTuple()) {
            var items = new ArrayList<>(a);
            items.addAll(b);
            return kind.isTuple() ? Sequence.tuple(items) : new Sequence(items);
        }
        if (operator.equals("*") && canRepeat(left)) {
            return repeated(left, integer(right));
        }
        if (operator.equals("*") && canRepeat(right)) {
            return repeated(right, integer(left));
        }
        Optional<Number> a = number(left);
        Optional<Number> b = number(right);
        if (a.isEmpty() || b.isEmpty()) {
            throw new TemplateException(
                    "'" + operator + "' is not for values of types " + type(left) + " and " + type(right));
        }
        try {
            return a.get() instanceof Long m && b.get() instanceof Long n && !operator.equals("/")
                    ? integers(operator, m, n)
                    : reals(operator, a.get().doubleValue(), b.get().doubleValue());
        } catch (ArithmeticException e) {
            throw new TemplateException("'" + operator + "' of " + a.get() + " and " + b.get() + " has no result");
        }
    }

    private static Value integers(String operator, long a, long b) {
        return switch (operator) {
            case "+" -> new Int(Math.addExact(a, b));
            case "-" -> new Int(Math.subtractExact(a, b));
            case "*" -> new Int(Math.multiplyExact(a, b));
            case "//" -> new Int(Math.floorDiv(a, b));
            case "%" -> new Int(Math.floorMod(a, b));
            default -> {
                double power = Math.pow((double) a, (double) b);
                if (b < 0 && a == 0) {
                    throw new ArithmeticException();
                }
                if (b < 0) {
                    yield new Real(power);
                }
                if (Math.abs(power) > 1L << 52) {
                    throw new ArithmeticException();
                }
                yield new Int((long) power);
            }
        };
    }

    private static Value reals(String operator, double a, double b) {
        boolean divides = operator.equals("/") || operator.equals("//") || operator.equals("%");
        boolean isNoPower = (a == 0 && b < 0) || (a < 0 && b != Math.rint(b));
        if ((b == 0 && divides) || (operator.equals("**") && isNoPower)) {
            throw new ArithmeticException();
        }
        return new Real(
                switch (operator) {
                    case "+" -> a + b;
                    case "-" -> a - b;
                    case "*" -> a * b;
                    case "/" -> a / b;
                    case "//" -> Math.floor(a / b);
                    case "%" -> a - b * Math.floor(a / b);
                    default -> Math.pow(a, b);
                });
    }

    private static Value repeated(Value value, long count) {
        if (count * length(value) > Interpreter.ITEMS_MAX && value instanceof Sequence) {
            throw new TemplateException("a list becomes longer than " + Interpreter.ITEMS_MAX);
        }
        var items = new ArrayList<Value>();
        var text = new Text.Builder();
        for (long i = 0; i < count && length(value) > 0; i++) {
            if (value instanceof Text part) {
                text.append(part);
            } else {
                items.addAll(items(value));
            }
        }
        if (value instanceof Text) {
            return text.build();
        }
        return value instanceof Sequence some && some.kind().isTuple() ? Sequence.tuple(items) : new Sequence(items);
    }

    /** Python's subscript; a missing item is undefined. */
    static Value item(Value object, Value key) {
        return switch (object) {
            case Mapping(var entries) -> {
                Value value = entries.get(key);
                yield value == null ? missing(object, string(key).chars()) : value;
            }
            case Sequence(var kind, var items)
            when kind.isIndexed() && number(key).orElse(null) instanceof Long index -> {
                long place = index < 0 ? index + items.size() : index;
                yield place >= 0 && place < items.size()
                        ? items.get((int) place)
                        : missing(object, Long.toString(index));
            }
            case Text text
            when number(key).orElse(null) instanceof Long index -> {
                long place = index < 0 ? index + text.length() : index;
                yield place >= 0 && place < text.length()
                        ? text.slice((int) place, (int) place + 1)
                        : missing(object, Long.toString(index));
            }
            case Undefined undefined -> throw undefined(undefined);
            default -> missing(object, string(key).chars());
        };
    }

    static Undefined missing(Value object, String name) {
        return new Undefined("a value of type " + type(object) + " has no '" + name + "'");
    }

    /** Python's slice. */
    static Value slice(Value object, Optional<Value> start, Optional<Value> stop, Optional<Value> step) {
        if (object instanceof Undefined undefined) {
            throw undefined(undefined);
        }
        boolean isIndexed = object instanceof Sequence some && some.kind().isIndexed();
        if (!isIndexed && !(object instanceof Text)) {
            throw new TemplateException("a value of type " + type(object) + " has no slices");
        }
        long by = step.map(Values::integerOrNone).flatMap(value -> value).orElse(1L);
        if (by == 0) {
            throw new TemplateException("a slice has step 0");
        }
        int length = (int) length(object);
        int low = by > 0 ? 0 : -1;
        int high = by > 0 ? length : length - 1;
        int from = start.flatMap(Values::integerOrNone)
                .map(value -> placed(value, length, low, high))
                .orElse(by > 0 ? low : high);
        int to = stop.flatMap(Values::integerOrNone)
                .map(value -> placed(value, length, low, high))
                .orElse(by > 0 ? high : low);
        if (object instanceof Text text && by == 1) {
            return from < to ? text.slice(from, to) : Text.EMPTY;
        }
        List<Value> items = items(object);
        var sliced = new ArrayList<Value>();
        for (long i = from; by > 0 ? i < to : i > to; i += by) {
            sliced.add(items.get((int) i));
        }
        if (object instanceof Text) {
            return joined(sliced, Text.EMPTY);
        }
        return object instanceof Sequence some && some.kind().isTuple() ? Sequence.tuple(sliced) : new Sequence(sliced);
    }

    private static Optional<Long> integerOrNone(Value value) {
        return value == None.NONE ? Optional.empty() : Optional.of(integer(value));
    }

    private static int placed(long place, int length, int low, int high) {
        return Math.clamp(place < 0 ? place + length : place, low, high);
    }

    static Text joined(List<Value> items, Text between) {
        var out = new Text.Builder();
        for (int i = 0; i < items.size(); i++) {
            if (i > 0) {
                out.append(between);
            }
            out.append(string(items.get(i)));
        }
        return out.build();
    }

    static Value call(Value function, Arguments arguments) {
        return switch (function) {
            case Value.Function callable -> callable.call(arguments);
            case Value.Loop loop -> loop.again().call(arguments);
            case Undefined undefined -> throw undefined(undefined);
            default -> throw new TemplateException("a value of type " + type(function) + " cannot be called");
        };
    }
}
