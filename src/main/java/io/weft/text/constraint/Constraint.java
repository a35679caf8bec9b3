package io.weft.text.constraint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.List;

/**
 * The texts that a request allows: those of a regular expression, of a list, or JSON. Made once for a request, or kept
 * for many; a text that obeys it starts at {@link #start}.
 *
 * <p>Thread-safe: masks of one constraint, of one text or of several, are made side by side, and share what is found.
 *
 * <p>Making one throws {@link ConstraintException} if the constraint cannot be enforced: it is wrong, has a part that
 * is not known here, is too large, or allows nothing. What it costs to make is bounded. So is what its masks cost: a
 * constraint with too many alternatives at once throws only then, from {@link ConstraintState#mask}.
 */
public final class Constraint {
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private final Machine machine;

    private Constraint(Grammar grammar, Vocabulary vocabulary) {
        grammar.finish(vocabulary);
        this.machine = new Machine(grammar, vocabulary);
    }

    /**
     * A text that a regular expression describes as a whole: the syntax of ECMA-262 without what looks around
     * ({@code (?=}, {@code \b}), but for the beginning, or back ({@code \1}).
     */
    public static Constraint regex(String expression, Vocabulary vocabulary) {
        return syntax(new Syntax.Expression(expression), vocabulary);
    }

    /** One of these texts. */
    public static Constraint choice(List<String> texts, Vocabulary vocabulary) {
        return syntax(new Syntax.Choice(texts), vocabulary);
    }

    /** Any JSON object. */
    public static Constraint jsonObject(Vocabulary vocabulary) {
        return syntax(Syntax.Json.ANY_OBJECT, vocabulary);
    }

    /**
     * JSON that a schema allows; see ADR 0019 for what of JSON Schema is known.
     *
     * <p>Properties come in the order of the schema. Numbers have at most 15 significant digits, integers at most 18,
     * so that they survive double precision and 64 bits. A schema without {@code type} is taken to be of the types that
     * its other keywords are about.
     */
    public static Constraint jsonSchema(JsonNode schema, Vocabulary vocabulary) {
        return syntax(new Syntax.Json("", schema), vocabulary);
    }

    /** @see #jsonSchema(JsonNode, Vocabulary) */
    public static Constraint jsonSchema(String schema, Vocabulary vocabulary) {
        return jsonSchema(parsed(schema), vocabulary);
    }

    /** A schema that may be given as a text of JSON. */
    static JsonNode schema(JsonNode given) {
        return given.isTextual() ? parsed(given.textValue()) : given;
    }

    private static JsonNode parsed(String schema) {
        try {
            return JSON.readTree(schema);
        } catch (JsonProcessingException e) {
            throw new ConstraintException("the schema is no JSON: " + e.getOriginalMessage());
        }
    }

    /** The number of words of a mask, see {@link ConstraintState#mask}. */
    public int words() {
        return machine.vocabulary().words();
    }

    /** A text with JSON in it. */
    public static Constraint syntax(Syntax syntax, Vocabulary vocabulary) {
        var grammar = new Grammar();
        new Syntax.Compiler(grammar, vocabulary, new SchemaWork())
                .add(syntax, grammar.root().start, grammar.root().end);
        return new Constraint(grammar, vocabulary);
    }

    /** The state of a text without tokens. */
    public ConstraintState start() {
        return ConstraintState.start(machine);
    }
}
