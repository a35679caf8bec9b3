package io.weft.text.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.text.constraint.Syntax.AnyOf;
import io.weft.text.constraint.Syntax.Free;
import io.weft.text.constraint.Syntax.Json;
import io.weft.text.constraint.Syntax.Literal;
import io.weft.text.constraint.Syntax.Mark;
import io.weft.text.constraint.Syntax.Repeated;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Texts with JSON in them; the expected texts are a regular expression's of {@code java.util.regex}. */
class SyntaxTest {
    private static final List<byte[]> TOKENS = TestVocabularies.jsonLike(3);
    private static final Vocabulary SPELLED = Vocabulary.of(TOKENS, List.of(0));
    private static final int TOKENS_MAX = 5_000;

    private static JsonNode json(String text) {
        try {
            return new ObjectMapper().readTree(text);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(text, e);
        }
    }

    private static final Syntax NUMBER_OR_BOOLEAN = new AnyOf(List.of(
            Syntax.sequence(new Literal("n:"), new Json("n", json("{\"type\":\"integer\",\"maximum\":99}"))),
            Syntax.sequence(
                    new Literal("o:{"),
                    new Json(
                            "o",
                            json("{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,[true]]}},"
                                    + "\"required\":[\"a\"],\"additionalProperties\":false}")),
                    new Literal("}"))));
    private static final String NUMBER_OR_BOOLEAN_TEXT = "(n:-?\\d+|o:\\{\\{\\s*\"a\":\\s*(1|\\[\\s*true\\s*])\\s*}})";

    private static void assertWrites(Syntax syntax, Vocabulary vocabulary, List<byte[]> shown, String expression) {
        Constraint constraint = Constraint.syntax(syntax, vocabulary);
        Pattern pattern = Pattern.compile(expression, Pattern.DOTALL);
        for (int i = 0; i < 200; i++) {
            byte[] text = new TextWriter(vocabulary, shown, new Random(i))
                    .write(constraint, TOKENS_MAX, true)
                    .orElseThrow();
            assertThat(new String(text, StandardCharsets.UTF_8)).matches(pattern);
        }
    }

    @Test
    void sequencesOfAlternativesThatRepeat() {
        assertWrites(
                Syntax.sequence(
                        new Literal("<"),
                        new Repeated(NUMBER_OR_BOOLEAN, new AnyOf(List.of(new Literal(", "), new Literal("\n")))),
                        Syntax.optional(new Mark("!>"))),
                SPELLED,
                TOKENS,
                "<" + NUMBER_OR_BOOLEAN_TEXT + "((, |\n)" + NUMBER_OR_BOOLEAN_TEXT + ")*(!>)?");
    }

    @Test
    void freeTextEndsAtItsMarks() {
        Syntax syntax = Syntax.sequence(
                new Free(List.of("aab", "k1", "abc"), "{ "),
                Syntax.optional(Syntax.sequence(new Mark("aab"), NUMBER_OR_BOOLEAN)));
        String free = "(?![{ ])((?!aab|k1|abc).)*";
        assertWrites(syntax, SPELLED, TOKENS, free + "(aab" + NUMBER_OR_BOOLEAN_TEXT + ")?");
        // Both ends are reached: a text that is written letter by letter may go either way.
        var state = Constraint.syntax(syntax, SPELLED).start();
        for (char c : "xaaab".toCharArray()) {
            assertThat(state.complete()).isTrue();
            state = state.advance(1 + c);
        }
        assertThat(state.complete()).isFalse();
        for (char c : "n:7".toCharArray()) {
            state = state.advance(1 + c);
        }
        assertThat(state.complete()).isTrue();
    }

    @Test
    void aMarkIsItsControlToken() {
        var tokens = new ArrayList<>(TOKENS);
        tokens.add(new byte[0]);
        tokens.add(new byte[0]);
        int call = tokens.size() - 2;
        Vocabulary vocabulary = Vocabulary.of(tokens, List.of(0), Map.of("<call>", call, "<other>", call + 1));
        var shown = new ArrayList<>(tokens);
        shown.set(call, "<call>".getBytes(StandardCharsets.UTF_8));
        shown.set(call + 1, "<other>".getBytes(StandardCharsets.UTF_8));
        Syntax syntax = Syntax.sequence(
                new Free(List.of("<call>"), ""),
                Syntax.optional(Syntax.sequence(new Mark("<call>"), NUMBER_OR_BOOLEAN, new Mark("."))));
        assertWrites(syntax, vocabulary, shown, "((?!<call>|<other>).)*(<call>" + NUMBER_OR_BOOLEAN_TEXT + "\\.)?");

        var words = new long[vocabulary.words()];
        ConstraintState start = Constraint.syntax(syntax, vocabulary).start();
        start.mask(words);
        assertThat(words[call >>> 6] >>> call & 1).isOne();
        assertThat(words[(call + 1) >>> 6] >>> (call + 1) & 1).isZero();
        assertThatThrownBy(() -> start.advance(call + 1)).isInstanceOf(IllegalArgumentException.class);
        ConstraintState inside = start.advance(call);
        assertThat(inside.complete()).isFalse();
        inside.mask(words);
        assertThat(words[call >>> 6] >>> call & 1).isZero();
        assertThatThrownBy(() -> inside.advance(call)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void manySchemasCostNoMoreThanOne() {
        var expensive = new StringBuilder("{\"type\":\"object\",\"properties\":{");
        for (int i = 0; i < 100; i++) {
            expensive.append(
                    "\"%d\":{\"type\":\"string\",\"pattern\":\"^[ab]{900}c$\",\"maxLength\":890},".formatted(i));
        }
        JsonNode schema = json(expensive + "\"x\":{}}}");
        assertThat(Constraint.jsonSchema(schema, SPELLED)).isNotNull();
        List<Syntax> many = Collections.nCopies(100, new Json("f", schema));
        assertThatThrownBy(() -> Constraint.syntax(new AnyOf(many), SPELLED))
                .isInstanceOf(ConstraintException.class)
                .hasMessageContaining("too much work");
    }

    @Test
    void aSchemaIsNamedWhereItIsWrong() {
        assertThatThrownBy(() -> Constraint.syntax(
                        Syntax.sequence(new Literal("x"), new Json("function f", json("{\"not\":{}}"))), SPELLED))
                .isInstanceOf(ConstraintException.class)
                .hasMessageStartingWith("function f: the schema at /not");
    }
}
