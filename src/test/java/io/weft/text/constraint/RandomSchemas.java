package io.weft.text.constraint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Schemas of everything that is enforced. */
final class RandomSchemas {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final List<String> NAMES = List.of(
            "name",
            "id",
            "a",
            "ab",
            "abc",
            "x/y",
            "t~0",
            "with space",
            "quo\"te",
            "back\\slash",
            "\u00e9t\u00e9",
            "\uD83D\uDE00",
            "\u65e5\u672c",
            "kind",
            "value",
            "next",
            "$ref",
            "line\nfeed",
            "tab\t",
            "");
    static final List<String> PATTERNS = List.of(
            "^[a-z]+$",
            "^[A-Z]{2,4}-\\d{1,3}$",
            "[a-m][n-z]",
            "^x",
            "y$",
            "^(?:foo|bar)+$",
            "^\\w+\\s\\w+$",
            "\\d",
            "^[^a-z]*$",
            "^.{2,5}$",
            "^(a|b)*a(a|b){6}$",
            "^[\\u00e0-\\u00ff]+$",
            "^\\p{L}+$",
            "^\"\\\\.{0,3}\"$",
            "^[\\uD83D\\uDE00-\\uD83D\\uDE4F]{1,3}$",
            "^$",
            "^a$|^b+$",
            "^\\S+@\\S+$",
            "^(?<year>[0-9]{4})$",
            "^a.c",
            "[^a-z]");
    /** Without {@code time}: the validator refuses 23:00:00-01:00, which is in UTC of another day. */
    private static final List<String> FORMATS =
            List.of("date", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri");

    private final Random random;
    private int definitions;

    RandomSchemas(Random random) {
        this.random = random;
    }

    /** A whole schema with its definitions. */
    JsonNode next() {
        definitions = random.nextInt(3);
        int depth = 1 + random.nextInt(3);
        ObjectNode root = random.nextInt(3) == 0 ? composed(depth) : object(depth);
        if (random.nextInt(6) == 0) {
            root = scalar();
        }
        root.put("$schema", "https://json-schema.org/draft/2020-12/schema")
                .put("title", "T")
                .put("description", "d");
        if (definitions > 0) {
            ObjectNode all = root.putObject("$defs");
            for (int i = 0; i < definitions; i++) {
                all.set("D" + i, random.nextInt(3) > 0 ? recursive(i) : object(1));
            }
        }
        return root;
    }

    private JsonNode schema(int depth) {
        if (depth <= 0) {
            return random.nextInt(12) == 0 ? (random.nextBoolean() ? BooleanNode.TRUE : JSON.objectNode()) : scalar();
        }
        return switch (random.nextInt(10)) {
            case 0, 1, 2 -> object(depth - 1);
            case 3, 4 -> array(depth - 1);
            case 5, 6 -> composed(depth - 1);
            case 7 -> definitions > 0 ? reference() : scalar();
            default -> scalar();
        };
    }

    private ObjectNode reference() {
        ObjectNode reference = JSON.objectNode().put("$ref", "#/$defs/D" + random.nextInt(definitions));
        return random.nextBoolean() ? reference : reference.put("description", "one of those");
    }

    /** A list or a tree of itself, which can end. */
    private ObjectNode recursive(int index) {
        ObjectNode self = JSON.objectNode().put("$ref", "#/$defs/D" + index);
        ObjectNode node = JSON.objectNode().put("type", "object");
        ObjectNode properties = node.putObject("properties");
        properties.set("v", scalar());
        switch (random.nextInt(3)) {
            case 0 ->
                properties
                        .putObject("next")
                        .putArray("anyOf")
                        .add(self)
                        .addObject()
                        .put("type", "null");
            case 1 ->
                properties
                        .putObject("children")
                        .put("type", "array")
                        .put("maxItems", 3)
                        .set("items", self);
            default -> properties.set("left", self);
        }
        node.putArray("required").add("v");
        return node.put("additionalProperties", false);
    }

    private ObjectNode scalar() {
        return switch (random.nextInt(9)) {
            case 0, 1 -> string();
            case 2, 3 -> number(true);
            case 4 -> number(false);
            case 5 -> JSON.objectNode().put("type", "boolean");
            case 6 -> enumeration();
            case 7 -> {
                ObjectNode schema = JSON.objectNode();
                schema.set("const", value(2));
                yield schema;
            }
            default -> {
                ObjectNode schema = string();
                schema.putArray("type").add("string").add("null");
                yield schema;
            }
        };
    }

    private ObjectNode string() {
        ObjectNode schema = JSON.objectNode().put("type", "string");
        switch (random.nextInt(5)) {
            case 0 -> lengths(schema, 12);
            case 1 -> {
                schema.put("pattern", PATTERNS.get(random.nextInt(PATTERNS.size())));
                if (random.nextInt(3) == 0) {
                    schema.put("maxLength", 8 + random.nextInt(20));
                }
            }
            case 2 -> schema.put("format", FORMATS.get(random.nextInt(FORMATS.size())));
            case 3 -> lengths(schema, 200);
            default -> {}
        }
        return schema;
    }

    private void lengths(ObjectNode schema, int most) {
        int min = random.nextInt(most);
        if (random.nextBoolean()) {
            schema.put("minLength", min);
        } else {
            min = 0;
        }
        if (random.nextInt(4) > 0) {
            schema.put("maxLength", min + random.nextInt(most));
        }
    }

    private BigDecimal decimal(boolean whole) {
        long unscaled = switch (random.nextInt(4)) {
            case 0 -> random.nextInt(20) - 10;
            case 1 -> random.nextInt(2000) - 1000;
            case 2 -> random.nextInt();
            default -> 0;
        };
        return BigDecimal.valueOf(unscaled, whole ? 0 : random.nextInt(4));
    }

    private ObjectNode number(boolean whole) {
        ObjectNode schema = JSON.objectNode().put("type", whole ? "integer" : "number");
        BigDecimal a = decimal(whole);
        BigDecimal b = decimal(whole).abs().add(a);
        if (random.nextInt(3) == 0) {
            schema.put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", a);
        }
        if (random.nextInt(3) == 0) {
            schema.put(random.nextBoolean() ? "maximum" : "exclusiveMaximum", b);
        }
        if (random.nextInt(5) == 0) {
            List<String> divisors =
                    whole ? List.of("1", "2", "7", "10", "100") : List.of("0.01", "0.5", "0.25", "3", "1");
            schema.put("multipleOf", new BigDecimal(divisors.get(random.nextInt(divisors.size()))));
        }
        return schema;
    }

    private ObjectNode enumeration() {
        ObjectNode schema = JSON.objectNode();
        ArrayNode values = schema.putArray("enum");
        boolean strings = random.nextBoolean();
        for (int i = 0; i <= random.nextInt(4); i++) {
            values.add(strings ? JSON.textNode(NAMES.get(random.nextInt(NAMES.size())) + i) : value(1));
        }
        return strings && random.nextBoolean() ? schema.put("type", "string") : schema;
    }

    private JsonNode value(int depth) {
        return switch (random.nextInt(depth > 0 ? 8 : 6)) {
            case 0 -> JSON.nullNode();
            case 1 -> JSON.booleanNode(random.nextBoolean());
            case 2 -> JSON.numberNode(random.nextInt(1000) - 500);
            // Not whole: validators tell 1.0 and 1 apart within arrays.
            case 3 -> JSON.numberNode(decimal(false).setScale(4).add(BigDecimal.valueOf(1, 4)));
            case 4, 5 -> JSON.textNode(NAMES.get(random.nextInt(NAMES.size())));
            case 6 -> {
                ArrayNode array = JSON.arrayNode();
                for (int i = 0; i < random.nextInt(3); i++) {
                    array.add(value(depth - 1));
                }
                yield array;
            }
            default -> {
                ObjectNode object = JSON.objectNode();
                for (int i = 0; i < random.nextInt(3); i++) {
                    object.set(NAMES.get(random.nextInt(NAMES.size())), value(depth - 1));
                }
                yield object;
            }
        };
    }

    private ObjectNode array(int depth) {
        ObjectNode schema = JSON.objectNode().put("type", "array");
        int min = random.nextInt(3);
        if (random.nextInt(3) == 0) {
            ArrayNode first = schema.putArray("prefixItems");
            for (int i = 0; i <= random.nextInt(3); i++) {
                first.add(schema(depth));
            }
            if (random.nextBoolean()) {
                schema.set("items", random.nextBoolean() ? BooleanNode.FALSE : schema(depth));
            }
            if (random.nextBoolean()) {
                schema.put("minItems", first.size()).put("maxItems", first.size());
            }
            return schema;
        }
        if (random.nextInt(8) > 0) {
            schema.set("items", schema(depth));
        }
        if (random.nextBoolean()) {
            schema.put("minItems", min);
        } else {
            min = 0;
        }
        return random.nextBoolean() ? schema.put("maxItems", min + random.nextInt(4)) : schema;
    }

    private ObjectNode object(int depth) {
        ObjectNode schema = JSON.objectNode().put("type", "object");
        if (random.nextInt(6) == 0) {
            return map(schema, depth);
        }
        var names = new ArrayList<>(NAMES);
        Collections.shuffle(names, random);
        ObjectNode properties = schema.putObject("properties");
        ArrayNode required = JSON.arrayNode();
        for (int i = 0; i < random.nextInt(5); i++) {
            properties.set(names.get(i), schema(depth));
            if (random.nextBoolean()) {
                required.add(names.get(i));
            }
        }
        if (!required.isEmpty()) {
            schema.set("required", required);
        }
        switch (random.nextInt(4)) {
            case 0, 1 -> schema.put("additionalProperties", false);
            case 2 -> schema.set("additionalProperties", schema(0));
            default -> {}
        }
        return schema;
    }

    private ObjectNode map(ObjectNode schema, int depth) {
        switch (random.nextInt(4)) {
            case 0 -> schema.set("additionalProperties", schema(depth));
            case 1 -> {
                schema.putObject("propertyNames").put("pattern", "^[a-z]{1,8}$");
                schema.set("additionalProperties", schema(depth));
            }
            case 2 -> {
                schema.putObject("patternProperties").set("^k[0-9]+$", schema(depth));
                schema.put("additionalProperties", false);
            }
            default -> {
                ArrayNode names = schema.putObject("propertyNames").putArray("enum");
                names.add("red").add("green");
                schema.set("additionalProperties", schema(depth));
            }
        }
        return random.nextBoolean() ? schema.put("minProperties", 1) : schema;
    }

    private ObjectNode composed(int depth) {
        ObjectNode schema = JSON.objectNode();
        switch (random.nextInt(6)) {
            case 0, 1 -> {
                ArrayNode any = schema.putArray("anyOf");
                for (int i = 0; i <= 1 + random.nextInt(2); i++) {
                    any.add(schema(depth));
                }
            }
            case 2 ->
                schema.putArray("oneOf")
                        .add(string())
                        .add(number(random.nextBoolean()))
                        .add(object(depth));
            case 3 -> {
                ArrayNode one = schema.putArray("oneOf");
                for (int i = 0; i < 3; i++) {
                    ObjectNode branch = object(depth);
                    if (branch.path("properties").isMissingNode()) {
                        branch.removeAll().put("type", "object").putObject("properties");
                    }
                    ((ObjectNode) branch.path("properties")).putObject("kind").put("const", "k" + i);
                    ArrayNode required = branch.withArrayProperty("required");
                    boolean has = false;
                    for (JsonNode name : required) {
                        has |= name.asText().equals("kind");
                    }
                    if (!has) {
                        required.add("kind");
                    }
                    one.add(branch);
                }
            }
            case 4 -> {
                ArrayNode all = schema.putArray("allOf");
                all.addObject().put("type", "object").putObject("properties").set("left", schema(depth));
                ObjectNode second = all.addObject();
                second.putObject("properties").set("right", schema(depth));
                second.putArray("required").add("right");
                schema.put("type", "object");
            }
            default -> {
                ArrayNode all = schema.putArray("allOf");
                all.add(number(true)).add(number(random.nextBoolean()));
                if (all.get(0).has("multipleOf")) {
                    ((ObjectNode) all.get(1)).remove("multipleOf");
                }
            }
        }
        return schema;
    }
}
