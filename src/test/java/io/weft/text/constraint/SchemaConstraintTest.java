package io.weft.text.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SchemaValidatorsConfig;
import com.networknt.schema.SpecVersion.VersionFlag;
import io.weft.text.TestTokenizers;
import io.weft.text.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.OffsetTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever is written under a schema is a value that the schema allows, and every text can be ended. */
class SchemaConstraintTest {
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .build();
    private static final int TOKENS_MAX = 20_000;

    @TempDir
    Path directory;

    /** A vocabulary and its tokens. */
    private record Kind(Vocabulary vocabulary, List<byte[]> tokens) {}

    private static Kind kind(Path model) {
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            List<byte[]> tokens = IntStream.range(0, tokenizer.size())
                    .mapToObj(tokenizer::innerBytes)
                    .toList();
            return new Kind(Vocabulary.of(tokenizer, List.of(2)), tokens);
        }
    }

    private List<Kind> kinds() {
        return List.of(
                kind(TestTokenizers.DEMO),
                kind(TestTokenizers.chatMarkers(directory.resolve("chat"))),
                kind(TestTokenizers.sentencePiece(directory.resolve("pieces"))));
    }

    @Test
    void everyTextValidates() {
        check(0, 300, 7);
    }

    @Test
    @Tag("soak")
    void everyTextOfManySchemasValidates() {
        check(Integer.getInteger("weft.soak.first", 0), Integer.getInteger("weft.soak.episodes", 10_000), 11);
    }

    private void check(int first, int schemas, long seed) {
        List<Kind> kinds = kinds();
        int without = 0;
        for (int i = first; i < first + schemas; i++) {
            var random = new Random(seed * 1_000_003 + i);
            JsonNode schema = parsed(new RandomSchemas(random).next().toString());
            Kind kind = kinds.get(i % kinds.size());
            Constraint constraint;
            try {
                constraint = Constraint.jsonSchema(schema, kind.vocabulary());
            } catch (ConstraintException e) {
                assertThat(e).as("schema %d: %s", i, schema).hasMessageContaining("allows no text");
                without++;
                continue;
            }
            var writer = new TextWriter(kind.vocabulary(), kind.tokens(), random);
            JsonSchema validator = validator(schema);
            for (int j = 0; j < 3; j++) {
                Optional<byte[]> text;
                try {
                    text = writer.write(constraint, TOKENS_MAX, true);
                } catch (AssertionError | RuntimeException e) {
                    throw new AssertionError("schema " + i + ": " + schema, e);
                }
                assertThat(text).as("an end under schema %d: %s", i, schema).isPresent();
                assertValid(validator, schema, text.get());
            }
            int least = constraint.start().tokensToComplete() + 1;
            for (int most : List.of(least, least + 1 + random.nextInt(5), least + random.nextInt(100))) {
                Optional<byte[]> text = writer.writeWithin(constraint, most);
                assertThat(text)
                        .as("an end within %d under schema %d: %s", most, i, schema)
                        .isPresent();
                assertValid(validator, schema, text.get());
            }
        }
        assertThat(without).as("schemas without a value").isLessThan(schemas / 10);
    }

    @Test
    void timesAreTimes() {
        Kind kind = kind(TestTokenizers.DEMO);
        Constraint constraint = Constraint.jsonSchema("{\"type\":\"string\",\"format\":\"time\"}", kind.vocabulary());
        for (int i = 0; i < 200; i++) {
            byte[] text = new TextWriter(kind.vocabulary(), kind.tokens(), new Random(i))
                    .write(constraint, TOKENS_MAX, true)
                    .orElseThrow();
            String time = parsed(new String(text, StandardCharsets.UTF_8)).textValue();
            assertThat(OffsetTime.parse(time)).as(time).isNotNull();
        }
    }

    private static JsonNode parsed(String json) {
        try {
            return JSON.readTree(json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static JsonSchema validator(JsonNode schema) {
        return JsonSchemaFactory.getInstance(VersionFlag.V202012)
                .getSchema(
                        schema,
                        SchemaValidatorsConfig.builder()
                                .formatAssertionsEnabled(true)
                                .build());
    }

    private static void assertValid(JsonSchema validator, JsonNode schema, byte[] text) {
        String shown = new String(text, StandardCharsets.UTF_8);
        try {
            JsonNode value = JSON.readTree(text);
            assertThat(validator.validate(value))
                    .as("%s under %s", shown, schema)
                    .isEmpty();
        } catch (IOException e) {
            throw new AssertionError(shown + " under " + schema, e);
        }
    }

    @Test
    void whatIsNotEnforcedIsNamedWithItsPlace() {
        Vocabulary vocabulary = kind(TestTokenizers.DEMO).vocabulary();
        for (String[] row : new String[][] {
            {"{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}", "/properties/a/not", "\"not\""},
            {"{\"type\":\"array\",\"uniqueItems\":true}", "/uniqueItems", "\"uniqueItems\""},
            {"{\"type\":\"array\",\"contains\":{}}", "/contains", "\"contains\""},
            {"{\"if\":{},\"then\":{}}", "/if", "\"if\""},
            {"{\"type\":\"object\",\"dependentRequired\":{}}", "/dependentRequired", "\"dependentRequired\""},
            {"{\"type\":\"object\",\"unevaluatedProperties\":false}", "/unevaluatedProperties", "unevaluated"},
            {"{\"type\":\"string\",\"format\":\"iri\"}", "/format", "\"iri\""},
            {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", "the schema", "(?="},
            {"{\"$ref\":\"other.json\"}", "/$ref", "other.json"},
            {"{\"$ref\":\"#/$defs/x\"}", "/$ref", "#/$defs/x"},
            {"{\"$ref\":\"#\"}", "the schema", "itself"},
            {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "/oneOf", "branch 1"},
            {"{\"type\":\"text\"}", "/type", "text"},
            {"{\"anyOf\":[]}", "/anyOf", "anyOf"},
            {"{\"a~b\":1}", "the schema at /a~b", "a~b"},
        }) {
            assertThatThrownBy(() -> Constraint.jsonSchema(row[0], vocabulary))
                    .as(row[0])
                    .isInstanceOf(ConstraintException.class)
                    .hasMessageContaining(row[1])
                    .hasMessageContaining(row[2]);
        }
    }

    @Test
    void branchesThatAConstantTellsApartMayBeRecursive() {
        Kind kind = kind(TestTokenizers.DEMO);
        JsonNode schema = parsed("""
                {"$ref": "#/$defs/E", "$defs": {
                  "E": {"oneOf": [{"$ref": "#/$defs/Add"}, {"$ref": "#/$defs/Number"}]},
                  "Add": {"type": "object", "required": ["left", "right", "kind"], "additionalProperties": false,
                          "properties": {"left": {"$ref": "#/$defs/E"}, "kind": {"const": "add"},
                                         "right": {"$ref": "#/$defs/E"}}},
                  "Number": {"type": "object", "required": ["kind"], "additionalProperties": false,
                             "properties": {"kind": {"$ref": "#/$defs/K"}, "value": {"type": "number"}}},
                  "K": {"enum": ["number", "int"]}}}
                """);
        Constraint constraint = Constraint.jsonSchema(schema, kind.vocabulary());
        int ended = 0;
        for (int i = 0; i < 40; i++) {
            var writer = new TextWriter(kind.vocabulary(), kind.tokens(), new Random(i));
            Optional<byte[]> text = writer.write(constraint, 2_000, true);
            // Trees of which every node may have two more need not end by chance.
            if (text.isPresent()) {
                ended++;
                assertValid(validator(schema), schema, text.get());
            }
        }
        assertThat(ended).isPositive();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                // Pydantic
                """
                {"$defs": {"Color": {"enum": ["red", "green"], "title": "Color", "type": "string"},
                  "Cat": {"properties": {"kind": {"const": "cat", "title": "Kind", "type": "string"},
                    "lives": {"default": 9, "maximum": 9, "minimum": 0, "title": "Lives", "type": "integer"}},
                    "required": ["kind"], "title": "Cat", "type": "object"},
                  "Dog": {"properties": {"kind": {"const": "dog", "title": "Kind", "type": "string"},
                    "friend": {"anyOf": [{"$ref": "#/$defs/Dog"}, {"type": "null"}], "default": null}},
                    "required": ["kind"], "title": "Dog", "type": "object"}},
                 "properties": {"name": {"maxLength": 20, "minLength": 1, "title": "Name", "type": "string"},
                  "born": {"anyOf": [{"format": "date", "type": "string"}, {"type": "null"}], "default": null},
                  "color": {"$ref": "#/$defs/Color", "default": "red"},
                  "pair": {"maxItems": 2, "minItems": 2, "prefixItems": [{"type": "integer"}, {"type": "string"}],
                    "title": "Pair", "type": "array"},
                  "scores": {"additionalProperties": {"type": "number"}, "title": "Scores", "type": "object"},
                  "pet": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"},
                    "propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}},
                 "required": ["name", "pair", "scores", "pet"], "title": "Person", "type": "object"}
                """,
                // Zod
                """
                {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {
                  "n": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
                  "p": {"type": "number", "exclusiveMinimum": 0},
                  "r": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "boolean"}},
                  "mail": {"type": "string", "format": "email", "pattern":
                    "^(?!\\\\.)(?!.*\\\\.\\\\.)([A-Za-z0-9_'+\\\\-\\\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\\\-]*\\\\.)+[A-Za-z]{2,}$"},
                  "u": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]}},
                 "required": ["n", "p", "r", "mail"], "additionalProperties": false}
                """,
                // LangChain4j
                """
                {"type": "object", "properties": {"title": {"type": "string", "description": "a title"},
                  "year": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}},
                  "author": {"$ref": "#/$defs/a"}}, "required": ["title", "year"], "additionalProperties": false,
                 "$defs": {"a": {"type": "object", "properties": {"name": {"type": "string"},
                  "works": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "required": []}}}
                """
            })
    void schemasOfLibrariesAreTaken(String json) {
        JsonNode schema = parsed(json);
        JsonSchema validator = validator(schema);
        for (Kind kind : kinds()) {
            Constraint constraint = Constraint.jsonSchema(json, kind.vocabulary());
            for (int i = 0; i < 10; i++) {
                byte[] text = new TextWriter(kind.vocabulary(), kind.tokens(), new Random(i))
                        .write(constraint, TOKENS_MAX, true)
                        .orElseThrow();
                assertValid(validator, schema, text);
            }
        }
    }

    @Test
    void hostileSchemasAreRefused() {
        Vocabulary vocabulary = kind(TestTokenizers.DEMO).vocabulary();
        var hostile = new ArrayList<String>();
        hostile.add("{\"type\":\"string\",\"maxLength\":2000000000}");
        hostile.add(
                "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[a-z]{50}$\"},\"minItems\":1000000}");
        hostile.add("{\"type\":\"string\",\"pattern\":\"(((a{1000}){1000}){1000}){1000}\"}");
        hostile.add("{\"type\":\"string\",\"pattern\":\"((((((((){9999}){9999}){9999}){9999}){9999}){9999}){9999})\"}");
        hostile.add("{\"type\":\"string\",\"pattern\":\"" + "(a?){99}".repeat(90) + "\"}");
        hostile.add("{\"type\":\"number\",\"minimum\":1e999999999}");
        hostile.add("{\"type\":\"number\",\"multipleOf\":1e-999999999}");
        hostile.add("[".repeat(900) + "]".repeat(900));
        String nested = "{\"type\":\"string\"}";
        for (int i = 0; i < 40; i++) {
            nested = "{\"allOf\":[{\"anyOf\":[{\"maxLength\":" + i + "},{\"minLength\":" + i + "}]}," + nested + "]}";
        }
        hostile.add(nested);
        var chain = new StringBuilder("{\"$ref\":\"#/$defs/0\",\"$defs\":{");
        for (int i = 0; i < 20_000; i++) {
            chain.append("\"%d\":{\"$ref\":\"#/$defs/%d\"},".formatted(i, i + 1));
        }
        hostile.add(chain + "\"20000\":{}}}");
        // Each costs much and allows nothing.
        var empty = new StringBuilder("{\"type\":\"object\",\"properties\":{");
        for (int i = 0; i < 5_000; i++) {
            empty.append(
                    "\"%d\":{\"type\":\"string\",\"pattern\":\"^[ab]{900}c$\",\"maxLength\":%d},".formatted(i, 890));
        }
        hostile.add(empty + "\"x\":{}}}");
        for (String schema : hostile) {
            assertThatThrownBy(() -> Constraint.jsonSchema(schema, vocabulary))
                    .as(schema.length() > 100 ? schema.substring(0, 100) : schema)
                    .isInstanceOf(ConstraintException.class);
        }
    }
}
