package io.weft.api.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.weft.api.http.ApiError;
import io.weft.api.http.ApiException;
import io.weft.text.constraint.Syntax;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.StreamSupport;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Fields that say what the text must be. Servers have several names for the same thing; a request may use one of them.
 * Null means absent.
 *
 * @param responseFormat OpenAI's: {@code text}, {@code json_object} or {@code json_schema}
 * @param structuredOutputs vLLM's: {@code json}, {@code json_object}, {@code regex} or {@code choice}
 * @param guidedJson vLLM's older names
 * @param jsonSchema llama.cpp's
 * @param regex SGLang's
 */
@JsonNaming(SnakeCaseStrategy.class)
record OutputFields(
        @Nullable @Schema(implementation = Object.class) JsonNode responseFormat,
        @Nullable @Schema(implementation = Object.class) JsonNode structuredOutputs,
        @Nullable @Schema(implementation = Object.class) JsonNode guidedJson,
        @Nullable @Schema(implementation = String.class) JsonNode guidedRegex,
        @Nullable @Schema(implementation = String[].class) JsonNode guidedChoice,
        @Nullable @Schema(implementation = Object.class) JsonNode jsonSchema,
        @Nullable @Schema(implementation = String.class) JsonNode regex,
        @Nullable @Schema(hidden = true) Object guidedGrammar,
        @Nullable @Schema(hidden = true) Object guidedWhitespacePattern,
        @Nullable @Schema(hidden = true) Object grammar,
        @Nullable @Schema(hidden = true) Object ebnf,
        @Nullable @Schema(hidden = true) Object structuralTag,
        @Nullable @Schema(hidden = true) Object format) {
    private static final String RESPONSE_FORMAT = "response_format";
    private static final String STRUCTURED_OUTPUTS = "structured_outputs";

    /** The members of {@code structured_outputs} that ask for nothing when they are null or false. */
    private static final Set<String> CHOICES_OF_OUTPUT = Set.of("json", "json_object", "regex", "choice");

    /** What the text must be, and the field that says so. */
    sealed interface Output {
        /** The field, with dots before the names of members. */
        String field();

        /** Any JSON object. */
        record AnyObject(String field) implements Output {}

        /** JSON of a schema. */
        record Json(String field, JsonNode schema) implements Output {}

        /** A text that a regular expression describes. */
        record Regex(String field, String expression) implements Output {}

        /** One of these texts. */
        record Choice(String field, List<String> texts) implements Output {}

        /** A text with something else in it, such as calls of tools. */
        record Written(String field, Syntax syntax) implements Output {}

        /** The same as a text, or a part of one. */
        default Syntax syntax() {
            return switch (this) {
                case AnyObject any -> Syntax.Json.ANY_OBJECT;
                case Json(String field, JsonNode schema) -> new Syntax.Json("", schema);
                case Regex regex -> new Syntax.Expression(regex.expression());
                case Choice choice -> new Syntax.Choice(choice.texts());
                case Written written -> written.syntax();
            };
        }
    }

    /**
     * What the text must be; empty if it may be anything.
     *
     * @throws ApiException 400 for a value that has the wrong shape, for a field that is not supported, or for two that
     *     ask for different things
     */
    Optional<Output> output() {
        UnsupportedFields.requireOff("guided_grammar", guidedGrammar);
        UnsupportedFields.requireOff("guided_whitespace_pattern", guidedWhitespacePattern);
        UnsupportedFields.requireOff("grammar", grammar);
        UnsupportedFields.requireOff("ebnf", ebnf);
        UnsupportedFields.requireOff("structural_tag", structuralTag);
        UnsupportedFields.requireOff("format", format);
        List<Output> all = new ArrayList<>();
        ofResponseFormat().ifPresent(all::add);
        all.addAll(ofStructuredOutputs());
        schema("guided_json", orMissing(guidedJson)).ifPresent(all::add);
        expression("guided_regex", orMissing(guidedRegex)).ifPresent(all::add);
        choice("guided_choice", orMissing(guidedChoice)).ifPresent(all::add);
        schema("json_schema", orMissing(jsonSchema)).ifPresent(all::add);
        expression("regex", orMissing(regex)).ifPresent(all::add);
        if (all.size() > 1) {
            throw ApiError.badField(
                            all.get(1).field(),
                            "%s and %s are both given, there may be one of them."
                                    .formatted(all.get(0).field(), all.get(1).field()))
                    .exception();
        }
        return all.stream().findFirst();
    }

    private Optional<Output> ofResponseFormat() {
        JsonNode given = orMissing(responseFormat);
        if (isAbsent(given) || (given.isObject() && given.isEmpty())) {
            return Optional.empty();
        }
        if (!given.isObject()) {
            throw wrong(RESPONSE_FORMAT, given, "an object with a type");
        }
        JsonNode type = given.path("type");
        return switch (type.asText()) {
            case "text" -> Optional.empty();
            case "json_object" -> {
                // llama.cpp takes a schema here.
                Optional<Output> schema = schema(RESPONSE_FORMAT + ".schema", given.path("schema"));
                yield schema.or(() -> Optional.of(new Output.AnyObject(RESPONSE_FORMAT)));
            }
            case "json_schema" -> Optional.of(jsonSchemaFormat(given.path("json_schema")));
            default -> throw wrong(RESPONSE_FORMAT + ".type", type, "\"text\", \"json_object\" or \"json_schema\"");
        };
    }

    private static Output jsonSchemaFormat(JsonNode format) {
        String field = RESPONSE_FORMAT + ".json_schema";
        if (!format.isObject()) {
            throw wrong(field, format, "an object with a schema");
        }
        return schema(field + ".schema", format.path("schema"))
                .orElseThrow(() -> wrong(field + ".schema", format.path("schema"), "a JSON schema"));
    }

    private List<Output> ofStructuredOutputs() {
        JsonNode given = orMissing(structuredOutputs);
        if (isAbsent(given)) {
            return List.of();
        }
        if (!given.isObject()) {
            throw wrong(STRUCTURED_OUTPUTS, given, "an object");
        }
        for (Map.Entry<String, JsonNode> member : given.properties()) {
            String field = STRUCTURED_OUTPUTS + "." + member.getKey();
            boolean asksForNothing =
                    isAbsent(member.getValue()) || member.getValue().equals(BooleanNode.FALSE);
            if (!asksForNothing && !CHOICES_OF_OUTPUT.contains(member.getKey())) {
                throw ApiError.badField(
                                STRUCTURED_OUTPUTS,
                                "%s is given, must be left out: it is not supported.".formatted(field))
                        .exception();
            }
        }
        List<Output> all = new ArrayList<>();
        schema(STRUCTURED_OUTPUTS + ".json", given.path("json")).ifPresent(all::add);
        expression(STRUCTURED_OUTPUTS + ".regex", given.path("regex")).ifPresent(all::add);
        choice(STRUCTURED_OUTPUTS + ".choice", given.path("choice")).ifPresent(all::add);
        if (given.path("json_object").asBoolean()) {
            all.add(new Output.AnyObject(STRUCTURED_OUTPUTS + ".json_object"));
        }
        return all;
    }

    /** A schema, as JSON or as text of JSON. */
    private static Optional<Output> schema(String field, JsonNode value) {
        if (isAbsent(value) || (value.isTextual() && value.asText().isEmpty())) {
            return Optional.empty();
        }
        if (!value.isObject() && !value.isBoolean() && !value.isTextual()) {
            throw wrong(field, value, "a JSON schema");
        }
        return Optional.of(new Output.Json(field, value));
    }

    private static Optional<Output> expression(String field, JsonNode value) {
        if (isAbsent(value) || (value.isTextual() && value.asText().isEmpty())) {
            return Optional.empty();
        }
        if (!value.isTextual()) {
            throw wrong(field, value, "a regular expression");
        }
        return Optional.of(new Output.Regex(field, value.asText()));
    }

    private static Optional<Output> choice(String field, JsonNode value) {
        if (isAbsent(value) || (value.isArray() && value.isEmpty())) {
            return Optional.empty();
        }
        if (!value.isArray()
                || !StreamSupport.stream(value.spliterator(), false).allMatch(JsonNode::isTextual)) {
            throw wrong(field, value, "a list of strings");
        }
        return Optional.of(new Output.Choice(
                field,
                StreamSupport.stream(value.spliterator(), false)
                        .map(JsonNode::asText)
                        .toList()));
    }

    private static JsonNode orMissing(@Nullable JsonNode value) {
        return value == null ? MissingNode.getInstance() : value;
    }

    private static boolean isAbsent(JsonNode value) {
        return value.isNull() || value.isMissingNode();
    }

    private static ApiException wrong(String field, JsonNode value, String wanted) {
        return JsonFields.wrong(field, isAbsent(value) ? MissingNode.getInstance() : value, wanted);
    }
}
