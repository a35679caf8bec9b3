package io.weft.text.template;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** What a template computes with: Python's values, as far as templates see them. */
sealed interface Value
        permits Text,
                Value.Int,
                Value.Real,
                Value.Bool,
                Value.None,
                Value.Undefined,
                Value.Sequence,
                Value.Mapping,
                Value.Namespace,
                Value.Function,
                Value.Loop {
    record Int(long value) implements Value {}

    record Real(double value) implements Value {}

    record Bool(boolean value) implements Value {}

    enum None implements Value {
        NONE
    }

    /**
     * A missing variable, attribute or item: empty as a text, an error in any other use.
     *
     * @param problem the reason, for the message of that error
     */
    record Undefined(String problem) implements Value {}

    /** A list, or a tuple. */
    record Sequence(List<Value> items) implements Value {}

    record Mapping(Map<Value, Value> entries) implements Value {}

    /** The one object whose attributes a template may set. */
    record Namespace(Map<String, Value> attributes) implements Value {}

    /** A macro, method or function. */
    non-sealed interface Function extends Value {
        Value call(Arguments arguments);
    }

    /**
     * The variable {@code loop}.
     *
     * @param changed the last argument of {@code loop.changed}; shared by the items
     */
    record Loop(List<Value> items, int index, AtomicReference<@Nullable Value> changed) implements Value {}

    /** The arguments of a call. */
    record Arguments(List<Value> positional, Map<String, Value> named) {
        static final Arguments NONE = new Arguments(List.of(), Map.of());

        /** The argument at an index, or with a name; null if there is none. */
        @Nullable
        Value find(int place, String name) {
            return place < positional.size() ? positional.get(place) : named.get(name);
        }

        Value get(int place, String name) {
            Value value = find(place, name);
            if (value == null) {
                throw new TemplateException("the argument '" + name + "' is missing");
            }
            return value;
        }

        Value get(int place, String name, Value otherwise) {
            Value value = find(place, name);
            return value == null ? otherwise : value;
        }

        String text(int place, String name) {
            return Values.string(get(place, name)).chars();
        }

        long integer(int place, String name, long otherwise) {
            Value value = find(place, name);
            return value == null || value == None.NONE ? otherwise : Values.integer(value);
        }

        boolean truth(int place, String name) {
            Value value = find(place, name);
            return value != null && Values.truth(value);
        }

        Arguments withoutFirst(int count) {
            return new Arguments(positional.subList(Math.min(count, positional.size()), positional.size()), named);
        }
    }

    /** Converts a value from the template's side. */
    static Value ofTemplate(@Nullable Object object) {
        return of(object, Text::ofTemplate);
    }

    /** Converts a value from the caller: all text in it counts as the caller's. */
    static Value ofCaller(@Nullable Object object) {
        return of(object, Text::ofCaller);
    }

    private static Value of(@Nullable Object object, java.util.function.Function<String, Text> text) {
        return switch (object) {
            case null -> None.NONE;
            case CharSequence chars -> text.apply(chars.toString());
            case Boolean bool -> new Bool(bool);
            case Integer number -> new Int(number);
            case Long number -> new Int(number);
            case Number number -> new Real(number.doubleValue());
            case Map<?, ?> map -> {
                var entries = new LinkedHashMap<Value, Value>();
                map.forEach((key, value) -> entries.put(of(key, text), of(value, text)));
                yield new Mapping(entries);
            }
            case Collection<?> collection -> {
                var items = new ArrayList<Value>();
                collection.forEach(item -> items.add(of(item, text)));
                yield new Sequence(items);
            }
            default -> text.apply(object.toString());
        };
    }
}
