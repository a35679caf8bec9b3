package io.weft.text.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Expressions mean what they mean in {@code java.util.regex}. */
class RegexTest {
    private static final List<String> ALPHABET = List.of("a", "b", "-", "1", "\n", "\u00e9", "\uD83D\uDE00");

    /** All texts of up to four characters. */
    private static List<String> texts() {
        var texts = new ArrayList<>(List.of(""));
        int from = 0;
        for (int length = 1; length <= 4; length++) {
            int to = texts.size();
            for (int i = from; i < to; i++) {
                for (String c : ALPHABET) {
                    texts.add(texts.get(i) + c);
                }
            }
            from = to;
        }
        return texts;
    }

    @Test
    void randomExpressionsAcceptWhatTheLibraryAccepts() {
        List<String> texts = texts();
        for (int seed = 0; seed < 200; seed++) {
            String expression = expression(new Random(seed), 3);
            Pattern pattern = Pattern.compile(expression);
            CharAutomaton whole = Regex.whole(expression);
            CharAutomaton within = Regex.within(expression);
            for (int i = seed % 7; i < texts.size(); i += 7) {
                String text = texts.get(i);
                assertThat(whole.accepts(text))
                        .as("%s on \"%s\"", expression, text)
                        .isEqualTo(pattern.matcher(text).matches());
                assertThat(within.accepts(text))
                        .as("%s in \"%s\"", expression, text)
                        .isEqualTo(pattern.matcher(text).find());
            }
        }
    }

    private static String expression(Random random, int depth) {
        if (depth == 0) {
            List<String> atoms = List.of(
                    "a", "b", "[ab]", "[^a]", "\\d", "\\w", "-", "1", "[a-b1]", "\u00e9", "\uD83D\uDE00", "[^\\d\\n]");
            return atoms.get(random.nextInt(atoms.size()));
        }
        return switch (random.nextInt(8)) {
            case 0, 1 -> expression(random, depth - 1) + expression(random, depth - 1);
            case 2 -> "(?:" + expression(random, depth - 1) + "|" + expression(random, depth - 1) + ")";
            case 3 -> "(" + expression(random, depth - 1) + ")*";
            case 4 -> "(?<g" + depth + random.nextInt(1000) + ">" + expression(random, depth - 1) + ")?";
            case 5 ->
                "(?:" + expression(random, depth - 1) + "){" + random.nextInt(2) + "," + (1 + random.nextInt(2)) + "}";
            // \z is what ECMA-262 means by $; Java's stops before a last line feed too.
            case 6 -> "(?:^" + expression(random, depth - 1) + "|" + expression(random, depth - 1) + "\\z)";
            default -> expression(random, depth - 1);
        };
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "^(?!a)[ab]*\\z",
                "^(?!.*--)[^1]+",
                "^(?=.*b)(?=.*a)\\w{2,}",
                "^(?!a\\z|b\\z)(?:a|b|-)",
                "^(?!)a",
                "^(?=)a",
                "^(?!a)(?:b|-)"
            })
    void whatLooksAheadFromTheBeginningMeansWhatItDoesInTheLibrary(String expression) {
        Pattern pattern = Pattern.compile(expression);
        for (String text : texts()) {
            assertThat(Regex.whole(expression).accepts(text))
                    .as(text)
                    .isEqualTo(pattern.matcher(text).matches());
            assertThat(Regex.within(expression).accepts(text))
                    .as(text)
                    .isEqualTo(pattern.matcher(text).find());
        }
    }

    @Test
    void whatIsWrittenMatches() {
        List<byte[]> tokens = TestVocabularies.jsonLike(1);
        Vocabulary vocabulary = Vocabulary.of(tokens, List.of(0));
        var expressions = new ArrayList<String>();
        for (int seed = 0; seed < 100; seed++) {
            expressions.add(expression(new Random(seed), 4));
        }
        expressions.addAll(RandomSchemas.PATTERNS);
        expressions.addAll(
                List.of(
                        "\\p{Lu}\\p{Ll}{2,}",
                        "(?:\\+\\d{1,3} )?\\d{3}-\\d{4}",
                        ".",
                        "\\S{1,5}",
                        "\\W",
                        "\\D{2}",
                        // What Zod emits for an address.
                        "^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"));
        int ended = 0;
        for (String expression : expressions) {
            Constraint constraint = Constraint.regex(expression, vocabulary);
            for (int i = 0; i < 5; i++) {
                // Some loops have one way out among many tokens, and are left too late by chance.
                Optional<byte[]> text = new TextWriter(vocabulary, tokens, new Random(i)).write(constraint, 500, false);
                if (text.isPresent()) {
                    ended++;
                    assertThat(new String(text.get(), StandardCharsets.UTF_8))
                            .as(expression)
                            .matches(Pattern.compile(expression));
                }
            }
        }
        assertThat(ended).isGreaterThan(expressions.size() * 4);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "(?=a)",
                "(?!a)",
                "(?<=a)",
                "(?<!a)",
                "(?i)a",
                "\\bfoo",
                "(a)\\1",
                "a++",
                "a**",
                "*",
                "(",
                ")",
                "[",
                "a{2,1}",
                "\\",
                "\\p{Nope}",
                "\\u12",
                "[b-a]",
                "[\\d-z]",
                "^*",
                "a{1000000}",
                "(?>a)",
                "\\k<a>",
                "\\07",
                "\uD83D"
            })
    void whatIsNotEnforcedIsRefused(String expression) {
        assertThatThrownBy(() -> Regex.whole(expression))
                .isInstanceOf(ConstraintException.class)
                .hasMessageContaining("regular expression");
    }
}
