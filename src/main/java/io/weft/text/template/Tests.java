package io.weft.text.template;

import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.None;
import io.weft.text.template.Value.Real;
import io.weft.text.template.Value.Sequence;
import io.weft.text.template.Value.Undefined;
import java.util.Set;

/** The tests that templates may apply with {@code is}. */
final class Tests {
    private static final Set<String> NAMES = Set.of(
            ("defined undefined none string mapping sequence iterable number integer float boolean true false callable odd"
                            + " even divisibleby lower upper sameas equalto eq == ne != lt lessthan < le <= gt greaterthan >"
                            + " ge >= in filter test escaped")
                    .split(" "));

    private Tests() {}

    static boolean test(String name, Value value, Arguments arguments) {
        return switch (name) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none" -> value == None.NONE;
            case "string" -> value instanceof Text;
            case "mapping" -> value instanceof Mapping;
            case "sequence" ->
                (value instanceof Sequence some && some.kind().isIndexed())
                        || value instanceof Mapping
                        || value instanceof Text
                        || value instanceof Undefined;
            case "iterable" ->
                value instanceof Sequence
                        || value instanceof Mapping
                        || value instanceof Text
                        || value instanceof Value.Loop
                        || value instanceof Undefined;
            case "filter" -> Filters.has(Values.string(value).chars());
            case "test" -> NAMES.contains(Values.string(value).chars());
            case "escaped" -> false;
            case "number" -> value instanceof Int || value instanceof Real || value instanceof Bool;
            case "integer" -> value instanceof Int;
            case "float" -> value instanceof Real;
            case "boolean" -> value instanceof Bool;
            case "true" -> value instanceof Bool(var truth) && truth;
            case "false" -> value instanceof Bool(var truth) && !truth;
            case "callable" ->
                value instanceof Value.Function || value instanceof Value.Loop || value instanceof Undefined;
            case "odd" -> Values.equal(Values.arithmetic("%", value, new Int(2)), new Int(1));
            case "even" -> Values.equal(Values.arithmetic("%", value, new Int(2)), new Int(0));
            case "divisibleby" -> Values.equal(Values.arithmetic("%", value, arguments.get(0, "num")), new Int(0));
            case "lower" -> Methods.isLower(Values.string(value).chars());
            case "upper" -> Methods.isUpper(Values.string(value).chars());
            case "sameas" -> {
                Value other = arguments.get(0, "other");
                boolean isShared = value instanceof Sequence || value instanceof Mapping;
                yield isShared
                        ? Values.isSame(value, other)
                        : value.getClass() == other.getClass() && value.equals(other);
            }
            case "equalto", "eq", "==" -> Values.equal(value, arguments.get(0, "other"));
            case "ne", "!=" -> !Values.equal(value, arguments.get(0, "other"));
            case "lt", "lessthan", "<" -> Values.compare(value, arguments.get(0, "other")) < 0;
            case "le", "<=" -> Values.compare(value, arguments.get(0, "other")) <= 0;
            case "gt", "greaterthan", ">" -> Values.compare(value, arguments.get(0, "other")) > 0;
            case "ge", ">=" -> Values.compare(value, arguments.get(0, "other")) >= 0;
            case "in" -> Values.contains(arguments.get(0, "seq"), value);
            default -> throw new TemplateException("there is no test '" + name + "'");
        };
    }
}
