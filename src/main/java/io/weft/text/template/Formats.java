package io.weft.text.template;

import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.Real;
import io.weft.text.template.Value.Sequence;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Python's two notations of formats: {@code "%5.1f" % x} and {@code "{:>5.1f}".format(x)}. */
final class Formats {
    /** A template that asks for more means harm. */
    private static final int WIDTH_MOST = 10_000;

    private static final int PRECISION_USUAL = 6;
    private static final int NESTING_MOST = 2;

    private static final Pattern PERCENT = Pattern.compile(
            "%(?:\\((?<key>[^)]*)\\))?(?<flags>[-#0 +]*)(?<width>\\*|\\d+)?(?:\\.(?<precision>\\*|\\d+)?)?[hlL]?(?<kind>.)",
            Pattern.DOTALL);

    private static final Pattern SPEC = Pattern.compile(
            "(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ])?z?(?<alternate>#)?(?<zero>0)?(?<width>\\d+)?(?<group>[,_])?(?:\\.(?<precision>\\d+))?(?<kind>[bcdeEfFgGnosxX%])?",
            Pattern.DOTALL);

    private static final Pattern STEP = Pattern.compile("\\.(\\w+)|\\[([^]]+)]");

    /** How a number is laid out. */
    private record Layout(String sign, boolean alternate, char group, int precision, char kind) {}

    private Formats() {}

    /** {@code format % value}. */
    static Text percent(Text format, Value value) {
        boolean isTuple = value instanceof Sequence some && some.kind().isTuple();
        List<Value> values = isTuple ? Values.items(value) : List.of(value);
        var out = new Text.Builder();
        int next = 0;
        int start = 0;
        boolean named = false;
        Matcher match = PERCENT.matcher(format.chars());
        int at;
        while ((at = format.chars().indexOf('%', start)) >= 0) {
            if (!match.find(at) || match.start() != at) {
                throw new TemplateException("a format is incomplete");
            }
            out.append(format, start, at);
            start = match.end();
            String flags = match.group("flags");
            char kind = match.group("kind").charAt(0);
            if (kind == '%' && match.end() - match.start() == 2) {
                out.append("%");
                continue;
            }
            int[] sizes = {0, -1};
            for (int i = 0; i < sizes.length; i++) {
                String size = match.group(i == 0 ? "width" : "precision");
                sizes[i] = "*".equals(size) ? starred(at(values, next++)) : size(size, sizes[i]);
            }
            boolean hasPoint = match.group("precision") == null
                    && format.chars().substring(match.start(), match.end()).contains(".");
            int precision = hasPoint ? 0 : sizes[1];
            String key = match.group("key");
            Value item;
            if (key == null) {
                item = at(values, next++);
            } else if (value instanceof Mapping) {
                item = Values.item(value, Text.ofTemplate(key));
                if (item instanceof Value.Undefined undefined) {
                    throw Values.undefined(undefined);
                }
                named = true;
            } else {
                throw new TemplateException("a format with names needs a dictionary");
            }
            boolean left = flags.contains("-") || sizes[0] < 0;
            out.append(padded(
                    percent(kind, item, flags, precision),
                    Math.abs(sizes[0]),
                    flags.contains("0") && !left && "sra".indexOf(kind) < 0 ? '0' : ' ',
                    left ? '<' : flags.contains("0") && "sra".indexOf(kind) < 0 ? '=' : '>'));
        }
        out.append(format, start, format.chars().length());
        boolean isIndexed = value instanceof Sequence items && items.kind().isIndexed() && !isTuple;
        boolean mayHaveMore = named || isIndexed || value instanceof Mapping || value instanceof Value.Undefined;
        if (next < values.size() && !mayHaveMore) {
            throw new TemplateException("a format has fewer places than there are values");
        }
        return out.build();
    }

    private static int starred(Value size) {
        if (Math.abs(Values.integer(size)) > WIDTH_MOST) {
            throw new TemplateException("a format is wider than " + WIDTH_MOST);
        }
        return (int) Values.integer(size);
    }

    private static Value at(List<Value> values, int index) {
        if (index >= values.size()) {
            throw new TemplateException("a format has more places than there are values");
        }
        return values.get(index);
    }

    private static Text percent(char kind, Value item, String flags, int precision) {
        String sign = flags.contains("+") ? "+" : flags.contains(" ") ? " " : "-";
        Layout layout = new Layout(sign, flags.contains("#"), '\0', precision, kind);
        return switch (kind) {
            case 's' -> cut(Values.string(item), precision);
            case 'r' -> cut(Values.repr(item), precision);
            case 'a' -> cut(Values.repr(item).escaped(c -> c < 0x80), precision);
            case 'c' -> item instanceof Text one && one.length() == 1 ? one : character(Values.integer(item));
            case 'd', 'i', 'u' ->
                Text.ofTemplate(
                        whole(item instanceof Real(var number) ? (long) number : Values.integer(item), 10, layout));
            case 'o' -> Text.ofTemplate(whole(Values.integer(item), 8, layout));
            case 'x', 'X' -> Text.ofTemplate(whole(Values.integer(item), 16, layout));
            case 'e', 'E', 'f', 'F', 'g', 'G' -> Text.ofTemplate(real(Values.real(item), layout));
            default -> throw new TemplateException("a format has '%" + kind + "', which there is no rule for");
        };
    }

    /** {@code format.format(arguments)}. */
    static Text braces(Text format, Arguments arguments) {
        return new Braces(arguments).write(format, 0);
    }

    /** One call of {@code str.format}. */
    private static final class Braces {
        private final Arguments arguments;
        private int next;
        private boolean isNumbered;

        Braces(Arguments arguments) {
            this.arguments = arguments;
        }

        Text write(Text format, int nesting) {
            if (nesting == NESTING_MOST) {
                throw new TemplateException("a format nests too deeply");
            }
            var out = new Text.Builder();
            String chars = format.chars();
            for (int i = 0; i < chars.length(); ) {
                char c = chars.charAt(i);
                boolean twice = i + 1 < chars.length() && chars.charAt(i + 1) == c;
                if (c == '}' && !twice) {
                    throw new TemplateException("a format has '}' without '{'");
                }
                if ((c != '{' && c != '}') || twice) {
                    out.append(format, i, i + 1);
                    i += c == '{' || c == '}' ? 2 : 1;
                    continue;
                }
                int end = closing(chars, i + 1);
                out.append(field(format.between(i + 1, end), nesting));
                i = end + 1;
            }
            return out.build();
        }

        private static int closing(String chars, int from) {
            int open = 1;
            for (int i = from; i < chars.length(); i++) {
                open += chars.charAt(i) == '{' ? 1 : chars.charAt(i) == '}' ? -1 : 0;
                if (open == 0) {
                    return i;
                }
            }
            throw new TemplateException("a format has '{' without '}'");
        }

        private Text field(Text field, int nesting) {
            String chars = field.chars();
            int colon = chars.indexOf(':');
            String name = colon < 0 ? chars : chars.substring(0, colon);
            int mark = name.indexOf('!');
            String conversion = mark < 0 ? "" : name.substring(mark + 1);
            Value value = value(mark < 0 ? name : name.substring(0, mark));
            Text spec = colon < 0 ? Text.EMPTY : write(field.from(colon + 1), nesting + 1);
            Value converted = switch (conversion) {
                case "" -> value;
                case "s" -> Values.string(value);
                case "r" -> Values.repr(value);
                case "a" -> Values.repr(value).escaped(c -> c < 0x80);
                default -> throw new TemplateException("a format does not know the conversion '" + conversion + "'");
            };
            return formatted(converted, spec.chars());
        }

        private Value value(String name) {
            Matcher first = Pattern.compile("[^.\\[]*").matcher(name);
            String start = first.lookingAt() ? first.group() : "";
            boolean isNumber = start.matches("\\d{1,4}");
            isNumbered |= isNumber;
            if (isNumbered && (next > 0 || start.isEmpty())) {
                throw new TemplateException("format() has fields with and without numbers");
            }
            Value value = start.isEmpty() || start.matches("\\d{1,4}")
                    ? at(arguments.positional(), start.isEmpty() ? next++ : Integer.parseInt(start))
                    : arguments.named().get(start);
            if (value == null) {
                throw new TemplateException("format() is not given '" + start + "'");
            }
            Matcher steps = STEP.matcher(name);
            for (int at = start.length(); at < name.length(); at = steps.end()) {
                if (!steps.find(at) || steps.start() != at) {
                    throw new TemplateException("format() does not know the field '" + name + "'");
                }
                boolean isAttribute = steps.group(1) != null;
                String item = isAttribute ? steps.group(1) : steps.group(2);
                boolean isIndex = !isAttribute && item.matches("\\d{1,9}");
                value = Values.item(value, isIndex ? new Int(Long.parseLong(item)) : Text.ofTemplate(item));
            }
            return value;
        }
    }

    /** Python's {@code format(value, spec)}. */
    private static Text formatted(Value value, String spec) {
        if (spec.isEmpty()) {
            return Values.string(value);
        }
        Matcher match = SPEC.matcher(spec);
        boolean isNumber = value instanceof Int || value instanceof Bool || value instanceof Real;
        if (!match.matches() || !(isNumber || value instanceof Text)) {
            throw new TemplateException(
                    "format() has '" + spec + "', which is not for a value of type " + Values.type(value));
        }
        String kind = match.group("kind") == null ? "" : match.group("kind");
        boolean zero = match.group("zero") != null;
        String fill = match.group("fill") == null ? zero ? "0" : " " : match.group("fill");
        String align = match.group("align") == null ? isNumber ? zero ? "=" : ">" : "<" : match.group("align");
        Layout layout = new Layout(
                match.group("sign") == null ? "-" : match.group("sign"),
                match.group("alternate") != null,
                match.group("group") == null ? '\0' : match.group("group").charAt(0),
                size(match.group("precision"), -1),
                kind.isEmpty() ? '\0' : kind.charAt(0));
        Text body;
        if (value instanceof Text text) {
            if ((!kind.isEmpty() && !kind.equals("s")) || (align.equals("=") && match.group("align") != null)) {
                throw new TemplateException("format() has '" + spec + "', which is not for a text");
            }
            body = cut(text, layout.precision());
        } else {
            body = number(value, spec, layout);
        }
        return padded(body, size(match.group("width"), 0), fill.charAt(0), align.charAt(0));
    }

    private static Text number(Value value, String spec, Layout layout) {
        boolean isWhole = !(value instanceof Real);
        return switch (layout.kind()) {
            case 'b', 'o', 'x', 'X', 'd', 'n', 'c', '\0' -> {
                if (isWhole && layout.precision() < 0) {
                    long number = Values.integer(value);
                    yield switch (layout.kind()) {
                        case 'c' -> character(number);
                        case 'b' -> Text.ofTemplate(whole(number, 2, layout));
                        case 'o' -> Text.ofTemplate(whole(number, 8, layout));
                        case 'x', 'X' -> Text.ofTemplate(whole(number, 16, layout));
                        default -> Text.ofTemplate(whole(number, 10, layout));
                    };
                }
                if (isWhole || (layout.kind() != '\0' && layout.kind() != 'n')) {
                    throw new TemplateException(
                            "format() has '" + spec + "', which is not for a value of type " + Values.type(value));
                }
                yield Text.ofTemplate(real(Values.real(value), layout));
            }
            case 's' -> throw new TemplateException("format() has '" + spec + "', which is for a text");
            default -> Text.ofTemplate(real(Values.real(value), layout));
        };
    }

    private static int size(@Nullable String digits, int otherwise) {
        if (digits == null) {
            return otherwise;
        }
        if (digits.length() > 5 || Integer.parseInt(digits) > WIDTH_MOST) {
            throw new TemplateException("a format is wider than " + WIDTH_MOST);
        }
        return Integer.parseInt(digits);
    }

    private static Text cut(Text text, int precision) {
        return precision < 0 || precision >= text.length() ? text : text.slice(0, precision);
    }

    private static Text character(long codePoint) {
        if (codePoint < 0 || codePoint > Character.MAX_CODE_POINT) {
            throw new TemplateException("there is no character " + codePoint);
        }
        return Text.ofTemplate(Character.toString((int) codePoint));
    }

    private static String whole(long number, int radix, Layout layout) {
        String digits = Long.toString(number, radix).replace("-", "");
        String padded = "0".repeat(Math.max(0, layout.precision() - digits.length())) + digits;
        String prefix = !layout.alternate() ? "" : radix == 16 ? "0x" : radix == 8 ? "0o" : radix == 2 ? "0b" : "";
        String text = prefix + grouped(padded, layout.group(), radix == 10 ? 3 : 4);
        return sign(number < 0, layout) + (layout.kind() == 'X' ? text.toUpperCase(Locale.ROOT) : text);
    }

    private static String sign(boolean negative, Layout layout) {
        return negative ? "-" : layout.sign().equals("-") ? "" : layout.sign();
    }

    private static String grouped(String digits, char group, int size) {
        if (group == '\0') {
            return digits;
        }
        var out = new StringBuilder(digits);
        for (int i = digits.length() - size; i > 0; i -= size) {
            out.insert(i, group);
        }
        return out.toString();
    }

    private static String real(double number, Layout layout) {
        boolean negative = number < 0 || 1 / number < 0;
        char kind = layout.kind();
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            String name = Values.real(Math.abs(number)) + (kind == '%' ? "%" : "");
            return sign(negative, layout) + (Character.isUpperCase(kind) ? name.toUpperCase(Locale.ROOT) : name);
        }
        int precision = layout.precision() < 0 ? PRECISION_USUAL : layout.precision();
        BigDecimal exact = new BigDecimal(Math.abs(number));
        String text = switch (Character.toLowerCase(kind)) {
            case 'f' -> exact.setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
            case '%' ->
                new BigDecimal(Math.abs(number) * 100)
                                .setScale(precision, RoundingMode.HALF_EVEN)
                                .toPlainString() + "%";
            case 'e' -> scientific(exact, precision);
            case 'g' -> general(exact, Math.max(1, precision), layout.alternate(), false);
            default ->
                layout.precision() < 0
                        ? Values.real(Math.abs(number))
                        : general(exact, Math.max(1, precision), layout.alternate(), true);
        };
        int point = 0;
        while (point < text.length() && Character.isDigit(text.charAt(point))) {
            point++;
        }
        String whole = grouped(text.substring(0, point), layout.group(), 3) + text.substring(point);
        return sign(negative, layout) + (kind == 'E' || kind == 'G' ? whole.toUpperCase(Locale.ROOT) : whole);
    }

    private static String scientific(BigDecimal exact, int precision) {
        BigDecimal rounded = exact.round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
        int exponent = rounded.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
        String digits = rounded.movePointLeft(exponent)
                .setScale(precision, RoundingMode.HALF_EVEN)
                .toPlainString();
        return digits + "e" + (exponent < 0 ? "-" : "+") + "%02d".formatted(Math.abs(exponent));
    }

    /** {@code g}: so many digits that matter, without zeros at the end. */
    private static String general(BigDecimal exact, int precision, boolean keepsZeros, boolean likeRepr) {
        BigDecimal rounded = exact.round(new MathContext(precision, RoundingMode.HALF_EVEN));
        int exponent = rounded.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
        boolean isPlain = exponent >= -4 && exponent < (likeRepr ? precision - 1 : precision);
        String text = isPlain
                ? rounded.setScale(Math.max(0, precision - 1 - exponent), RoundingMode.HALF_EVEN)
                        .toPlainString()
                : scientific(exact, precision - 1);
        if (keepsZeros) {
            return text;
        }
        int e = text.indexOf('e');
        String digits = e < 0 ? text : text.substring(0, e);
        if (digits.contains(".")) {
            digits = digits.replaceFirst("0+$", "").replaceFirst("\\.$", "");
        }
        return digits + (likeRepr && isPlain && !digits.contains(".") ? ".0" : "") + (e < 0 ? "" : text.substring(e));
    }

    /** @param align as in a specification: left, right, centred, or after the sign */
    static Text padded(Text text, int width, char fill, char align) {
        int missing = width - text.length();
        if (missing <= 0) {
            return text;
        }
        String chars = text.chars();
        int before = switch (align) {
            case '<' -> 0;
            case '^' -> missing / 2;
            default -> missing;
        };
        int signs = 0;
        if (align == '=') {
            signs = !chars.isEmpty() && "+- ".indexOf(chars.charAt(0)) >= 0 ? 1 : 0;
            boolean isPrefixed = chars.length() > signs + 1
                    && chars.charAt(signs) == '0'
                    && "xXobOB".indexOf(chars.charAt(signs + 1)) >= 0;
            signs += isPrefixed ? 2 : 0;
        }
        return new Text.Builder()
                .append(text, 0, signs)
                .append(String.valueOf(fill).repeat(before))
                .append(text, signs, chars.length())
                .append(String.valueOf(fill).repeat(missing - before))
                .build();
    }
}
