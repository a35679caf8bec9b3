package io.weft.text.template;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
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
                Value.Cycler,
                Value.Function,
                Value.Loop {
    record Int(long value) implements Value {
        @Override
        public boolean equals(Object other) {
            return other instanceof Value value && Values.isNumber(value) && Values.equal(this, value);
        }

        @Override
        public int hashCode() {
            return Double.hashCode((double) value);
        }
    }

    record Real(double value) implements Value {
        @Override
        public boolean equals(Object other) {
            return other instanceof Value value && Values.isNumber(value) && Values.equal(this, value);
        }

        @Override
        public int hashCode() {
            return Double.hashCode(value + 0.0);
        }
    }

    /** A number to Python: {@code true} is 1, as a key too. */
    record Bool(boolean value) implements Value {
        @Override
        public boolean equals(Object other) {
            return other instanceof Value value && Values.isNumber(value) && Values.equal(this, value);
        }

        @Override
        public int hashCode() {
            return Double.hashCode(value ? 1 : 0);
        }
    }

    enum None implements Value {
        NONE
    }

    /**
     * A missing variable, attribute or item: empty as a text, an error in any other use.
     *
     * @param problem the reason, for the message of that error
     */
    record Undefined(String problem) implements Value {}

    /**
     * Items in order.
     *
     * @param kind which of Python's types
     * @param items empty once the items of a {@link Kind#LAZY} sequence were taken
     */
    record Sequence(Kind kind, List<Value> items) implements Value {
        /** A list. */
        Sequence(List<Value> items) {
            this(Kind.LIST, items);
        }

        /** Python's types of sequences, by how they print. */
        enum Kind {
            LIST("[", "]"),
            TUPLE("(", ")"),
            /** A pair with the names {@code grouper} and {@code list}. */
            GROUP("(", ")"),
            RANGE("range(", ")"),
            KEYS("dict_keys([", "])"),
            VALUES("dict_values([", "])"),
            ITEMS("dict_items([", "])"),
            /** A generator: it has no length, no items by index, and its items can be taken once. */
            LAZY("<generator object ", ">");

            final String opening;
            final String closing;

            Kind(String opening, String closing) {
                this.opening = opening;
                this.closing = closing;
            }

            /** Whether items have an index. */
            boolean isIndexed() {
                return this == LIST || this == TUPLE || this == GROUP || this == RANGE;
            }

            /** Whether it is a tuple to Python. */
            boolean isTuple() {
                return this == TUPLE || this == GROUP;
            }
        }

        static Sequence tuple(List<Value> items) {
            return new Sequence(Kind.TUPLE, items);
        }

        static Sequence lazy(List<Value> items) {
            return new Sequence(Kind.LAZY, new ArrayList<>(items));
        }
    }

    record Mapping(Map<Value, Value> entries) implements Value {}

    /** The one object whose attributes a template may set. */
    record Namespace(Map<String, Value> attributes) implements Value {}

    /** Gives its items in turn, again and again. */
    record Cycler(List<Value> items, AtomicInteger next) implements Value {}

    /** A macro, method or function. */
    non-sealed interface Function extends Value {
        Value call(Arguments arguments);
    }

    /**
     * The variable {@code loop}.
     *
     * @param depth of a recursive loop; 0 for the outermost
     * @param changed the last argument of {@code loop.changed}; shared by the items
     * @param again runs a recursive loop over other items
     */
    record Loop(List<Value> items, int index, int depth, AtomicReference<@Nullable Value> changed, Function again)
            implements Value {}

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

        /** A text, where Python takes nothing else. */
        String textOnly(int place, String name) {
            if (get(place, name) instanceof Text text) {
                return text.chars();
            }
            throw new TemplateException("the argument '" + name + "' is of type " + Values.type(get(place, name)));
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

        Arguments with(String name, Value value) {
            var all = new LinkedHashMap<>(named);
            all.put(name, value);
            return new Arguments(positional, all);
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
