package io.weft.text.constraint;

import com.fasterxml.jackson.core.JsonPointer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Resolves {@code $ref}, {@code allOf}, {@code anyOf} and {@code oneOf}: a schema becomes a list of schemas without
 * them, one of which a value obeys. Refuses every keyword that is not known.
 */
@SuppressWarnings("ReferenceEquality") // Which schema it is counts: equal ones may stand for others.
final class SchemaMerger {
    private static final int NODES_MAX = 50_000;
    private static final int DEPTH_MAX = 200;
    private static final int ALTERNATIVES_MAX = 1_000;
    private static final int MERGES_MAX = 20_000;

    /** Say nothing about a value. */
    private static final Set<String> ANNOTATIONS = Set.of(
            "$schema",
            "$id",
            "$comment",
            "$defs",
            "definitions",
            "title",
            "description",
            "default",
            "example",
            "examples",
            "deprecated",
            "readOnly",
            "writeOnly",
            "discriminator",
            "contentMediaType",
            "contentEncoding");

    static final Set<String> OBJECT = Set.of(
            "properties",
            "required",
            "additionalProperties",
            "patternProperties",
            "propertyNames",
            "minProperties",
            "maxProperties");
    static final Set<String> ARRAY =
            Set.of("items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems");
    static final Set<String> STRING = Set.of("minLength", "maxLength", "pattern", "format");
    static final Set<String> NUMBER =
            Set.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf");
    private static final Set<String> COMPOSED = Set.of("$ref", "allOf", "anyOf", "oneOf");
    private static final Set<String> VALUES = Set.of("type", "enum", "const");
    static final List<String> TYPES = List.of("object", "array", "string", "number", "integer", "boolean", "null");

    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private final JsonNode root;
    private final IdentityHashMap<JsonNode, String> pointers = new IdentityHashMap<>();
    private final IdentityHashMap<JsonNode, List<ObjectNode>> known = new IdentityHashMap<>();
    private final Set<JsonNode> resolving = Collections.newSetFromMap(new IdentityHashMap<>());
    private final ObjectNode anything = JSON.objectNode();

    /** Of which schemas a merged one is made, by their numbers, so that recursive schemas merge finitely often. */
    private final IdentityHashMap<ObjectNode, BitSet> parts = new IdentityHashMap<>();

    private final Map<BitSet, Optional<ObjectNode>> merged = new HashMap<>();
    private int numbered;
    private final Work work;

    SchemaMerger(JsonNode root, Work work) {
        this.root = root;
        this.work = work;
        locate(root, "", 0);
    }

    private void locate(JsonNode node, String pointer, int depth) {
        if (depth > DEPTH_MAX) {
            throw new ConstraintException("the schema is nested deeper than " + DEPTH_MAX);
        }
        if (node.isContainerNode()) {
            if (pointers.size() >= NODES_MAX) {
                throw new ConstraintException("the schema has more than " + NODES_MAX + " objects and arrays");
            }
            pointers.put(node, pointer);
        }
        if (node.isArray()) {
            for (int i = 0; i < node.size(); i++) {
                locate(node.get(i), pointer + "/" + i, depth + 1);
            }
        }
        for (Map.Entry<String, JsonNode> field : node.properties()) {
            String name = field.getKey().replace("~", "~0").replace("/", "~1");
            locate(field.getValue(), pointer + "/" + name, depth + 1);
        }
    }

    /** Where a schema stands, or, if it was made, the one that it was made of. */
    String pointer(JsonNode schema) {
        return pointers.getOrDefault(schema, "");
    }

    ConstraintException wrong(JsonNode schema, String problem) {
        return ConstraintException.at(pointer(schema), problem);
    }

    private ConstraintException wrongKeyword(JsonNode schema, String keyword, String problem) {
        return ConstraintException.at(pointer(schema) + "/" + keyword, problem);
    }

    /** The schemas without {@code $ref} and the like, one of which a value obeys; none if no value does. */
    List<ObjectNode> alternatives(JsonNode schema) {
        if (schema.isBoolean()) {
            return schema.booleanValue() ? List.of(anything) : List.of();
        }
        if (!(schema instanceof ObjectNode object)) {
            throw wrong(schema, "a schema is an object or a boolean, not " + schema.getNodeType());
        }
        List<ObjectNode> found = known.get(schema);
        if (found == null) {
            if (resolving.size() >= DEPTH_MAX) {
                throw wrong(schema, "references and alternatives are nested deeper than " + DEPTH_MAX);
            }
            if (!resolving.add(schema)) {
                throw wrong(schema, "the schema refers to itself without an object or array between");
            }
            found = List.copyOf(resolve(object));
            resolving.remove(schema);
            known.put(schema, found);
        }
        return found;
    }

    private List<ObjectNode> resolve(ObjectNode schema) {
        boolean composed = false;
        ObjectNode own = JSON.objectNode();
        for (Map.Entry<String, JsonNode> field : schema.properties()) {
            String keyword = field.getKey();
            if (COMPOSED.contains(keyword)) {
                composed = true;
            } else if (VALUES.contains(keyword)
                    || OBJECT.contains(keyword)
                    || ARRAY.contains(keyword)
                    || STRING.contains(keyword)
                    || NUMBER.contains(keyword)) {
                own.set(keyword, field.getValue());
            } else if (!ANNOTATIONS.contains(keyword) && !keyword.startsWith("x-")) {
                throw wrongKeyword(schema, keyword, "\"" + keyword + "\" is not enforced");
            }
        }
        if (!composed) {
            return List.of(own.isEmpty() ? anything : schema);
        }
        pointers.put(own, pointer(schema));
        List<ObjectNode> all = List.of(own.isEmpty() ? anything : own);
        if (schema.has("$ref")) {
            all = both(schema, all, alternatives(target(schema)));
        }
        for (JsonNode part : list(schema, "allOf")) {
            all = both(schema, all, alternatives(part));
        }
        if (schema.has("anyOf")) {
            var any = new LinkedHashSet<ObjectNode>();
            list(schema, "anyOf").forEach(branch -> any.addAll(alternatives(branch)));
            all = both(schema, all, List.copyOf(any));
        }
        if (schema.has("oneOf")) {
            all = both(schema, all, one(schema));
        }
        return all;
    }

    private Iterable<JsonNode> list(ObjectNode schema, String keyword) {
        JsonNode list = schema.path(keyword);
        if (schema.has(keyword) && (!list.isArray() || list.isEmpty())) {
            throw wrongKeyword(schema, keyword, "\"" + keyword + "\" is no list of schemas");
        }
        return list;
    }

    private JsonNode target(ObjectNode schema) {
        String reference = schema.path("$ref").asText();
        if (!reference.equals("#") && !reference.startsWith("#/")) {
            throw wrongKeyword(
                    schema,
                    "$ref",
                    "\"$ref\" is followed within the schema only (#/...), not to \"" + reference + "\"");
        }
        JsonNode target;
        try {
            target = root.at(JsonPointer.compile(
                    URLDecoder.decode(reference.substring(1).replace("+", "%2B"), StandardCharsets.UTF_8)));
        } catch (IllegalArgumentException e) {
            throw wrongKeyword(schema, "$ref", "\"" + reference + "\" is no JSON pointer");
        }
        if (target.isMissingNode()) {
            throw wrongKeyword(schema, "$ref", "there is no \"" + reference + "\"");
        }
        return target;
    }

    /** Branches of which no value can obey two: then one of them is the same as any. */
    private List<ObjectNode> one(ObjectNode schema) {
        var all = new ArrayList<ObjectNode>();
        int index = 0;
        for (JsonNode branch : list(schema, "oneOf")) {
            List<ObjectNode> own = alternatives(branch);
            for (ObjectNode a : all) {
                for (ObjectNode b : own) {
                    if (!disjoint(a, b)) {
                        throw wrongKeyword(
                                schema,
                                "oneOf",
                                "\"oneOf\" is enforced only if its branches differ in type or in a required property with"
                                        + " \"const\" or \"enum\"; branch " + index
                                        + " may overlap an earlier one (\"anyOf\" is enforced)");
                    }
                }
            }
            all.addAll(own);
            if (all.size() > ALTERNATIVES_MAX) {
                throw wrong(schema, "more than " + ALTERNATIVES_MAX + " alternatives");
            }
            index++;
        }
        return all;
    }

    private boolean disjoint(ObjectNode a, ObjectNode b) {
        Optional<List<JsonNode>> left = values(a);
        Optional<List<JsonNode>> right = values(b);
        if (left.isPresent() && right.isPresent()) {
            return differ(left.get(), right.get());
        }
        Set<String> common = commonTypes(possibleTypes(a), possibleTypes(b));
        if (common.isEmpty()) {
            return true;
        }
        if (!common.equals(Set.of("object"))) {
            return false;
        }
        Set<String> alsoRequired = required(b);
        for (String name : required(a)) {
            Optional<List<JsonNode>> ones = constants(property(a, name));
            Optional<List<JsonNode>> others =
                    alsoRequired.contains(name) ? constants(property(b, name)) : Optional.empty();
            if (ones.isPresent() && others.isPresent() && differ(ones.get(), others.get())) {
                return true;
            }
        }
        return false;
    }

    private boolean differ(List<JsonNode> left, List<JsonNode> right) {
        work.spend(1 + (long) left.size() * right.size());
        return left.stream().noneMatch(x -> right.stream().anyMatch(y -> same(x, y)));
    }

    /** The values of {@code enum} or {@code const}, also of the schema that is referred to. */
    private Optional<List<JsonNode>> constants(JsonNode schema) {
        JsonNode found = schema;
        for (int i = 0; i < DEPTH_MAX && found.has("$ref") && found instanceof ObjectNode reference; i++) {
            found = target(reference);
        }
        return found instanceof ObjectNode object ? values(object) : Optional.empty();
    }

    /** The types that a value may have; all, if the schema does not say. */
    private Set<String> possibleTypes(ObjectNode schema) {
        Optional<List<JsonNode>> values = values(schema);
        if (values.isPresent()) {
            var types = new LinkedHashSet<String>();
            values.get().forEach(value -> types.add(typeOf(value)));
            return types;
        }
        return schema.has("type") ? types(schema) : Set.copyOf(TYPES);
    }

    /** {@code type} as a set, without {@code integer} where {@code number} is. */
    Set<String> types(ObjectNode schema) {
        JsonNode type = schema.path("type");
        var types = new LinkedHashSet<String>();
        for (JsonNode one : type.isArray() ? type : JSON.arrayNode().add(type)) {
            if (!one.isTextual() || !TYPES.contains(one.textValue())) {
                throw wrongKeyword(schema, "type", "there is no type " + one);
            }
            types.add(one.textValue());
        }
        if (types.contains("number")) {
            types.remove("integer");
        }
        return types;
    }

    private static Set<String> commonTypes(Set<String> a, Set<String> b) {
        var common = new LinkedHashSet<String>();
        for (String type : a) {
            if (b.contains(type) || (type.equals("integer") && b.contains("number"))) {
                common.add(type);
            } else if (type.equals("number") && b.contains("integer")) {
                common.add("integer");
            }
        }
        return common;
    }

    static String typeOf(JsonNode value) {
        return switch (value.getNodeType()) {
            case OBJECT -> "object";
            case ARRAY -> "array";
            case STRING -> "string";
            case BOOLEAN -> "boolean";
            case NUMBER -> isWhole(value) ? "integer" : "number";
            default -> "null";
        };
    }

    private static boolean isWhole(JsonNode number) {
        return number.isIntegralNumber()
                || number.decimalValue().stripTrailingZeros().scale() <= 0;
    }

    /** The values of {@code enum} and {@code const}, if the schema has one of them. */
    Optional<List<JsonNode>> values(ObjectNode schema) {
        if (!schema.has("enum") && !schema.has("const")) {
            return Optional.empty();
        }
        var values = new ArrayList<JsonNode>();
        if (schema.has("enum")) {
            if (!schema.path("enum").isArray()) {
                throw wrongKeyword(schema, "enum", "\"enum\" is no list");
            }
            schema.path("enum").forEach(values::add);
        }
        if (schema.has("const")) {
            JsonNode constant = schema.path("const");
            boolean allowed = !schema.has("enum") || values.stream().anyMatch(value -> same(value, constant));
            values.clear();
            if (allowed) {
                values.add(constant);
            }
        }
        return Optional.of(values);
    }

    static boolean same(JsonNode a, JsonNode b) {
        return a.equals(
                (x, y) -> x.isNumber() && y.isNumber()
                        ? x.decimalValue().compareTo(y.decimalValue())
                        : x.equals(y) ? 0 : 1,
                b);
    }

    Set<String> required(ObjectNode schema) {
        JsonNode list = schema.path("required");
        var names = new LinkedHashSet<String>();
        if (schema.has("required")) {
            if (!list.isArray()) {
                throw wrongKeyword(schema, "required", "\"required\" is no list of names");
            }
            for (JsonNode name : list) {
                if (!name.isTextual()) {
                    throw wrongKeyword(schema, "required", "\"required\" is no list of names");
                }
                names.add(name.textValue());
            }
        }
        return names;
    }

    /** What a property with this name obeys. */
    private static JsonNode property(ObjectNode schema, String name) {
        JsonNode declared = schema.path("properties").path(name);
        JsonNode other = schema.path("additionalProperties");
        return !declared.isMissingNode() ? declared : other.isMissingNode() ? JSON.booleanNode(true) : other;
    }

    private List<ObjectNode> both(ObjectNode at, List<ObjectNode> left, List<ObjectNode> right) {
        if ((long) left.size() * right.size() > ALTERNATIVES_MAX) {
            throw wrong(at, "more than " + ALTERNATIVES_MAX + " alternatives");
        }
        var all = new LinkedHashSet<ObjectNode>();
        for (ObjectNode a : left) {
            for (ObjectNode b : right) {
                merge(a, b).ifPresent(all::add);
            }
        }
        return List.copyOf(all);
    }

    private BitSet partsOf(ObjectNode schema) {
        return parts.computeIfAbsent(schema, _ -> {
            var own = new BitSet();
            own.set(numbered++);
            return own;
        });
    }

    private Optional<ObjectNode> merge(ObjectNode a, ObjectNode b) {
        if (a == anything || a == b) {
            return Optional.of(b);
        }
        if (b == anything) {
            return Optional.of(a);
        }
        BitSet left = partsOf(a);
        BitSet right = partsOf(b);
        var all = (BitSet) left.clone();
        all.or(right);
        if (all.equals(left)) {
            return Optional.of(a);
        }
        if (all.equals(right)) {
            return Optional.of(b);
        }
        Optional<ObjectNode> done = merged.get(all);
        if (done == null) {
            if (merged.size() >= MERGES_MAX) {
                throw wrong(a, "more than " + MERGES_MAX + " combinations of schemas");
            }
            done = combine(a, b);
            done.ifPresent(made -> {
                pointers.put(made, pointer(a));
                parts.put(made, all);
            });
            merged.put(all, done);
        }
        return done;
    }

    private Optional<ObjectNode> combine(ObjectNode a, ObjectNode b) {
        ObjectNode both = JSON.objectNode();
        if (a.has("type") || b.has("type")) {
            Set<String> types = !a.has("type") ? types(b) : !b.has("type") ? types(a) : commonTypes(types(a), types(b));
            if (types.isEmpty()) {
                return Optional.empty();
            }
            types.forEach(both.putArray("type")::add);
        }
        Optional<List<JsonNode>> left = values(a);
        Optional<List<JsonNode>> right = values(b);
        if (left.isPresent() || right.isPresent()) {
            var values = new ArrayList<>(left.or(() -> right).orElseThrow());
            if (left.isPresent() && right.isPresent()) {
                work.spend((long) values.size() * right.get().size());
                values.removeIf(x -> right.get().stream().noneMatch(y -> same(x, y)));
            }
            both.putArray("enum").addAll(values);
        }
        combineObjects(a, b, both);
        combineArrays(a, b, both);
        for (String keyword : List.of("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")) {
            combineBounds(a, b, keyword, true, both);
        }
        for (String keyword : List.of("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")) {
            combineBounds(a, b, keyword, false, both);
        }
        for (String keyword : List.of("pattern", "format")) {
            var all = new LinkedHashSet<JsonNode>();
            texts(a, keyword).forEach(all::add);
            texts(b, keyword).forEach(all::add);
            if (!all.isEmpty()) {
                both.putArray(keyword).addAll(all);
            }
        }
        for (String keyword : List.of("multipleOf", "uniqueItems")) {
            if (a.has(keyword) && b.has(keyword) && !same(a.path(keyword), b.path(keyword))) {
                throw wrongKeyword(a, keyword, "two of \"" + keyword + "\" for one value are not enforced");
            }
            if (a.has(keyword) || b.has(keyword)) {
                both.set(keyword, a.has(keyword) ? a.path(keyword) : b.path(keyword));
            }
        }
        return Optional.of(both);
    }

    /** One text, or, where schemas were merged, a list of them. */
    Iterable<JsonNode> texts(ObjectNode schema, String keyword) {
        JsonNode value = schema.path(keyword);
        if (value.isMissingNode() || value.isArray()) {
            return value;
        }
        if (!value.isTextual()) {
            throw wrongKeyword(schema, keyword, "\"" + keyword + "\" is no text");
        }
        return List.of(value);
    }

    private void combineBounds(ObjectNode a, ObjectNode b, String keyword, boolean larger, ObjectNode both) {
        if (!a.has(keyword) || !b.has(keyword)) {
            if (a.has(keyword) || b.has(keyword)) {
                both.set(keyword, a.has(keyword) ? a.path(keyword) : b.path(keyword));
            }
            return;
        }
        BigDecimal left = number(a, keyword);
        BigDecimal right = number(b, keyword);
        both.put(keyword, larger ? left.max(right) : left.min(right));
    }

    BigDecimal number(ObjectNode schema, String keyword) {
        JsonNode value = schema.path(keyword);
        if (!value.isNumber()
                || (value.isFloatingPointNumber() && !Double.isFinite(value.doubleValue()) && !value.isBigDecimal())) {
            throw wrongKeyword(schema, keyword, "\"" + keyword + "\" is no number");
        }
        return value.decimalValue();
    }

    private void combineObjects(ObjectNode a, ObjectNode b, ObjectNode both) {
        if (a.has("patternProperties") || b.has("patternProperties")) {
            ObjectNode with = a.has("patternProperties") ? a : b;
            ObjectNode other = with == a ? b : a;
            if (OBJECT.stream().anyMatch(other::has)) {
                throw wrongKeyword(with, "patternProperties", "\"patternProperties\" is not enforced within \"allOf\"");
            }
            both.set("patternProperties", with.path("patternProperties"));
        }
        var names = new LinkedHashSet<String>();
        a.path("properties").fieldNames().forEachRemaining(names::add);
        b.path("properties").fieldNames().forEachRemaining(names::add);
        if (a.has("properties") || b.has("properties")) {
            ObjectNode properties = both.putObject("properties");
            for (String name : names) {
                properties.set(name, allOf(property(a, name), property(b, name)));
            }
        }
        combineSchemas(a, b, "additionalProperties", both);
        combineSchemas(a, b, "propertyNames", both);
        var required = new LinkedHashSet<>(required(a));
        required.addAll(required(b));
        if (!required.isEmpty()) {
            required.forEach(both.putArray("required")::add);
        }
    }

    private void combineSchemas(ObjectNode a, ObjectNode b, String keyword, ObjectNode both) {
        if (a.has(keyword) && b.has(keyword)) {
            both.set(keyword, allOf(a.path(keyword), b.path(keyword)));
        } else if (a.has(keyword) || b.has(keyword)) {
            both.set(keyword, a.has(keyword) ? a.path(keyword) : b.path(keyword));
        }
    }

    private JsonNode allOf(JsonNode a, JsonNode b) {
        if (a == b || (b.isBoolean() && b.booleanValue())) {
            return a;
        }
        if (a.isBoolean()) {
            return a.booleanValue() ? b : a;
        }
        if (b.isBoolean()) {
            return b;
        }
        ObjectNode made = JSON.objectNode();
        made.putArray("allOf").add(a).add(b);
        pointers.put(made, pointer(a));
        return made;
    }

    private void combineArrays(ObjectNode a, ObjectNode b, ObjectNode both) {
        int prefix = Math.max(firstItems(a).size(), firstItems(b).size());
        if (prefix > 0) {
            ArrayNode items = both.putArray("prefixItems");
            for (int i = 0; i < prefix; i++) {
                items.add(allOf(item(a, i), item(b, i)));
            }
        }
        Optional<JsonNode> left = otherItems(a);
        Optional<JsonNode> right = otherItems(b);
        if (left.isPresent() && right.isPresent()) {
            both.set("items", allOf(left.get(), right.get()));
        } else {
            left.or(() -> right).ifPresent(items -> both.set("items", items));
        }
    }

    /** {@code prefixItems}, or {@code items} as it was before. */
    JsonNode firstItems(ObjectNode schema) {
        JsonNode items = schema.path("items");
        JsonNode first = schema.has("prefixItems") ? schema.path("prefixItems") : items;
        if (schema.has("prefixItems") && !first.isArray()) {
            throw wrongKeyword(schema, "prefixItems", "\"prefixItems\" is no list of schemas");
        }
        return first.isArray() ? first : JSON.arrayNode();
    }

    Optional<JsonNode> otherItems(ObjectNode schema) {
        JsonNode other = schema.path("items").isArray() ? schema.path("additionalItems") : schema.path("items");
        return other.isMissingNode() ? Optional.empty() : Optional.of(other);
    }

    private JsonNode item(ObjectNode schema, int index) {
        JsonNode first = firstItems(schema);
        return index < first.size() ? first.get(index) : otherItems(schema).orElse(JSON.booleanNode(true));
    }
}
