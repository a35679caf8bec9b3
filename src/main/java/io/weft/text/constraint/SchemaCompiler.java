package io.weft.text.constraint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.text.constraint.Grammar.Rule;
import io.weft.text.constraint.Grammar.State;
import io.weft.text.constraint.Numbers.Bound;
import io.weft.text.constraint.Numbers.Range;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Makes a grammar of a JSON schema: a rule for each object and array in it, and within rules an automaton for each
 * string and number.
 */
final class SchemaCompiler {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final CharAutomaton TRUE = CharAutomaton.texts(List.of("true"));
    private static final CharAutomaton FALSE = CharAutomaton.texts(List.of("false"));
    private static final CharAutomaton NULL = CharAutomaton.texts(List.of("null"));

    private final SchemaMerger schemas;
    private final Grammar grammar;
    private final JsonNode schema;
    private final IdentityHashMap<ObjectNode, Rule> objects = new IdentityHashMap<>();
    private final IdentityHashMap<ObjectNode, Rule> arrays = new IdentityHashMap<>();
    private final IdentityHashMap<ObjectNode, CharAutomaton> strings = new IdentityHashMap<>();
    private final IdentityHashMap<ObjectNode, CharAutomaton> numbers = new IdentityHashMap<>();
    private final IdentityHashMap<ObjectNode, CharAutomaton> integers = new IdentityHashMap<>();

    private final Work work;

    /** Rules whose bodies are still to be made: a queue, since rules call one another. */
    private final Queue<Runnable> open = new ArrayDeque<>();

    /** @throws ConstraintException if the schema is wrong, or has what is not enforced */
    SchemaCompiler(JsonNode schema, Grammar grammar, SchemaWork work) {
        this.schemas = new SchemaMerger(schema, work.merging());
        this.work = work.compiling();
        this.schema = schema;
        this.grammar = grammar;
    }

    /**
     * Adds the values of the schema between two states of the first rule.
     *
     * @throws ConstraintException if the schema is wrong, or has what is not enforced
     */
    void add(State from, State to) {
        value(schema, from, to);
        while (!open.isEmpty()) {
            open.remove().run();
        }
    }

    /** Adds all values of a schema between two states. */
    private void value(JsonNode schema, State from, State to) {
        for (ObjectNode alternative : schemas.alternatives(schema)) {
            Optional<List<JsonNode>> values = schemas.values(alternative);
            if (values.isPresent()) {
                listed(alternative, values.get(), from, to);
            } else {
                types(alternative).forEach(type -> ofType(alternative, type, from, to));
            }
        }
    }

    /** What {@code type} says; else the types that the other keywords are about; else all. */
    private Set<String> types(ObjectNode schema) {
        if (schema.has("type")) {
            return schemas.types(schema);
        }
        var implied = new LinkedHashSet<String>();
        Map.of(
                        "object", SchemaMerger.OBJECT,
                        "array", SchemaMerger.ARRAY,
                        "string", SchemaMerger.STRING,
                        "number", SchemaMerger.NUMBER)
                .forEach((type, keywords) -> {
                    if (keywords.stream().anyMatch(schema::has)) {
                        implied.add(type);
                    }
                });
        return implied.isEmpty() ? Set.of("object", "array", "string", "number", "boolean", "null") : implied;
    }

    private void ofType(ObjectNode schema, String type, State from, State to) {
        switch (type) {
            case "object" -> grammar.call(from, objectRule(schema), to);
            case "array" -> grammar.call(from, arrayRule(schema), to);
            case "string" -> grammar.string(from, string(schema), to);
            case "number" -> grammar.text(from, number(schema, false), to);
            case "integer" -> grammar.text(from, number(schema, true), to);
            case "boolean" -> {
                grammar.text(from, TRUE, to);
                grammar.text(from, FALSE, to);
            }
            case "null" -> grammar.text(from, NULL, to);
            default -> throw new IllegalStateException(type);
        }
    }

    /** The values of {@code enum} or {@code const}, as far as the rest of the schema allows them. */
    private void listed(ObjectNode schema, List<JsonNode> values, State from, State to) {
        Set<String> types = schema.has("type") ? schemas.types(schema) : Set.copyOf(SchemaMerger.TYPES);
        var texts = new ArrayList<String>();
        for (JsonNode value : values) {
            String type = SchemaMerger.typeOf(value);
            if (!types.contains(type) && !(type.equals("integer") && types.contains("number"))) {
                continue;
            }
            switch (value.getNodeType()) {
                case STRING -> {
                    if (SchemaMerger.STRING.stream().noneMatch(schema::has)
                            || accepts(string(schema), value.textValue())) {
                        texts.add(value.textValue());
                    }
                }
                case NUMBER -> {
                    String text = value.isIntegralNumber()
                            ? value.bigIntegerValue().toString()
                            : value.decimalValue().toString();
                    if (SchemaMerger.NUMBER.stream().anyMatch(schema::has)) {
                        throw schemas.wrong(schema, "bounds of numbers beside \"enum\" or \"const\" are not enforced");
                    }
                    grammar.text(from, CharAutomaton.texts(List.of(text)), to);
                }
                case OBJECT, ARRAY -> {
                    if (Stream.concat(SchemaMerger.OBJECT.stream(), SchemaMerger.ARRAY.stream())
                            .anyMatch(schema::has)) {
                        throw schemas.wrong(
                                schema,
                                "\"enum\" or \"const\" of objects or arrays beside their keywords is not enforced");
                    }
                    ofType(exactly(value), type, from, to);
                }
                default -> grammar.text(from, value.isNull() ? NULL : value.booleanValue() ? TRUE : FALSE, to);
            }
        }
        if (!texts.isEmpty()) {
            grammar.string(from, CharAutomaton.texts(texts), to);
        }
    }

    /** A schema that an object or array alone obeys. */
    private static ObjectNode exactly(JsonNode value) {
        ObjectNode schema = JSON.objectNode();
        if (value.isArray()) {
            var items = schema.putArray("prefixItems");
            value.forEach(item -> items.addObject().set("const", item));
            return schema.put("items", false).put("minItems", value.size());
        }
        ObjectNode properties = schema.putObject("properties");
        var required = schema.putArray("required");
        value.properties().forEach(field -> {
            properties.putObject(field.getKey()).set("const", field.getValue());
            required.add(field.getKey());
        });
        return schema.put("additionalProperties", false);
    }

    private CharAutomaton counted(CharAutomaton made) {
        work.spend(made.cost());
        return made;
    }

    private boolean accepts(CharAutomaton automaton, String text) {
        work.spend(10L + (long) text.length() * automaton.states() / 16);
        return automaton.accepts(text);
    }

    /** Tells where in the schema an expression or a number is at fault. */
    private <T> T located(ObjectNode schema, Supplier<T> made) {
        try {
            return made.get();
        } catch (ConstraintException e) {
            String problem = String.valueOf(e.getMessage());
            throw problem.startsWith("the schema") ? e : schemas.wrong(schema, problem);
        }
    }

    /** The content of the strings that a schema allows. */
    private CharAutomaton string(ObjectNode schema) {
        CharAutomaton known = strings.get(schema);
        if (known == null) {
            known = located(schema, () -> makeString(schema));
            strings.put(schema, known);
        }
        return known;
    }

    private CharAutomaton makeString(ObjectNode schema) {
        int min = count(schema, "minLength", 0);
        int max = count(schema, "maxLength", Integer.MAX_VALUE);
        CharAutomaton content = counted(CharAutomaton.length(min, max));
        for (JsonNode pattern : schemas.texts(schema, "pattern")) {
            content = counted(counted(Regex.within(pattern.textValue())).and(content));
        }
        for (JsonNode format : schemas.texts(schema, "format")) {
            CharAutomaton texts = Format.of(format.textValue()).orElseThrow(() -> notEnforced(schema, format));
            content = counted(counted(texts).and(content));
        }
        return content;
    }

    private ConstraintException notEnforced(ObjectNode schema, JsonNode format) {
        return ConstraintException.at(
                schemas.pointer(schema) + "/format", "\"format\": \"" + format.textValue() + "\" is not enforced");
    }

    private int count(ObjectNode schema, String keyword, int otherwise) {
        if (!schema.has(keyword)) {
            return otherwise;
        }
        BigDecimal value = schemas.number(schema, keyword);
        if (value.signum() < 0
                || value.compareTo(BigDecimal.valueOf(Integer.MAX_VALUE - 1)) > 0
                || value.stripTrailingZeros().scale() > 0) {
            throw schemas.wrong(schema, "\"" + keyword + "\" is not a count up to " + (Integer.MAX_VALUE - 1));
        }
        return value.intValue();
    }

    private CharAutomaton number(ObjectNode schema, boolean whole) {
        Map<ObjectNode, CharAutomaton> all = whole ? integers : numbers;
        CharAutomaton known = all.get(schema);
        if (known == null) {
            known = located(schema, () -> makeNumber(schema, whole));
            all.put(schema, known);
        }
        return known;
    }

    private CharAutomaton makeNumber(ObjectNode schema, boolean whole) {
        Bound min = tighter(bound(schema, "minimum", true), bound(schema, "exclusiveMinimum", false), 1);
        Bound max = tighter(bound(schema, "maximum", true), bound(schema, "exclusiveMaximum", false), -1);
        for (JsonNode format : schemas.texts(schema, "format")) {
            switch (format.textValue()) {
                case "int32" -> {
                    var low = new Bound(BigDecimal.valueOf(Integer.MIN_VALUE), true);
                    var high = new Bound(BigDecimal.valueOf(Integer.MAX_VALUE), true);
                    min = tighter(min, low, 1);
                    max = tighter(max, high, -1);
                }
                case "int64" -> {
                    var low = new Bound(new BigDecimal(BigInteger.valueOf(Long.MIN_VALUE)), true);
                    var high = new Bound(new BigDecimal(BigInteger.valueOf(Long.MAX_VALUE)), true);
                    min = tighter(min, low, 1);
                    max = tighter(max, high, -1);
                }
                // Every number that is written here is one of these.
                case "double" -> {}
                default -> {
                    if (Format.of(format.textValue()).isEmpty()) {
                        throw notEnforced(schema, format);
                    }
                }
            }
        }
        BigDecimal divisor = schema.has("multipleOf") ? schemas.number(schema, "multipleOf") : null;
        return counted(Numbers.automaton(new Range(whole, min, max, divisor)));
    }

    private @Nullable Bound bound(ObjectNode schema, String keyword, boolean inclusive) {
        return schema.has(keyword) ? new Bound(schemas.number(schema, keyword), inclusive) : null;
    }

    /** @param sign 1 if the larger bound is the tighter one, -1 if it is the smaller one */
    private static @Nullable Bound tighter(@Nullable Bound a, @Nullable Bound b, int sign) {
        if (a == null || b == null) {
            return a == null ? b : a;
        }
        int order = a.value().compareTo(b.value());
        boolean tighter = sign > 0 ? order > 0 : order < 0;
        return tighter || (order == 0 && !a.inclusive()) ? a : b;
    }

    private Rule objectRule(ObjectNode schema) {
        return objects.computeIfAbsent(schema, _ -> {
            Rule rule = grammar.rule('{');
            open.add(() -> object(schema, rule));
            return rule;
        });
    }

    private Rule arrayRule(ObjectNode schema) {
        return arrays.computeIfAbsent(schema, _ -> {
            Rule rule = grammar.rule('[');
            open.add(() -> array(schema, rule));
            return rule;
        });
    }

    private record Property(String name, JsonNode schema, boolean required) {}

    private record Others(CharAutomaton names, JsonNode schema) {}

    /**
     * Properties in the order of the schema, then others. A state for each property says that its name, or that of a
     * later one, comes next; another that the value of the one before it has been read.
     */
    private void object(ObjectNode schema, Rule rule) {
        List<Property> properties = properties(schema);
        List<Others> others = others(schema, properties);
        int count = properties.size();
        int lastRequired = -1;
        for (int i = 0; i < count; i++) {
            lastRequired = properties.get(i).required() ? i : lastRequired;
        }
        checkCounts(schema, properties, others);
        boolean mayBeEmpty = lastRequired < 0 && count(schema, "minProperties", 0) == 0;
        State name = grammar.state();
        State value = null;
        grammar.empty(rule.start, name);
        if (mayBeEmpty) {
            grammar.read(rule.start, '}', rule.end);
        }
        for (int i = 0; i <= count; i++) {
            if (value != null) {
                State comma = grammar.spacedState();
                grammar.read(value, ',', comma);
                grammar.empty(comma, name);
                if (lastRequired < i) {
                    grammar.read(value, '}', rule.end);
                }
            }
            if (i == count) {
                State read = value == null ? grammar.spacedState() : value;
                if (value == null && !others.isEmpty()) {
                    State comma = grammar.spacedState();
                    grammar.read(read, ',', comma);
                    grammar.empty(comma, name);
                    grammar.read(read, '}', rule.end);
                }
                for (Others one : others) {
                    named(name, one.names(), one.schema(), read);
                }
                return;
            }
            Property property = properties.get(i);
            State nextName = grammar.state();
            State nextValue = grammar.spacedState();
            named(name, CharAutomaton.texts(List.of(property.name())), property.schema(), nextValue);
            if (!property.required()) {
                grammar.empty(name, nextName);
            }
            name = nextName;
            value = nextValue;
        }
    }

    private void named(State from, CharAutomaton names, JsonNode schema, State to) {
        State colon = grammar.state();
        State value = grammar.spacedState();
        grammar.string(from, names, colon);
        grammar.read(colon, ':', value);
        value(schema, value, to);
    }

    private List<Property> properties(ObjectNode schema) {
        JsonNode declared = schema.path("properties");
        if (schema.has("properties") && !declared.isObject()) {
            throw schemas.wrong(schema, "\"properties\" is no object");
        }
        JsonNode rest = schema.has("additionalProperties") ? schema.path("additionalProperties") : BooleanNode.TRUE;
        Set<String> required = schemas.required(schema);
        var all = new LinkedHashMap<String, JsonNode>();
        declared.properties().forEach(field -> all.put(field.getKey(), field.getValue()));
        required.forEach(name -> all.putIfAbsent(name, rest));
        Optional<CharAutomaton> names = names(schema);
        Map<CharAutomaton, JsonNode> patterns = patterns(schema);
        var properties = new ArrayList<Property>();
        all.forEach((name, own) -> {
            for (CharAutomaton pattern : patterns.keySet()) {
                if (accepts(pattern, name)) {
                    throw ConstraintException.at(
                            schemas.pointer(schema) + "/patternProperties",
                            "\"patternProperties\" that match the property \"" + name + "\" are not enforced");
                }
            }
            boolean allowed = names.map(automaton -> accepts(automaton, name)).orElse(true);
            properties.add(new Property(name, allowed ? own : BooleanNode.FALSE, required.contains(name)));
        });
        return properties;
    }

    private Optional<CharAutomaton> names(ObjectNode schema) {
        if (!schema.has("propertyNames")) {
            return Optional.empty();
        }
        var all = new ArrayList<CharAutomaton>();
        for (ObjectNode alternative : schemas.alternatives(schema.path("propertyNames"))) {
            if (alternative.has("type") && !schemas.types(alternative).contains("string")) {
                continue;
            }
            Optional<List<JsonNode>> values = schemas.values(alternative);
            CharAutomaton names = string(alternative);
            all.add(
                    values.isEmpty()
                            ? names
                            : CharAutomaton.texts(values.get().stream()
                                    .filter(JsonNode::isTextual)
                                    .map(JsonNode::textValue)
                                    .filter(name -> accepts(names, name))
                                    .toList()));
        }
        return Optional.of(all.isEmpty() ? CharAutomaton.texts(List.of()) : CharAutomaton.union(all));
    }

    private Map<CharAutomaton, JsonNode> patterns(ObjectNode schema) {
        var patterns = new LinkedHashMap<CharAutomaton, JsonNode>();
        for (Map.Entry<String, JsonNode> field :
                schema.path("patternProperties").properties()) {
            patterns.put(located(schema, () -> counted(Regex.within(field.getKey()))), field.getValue());
        }
        return patterns;
    }

    /** Properties that have no names of their own in the schema. */
    private List<Others> others(ObjectNode schema, List<Property> properties) {
        Optional<CharAutomaton> allowed = names(schema);
        var others = new ArrayList<Others>();
        Map<CharAutomaton, JsonNode> patterns = patterns(schema);
        boolean stated = schema.has("additionalProperties");
        JsonNode rest = stated ? schema.path("additionalProperties") : BooleanNode.TRUE;
        if (!patterns.isEmpty()) {
            boolean overlap = patterns.size() > 1
                    && !patterns.keySet().stream()
                            .reduce(CharAutomaton::and)
                            .orElseThrow()
                            .isEmpty();
            if (patterns.size() > 2 || overlap || (stated && !(rest.isBoolean() && !rest.booleanValue()))) {
                throw ConstraintException.at(
                        schemas.pointer(schema) + "/patternProperties",
                        "\"patternProperties\" are enforced only if at most two, not overlapping, and with"
                                + " \"additionalProperties\": false");
            }
            patterns.forEach((names, own) ->
                    others.add(new Others(allowed.map(names::and).orElse(names), own)));
            return others;
        }
        if (!stated && schema.has("properties")) {
            // Allowed by the schema, but nobody asked for them.
            return others;
        }
        CharAutomaton names = CharAutomaton.textsExcept(
                properties.stream().map(Property::name).toList());
        others.add(new Others(counted(allowed.map(names::and).orElse(names)), rest));
        return others;
    }

    /** The same name may be written twice, so that others are not counted. */
    private void checkCounts(ObjectNode schema, List<Property> properties, List<Others> others) {
        long required = properties.stream().filter(Property::required).count();
        if (count(schema, "minProperties", 0) > Math.max(1, required)) {
            throw ConstraintException.at(
                    schemas.pointer(schema) + "/minProperties",
                    "\"minProperties\" above one and above the number of required properties is not enforced");
        }
        int most = count(schema, "maxProperties", Integer.MAX_VALUE);
        if (most < properties.size() || (most < Integer.MAX_VALUE && !others.isEmpty())) {
            throw ConstraintException.at(
                    schemas.pointer(schema) + "/maxProperties",
                    "\"maxProperties\" below the number of properties that the schema names is not enforced");
        }
    }

    private void array(ObjectNode schema, Rule rule) {
        JsonNode first = schemas.firstItems(schema);
        Optional<JsonNode> other = schemas.otherItems(schema);
        int max = count(schema, "maxItems", Integer.MAX_VALUE);
        // A tuple is meant to be whole, and to have no more, unless the schema says so.
        int min = count(schema, "minItems", Math.min(first.size(), max));
        JsonNode rest = other.orElse(BooleanNode.valueOf(first.isEmpty() || min > first.size()));
        if (schema.path("uniqueItems").asBoolean() && max > 1) {
            throw ConstraintException.at(schemas.pointer(schema) + "/uniqueItems", "\"uniqueItems\" is not enforced");
        }
        boolean endless = max == Integer.MAX_VALUE;
        // Items that differ from those before them: each has states of its own.
        int distinct = endless ? Math.max(min, first.size() + 1) : max;
        State before = rule.start;
        State after = null;
        for (int i = 0; i < distinct; i++) {
            if (i >= min) {
                grammar.read(after == null ? rule.start : after, ']', rule.end);
            }
            State next = grammar.spacedState();
            value(i < first.size() ? first.get(i) : rest, before, next);
            State comma = grammar.spacedState();
            grammar.read(next, ',', comma);
            if (endless && i == distinct - 1) {
                value(rest, comma, next);
            }
            before = comma;
            after = next;
        }
        if (distinct >= min) {
            grammar.read(after == null ? rule.start : after, ']', rule.end);
        }
    }
}
