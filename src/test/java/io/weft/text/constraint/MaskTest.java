package io.weft.text.constraint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** A mask has the tokens that can be added byte by byte, and no others. */
class MaskTest {
    private static BitSet mask(ConstraintState state, Vocabulary vocabulary) {
        var words = new long[vocabulary.words()];
        // Whatever was there before.
        java.util.Arrays.fill(words, 0x5555);
        state.mask(words);
        return BitSet.valueOf(words);
    }

    private static BitSet tokenByToken(ConstraintState state, Vocabulary vocabulary) {
        var allowed = new BitSet();
        for (int token = 0; token < vocabulary.size(); token++) {
            try {
                state.advance(token);
                allowed.set(token);
            } catch (IllegalArgumentException e) {
                // Not allowed.
            }
        }
        return allowed;
    }

    private static void assertMasks(Constraint constraint, Vocabulary vocabulary, Random random, String of) {
        ConstraintState state = constraint.start();
        for (int i = 0; i < 15 && !state.ended(); i++) {
            BitSet mask = mask(state, vocabulary);
            assertThat(mask).as(of).isEqualTo(tokenByToken(state, vocabulary));
            assertThat(mask.isEmpty()).as("a dead end under %s", of).isFalse();
            int token = mask.nextSetBit(random.nextInt(vocabulary.size()));
            state = state.advance(token < 0 ? mask.nextSetBit(0) : token);
        }
    }

    @Test
    void masksOfRandomSchemasEqualTokenByToken() {
        Vocabulary vocabulary = Vocabulary.of(TestVocabularies.jsonLike(3), List.of(0));
        for (int seed = 0; seed < 40; seed++) {
            var random = new Random(seed);
            var schema = new RandomSchemas(random).next();
            Constraint constraint;
            try {
                constraint = Constraint.jsonSchema(schema, vocabulary);
            } catch (ConstraintException e) {
                continue;
            }
            assertMasks(constraint, vocabulary, random, schema.toString());
        }
    }

    @Test
    void masksOfOtherKindsEqualTokenByToken() {
        Vocabulary vocabulary = Vocabulary.of(TestVocabularies.jsonLike(4), List.of(0));
        for (int seed = 0; seed < 20; seed++) {
            var random = new Random(seed);
            assertMasks(Constraint.jsonObject(vocabulary), vocabulary, random, "any object");
            assertMasks(
                    Constraint.choice(List.of("true", "\u65e5\u672c", "\u65e5", ""), vocabulary),
                    vocabulary,
                    random,
                    "choice");
            String expression = RandomSchemas.PATTERNS.get(seed);
            assertMasks(Constraint.regex(expression, vocabulary), vocabulary, random, expression);
        }
    }

    /** As those of drafted rows are, and of requests with one schema: they are the masks that each would have alone. */
    @Test
    void masksThatAreMadeSideBySideAreThose() throws Exception {
        Vocabulary vocabulary = Vocabulary.of(TestVocabularies.jsonLike(5), List.of(0));
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            for (int seed = 0; seed < 20; seed++) {
                var schema = new RandomSchemas(new Random(seed)).next();
                Constraint shared;
                Constraint alone;
                try {
                    shared = Constraint.jsonSchema(schema, vocabulary);
                    alone = Constraint.jsonSchema(schema, vocabulary);
                } catch (ConstraintException e) {
                    continue;
                }
                List<Future<BitSet>> made = new ArrayList<>();
                List<BitSet> expected = new ArrayList<>();
                for (int text = 0; text < 4; text++) {
                    var random = new Random(text);
                    ConstraintState state = alone.start();
                    ConstraintState same = shared.start();
                    for (int i = 0; i < 8 && !state.ended(); i++) {
                        BitSet mask = mask(state, vocabulary);
                        ConstraintState at = same;
                        made.add(threads.submit(() -> mask(at, vocabulary)));
                        expected.add(mask);
                        int token = mask.nextSetBit(random.nextInt(vocabulary.size()));
                        int next = token < 0 ? mask.nextSetBit(0) : token;
                        state = state.advance(next);
                        same = same.advance(next);
                    }
                }
                for (int i = 0; i < made.size(); i++) {
                    assertThat(made.get(i).get()).as("mask %d of %s", i, schema).isEqualTo(expected.get(i));
                }
            }
        }
    }

    /** The bytes that may come after a text, with a vocabulary of bytes; a space if it may end. */
    private static Set<Integer> after(Constraint constraint, byte[] text) {
        Vocabulary vocabulary = Vocabulary.of(TestVocabularies.bytes(), List.of(0));
        ConstraintState state = constraint.start();
        for (byte b : text) {
            state = state.advance(1 + (b & 0xFF));
        }
        var bytes = new TreeSet<Integer>();
        mask(state, vocabulary).stream().forEach(token -> bytes.add(token - 1));
        return bytes;
    }

    private static Set<Integer> after(Constraint constraint, String text) {
        return after(constraint, text.getBytes(StandardCharsets.UTF_8));
    }

    private static Constraint schema(String schema) {
        return Constraint.jsonSchema(schema, Vocabulary.of(TestVocabularies.bytes(), List.of(0)));
    }

    private static Set<Integer> bytesOf(String text) {
        var bytes = new TreeSet<Integer>();
        text.chars().forEach(bytes::add);
        return bytes;
    }

    private static final int END = -1;

    @Test
    void charactersAreCutAnywhere() {
        Constraint faces =
                Constraint.regex("[\\u{1F600}-\\u{1F602}]", Vocabulary.of(TestVocabularies.bytes(), List.of(0)));
        assertThat(after(faces, "")).containsExactly(0xF0);
        assertThat(after(faces, new byte[] {(byte) 0xF0, (byte) 0x9F})).containsExactly(0x98);
        assertThat(after(faces, new byte[] {(byte) 0xF0, (byte) 0x9F, (byte) 0x98}))
                .containsExactly(0x80, 0x81, 0x82);
        assertThat(after(faces, "\uD83D\uDE00")).containsExactly(END);
    }

    @Test
    void noOverlongFormsAndNoSurrogates() {
        Constraint any = schema("{\"type\":\"string\"}");
        assertThat(after(any, "\""))
                .doesNotContain(0xC0, 0xC1, 0xF5, 0xFF, 0x80, 0x1F)
                .contains(0xC2, 0xF4, 0x7F);
        assertThat(after(any, new byte[] {'"', (byte) 0xE0}))
                .doesNotContain(0x9F)
                .contains(0xA0, 0xBF);
        assertThat(after(any, new byte[] {'"', (byte) 0xED}))
                .doesNotContain(0xA0)
                .contains(0x80, 0x9F);
        assertThat(after(any, new byte[] {'"', (byte) 0xF0}))
                .doesNotContain(0x8F)
                .contains(0x90, 0xBF);
        assertThat(after(any, new byte[] {'"', (byte) 0xF4}))
                .doesNotContain(0x90)
                .contains(0x80, 0x8F);
    }

    @Test
    void escapesStandForCharacters() {
        Constraint face = schema("{\"const\":\"\uD83D\uDE00\"}");
        assertThat(after(face, "\"")).isEqualTo(new TreeSet<>(Set.of((int) '\\', 0xF0)));
        assertThat(after(face, "\"\\")).isEqualTo(bytesOf("u"));
        assertThat(after(face, "\"\\ud83")).isEqualTo(bytesOf("dD"));
        assertThat(after(face, "\"\\ud83d")).isEqualTo(bytesOf("\\"));
        assertThat(after(face, "\"\\ud83d\\uDE0")).isEqualTo(bytesOf("0"));
        assertThat(after(face, "\"\\ud83d\\uDE00")).isEqualTo(bytesOf("\""));
        assertThat(after(schema("{\"const\":\"a\"}"), "\"")).isEqualTo(bytesOf("a"));
        assertThat(after(schema("{\"const\":\"\\n\"}"), "\"\\")).isEqualTo(bytesOf("nu"));
        assertThat(after(schema("{\"const\":\"\\n\"}"), "\"\\u000")).isEqualTo(bytesOf("aA"));
        assertThat(after(schema("{\"type\":\"string\"}"), "\"\\u")).isEqualTo(bytesOf("0123456789abcdefABCDEF"));
        assertThat(after(schema("{\"type\":\"string\"}"), "\"\\u00")).isEqualTo(bytesOf("01789abcdefABCDEF"));
    }

    @Test
    void lengthsCountCharacters() {
        Constraint one = schema("{\"type\":\"string\",\"minLength\":1,\"maxLength\":1}");
        assertThat(after(one, "\"")).doesNotContain((int) '"');
        for (String character : List.of("a", "\u00e9", "\uD83D\uDE00", "\\n", "\\u00e9", "\\ud83d\\ude00")) {
            assertThat(after(one, "\"" + character)).as(character).isEqualTo(bytesOf("\""));
        }
    }

    @Test
    void theEndIsAllowedOnlyWhereTheValueIsComplete() {
        Constraint number = schema("{\"type\":\"integer\",\"minimum\":5,\"maximum\":123}");
        assertThat(after(number, "")).isEqualTo(bytesOf("123456789"));
        assertThat(after(number, "1")).doesNotContain(END).isEqualTo(bytesOf("0123456789"));
        assertThat(after(number, "12"))
                .isEqualTo(new TreeSet<>(Set.of(END, (int) '0', (int) '1', (int) '2', (int) '3')));
        assertThat(after(number, "13")).containsExactly(END);
        Constraint object = schema("{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"a\"]}");
        assertThat(after(object, "{\"a\":[{}]")).isEqualTo(bytesOf("} \n"));
        assertThat(after(object, "{\"a\":[{}]}")).containsExactly(END);
    }

    @Test
    void whiteSpaceIsBounded() {
        Constraint object = schema("{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"a\"]}");
        assertThat(after(object, "{")).isEqualTo(bytesOf(" \n\""));
        assertThat(after(object, "{ ")).isEqualTo(bytesOf("\""));
        assertThat(after(object, "{\n")).isEqualTo(bytesOf(" \""));
        assertThat(after(object, "{\n" + " ".repeat(32))).isEqualTo(bytesOf("\""));
    }

    @Test
    void whatTheVocabularyCannotWriteIsNotBegun() {
        var tokens = new ArrayList<byte[]>(List.of(new byte[0]));
        for (String token : List.of("{", "}", "\"", ":", "1", "a", "ab", "a\u00e9", "b\"", "{\"b", "\"b\":", "\\")) {
            tokens.add(token.getBytes(StandardCharsets.UTF_8));
        }
        Vocabulary vocabulary = Vocabulary.of(tokens, List.of(0));
        for (int seed = 0; seed < 50; seed++) {
            var random = new Random(seed);
            Constraint any = Constraint.jsonObject(vocabulary);
            assertThat(new TextWriter(vocabulary, tokens, random).write(any, 1_000, true))
                    .isPresent();
            assertMasks(any, vocabulary, random, "an object");
        }
        assertThatThrownBy(() -> Constraint.jsonSchema("{\"const\":\"b\"}", vocabulary))
                .isInstanceOf(ConstraintException.class)
                .hasMessageContaining("vocabulary");
    }

    @Test
    void alternativesThatBeginAlikeAreKeptApart() {
        Constraint either = schema("""
                {"anyOf": [
                  {"type":"object","properties":{"p":{"type":"object","properties":{"x":{"const":1}},"required":["x"]},
                                                 "s":{"type":"string"}},"required":["p","s"]},
                  {"type":"object","properties":{"p":{"type":"object","properties":{"x":{"const":1},"y":{"const":2}},
                                                 "required":["x","y"]},"n":{"type":"integer"}},"required":["p","n"]}]}
                """);
        assertThat(after(either, "{\"p\":{\"x\":1")).isEqualTo(bytesOf("},\n "));
        assertThat(after(either, "{\"p\":{\"x\":1},\"")).isEqualTo(bytesOf("s"));
        assertThat(after(either, "{\"p\":{\"x\":1,\"y\":2},\"")).isEqualTo(bytesOf("n"));
    }

    /** Fixed text takes as many tokens as its words, and a mask that has room for no more has only these. */
    @Test
    void fixedTextIsCountedInWords() {
        List<byte[]> tokens = TestVocabularies.bytes();
        int abcd = tokens.size();
        for (String word : List.of("abcd", "efgh", "abc", "\":\"", "name")) {
            tokens.add(word.getBytes(StandardCharsets.UTF_8));
        }
        Vocabulary vocabulary = Vocabulary.of(tokens, List.of(0));

        Constraint choice = Constraint.choice(List.of("abcdefgh", "abx"), vocabulary);
        assertThat(choice.start().tokensToComplete()).isEqualTo(2);
        assertThat(allowed(choice.start(), 3)).containsExactly(abcd);
        assertThat(allowed(choice.start(), 4)).containsExactly(1 + 'a', abcd, abcd + 2);
        assertThat(Constraint.jsonSchema(
                                "{\"type\": \"object\", \"properties\": {\"name\": {\"const\": \"abcdefgh\"}},"
                                        + " \"required\": [\"name\"], \"additionalProperties\": false}",
                                vocabulary)
                        .start()
                        .tokensToComplete())
                // { " name ":" abcd efgh " }
                .isEqualTo(8);
    }

    /** Also where free text has tokens of the same characters, which are judged together. */
    @Test
    void aWordIsKeptAmongTokensOfFreeText() {
        List<byte[]> tokens = TestVocabularies.bytes();
        int word = tokens.size();
        tokens.add("abcdefgh".getBytes(StandardCharsets.UTF_8));
        tokens.add("xy".getBytes(StandardCharsets.UTF_8));
        Vocabulary vocabulary = Vocabulary.of(tokens, List.of(0));

        Constraint constraint = Constraint.regex("[a-z]{1,40}!{30}|abcdefgh", vocabulary);

        assertThat(constraint.start().tokensToComplete()).isEqualTo(1);
        assertThat(allowed(constraint.start(), 2)).containsExactly(word);
    }

    private static List<Integer> allowed(ConstraintState state, int tokensLeft) {
        long[] words = new long[Math.ceilDiv(TestVocabularies.bytes().size() + 10, Long.SIZE)];
        state.mask(words, tokensLeft);
        return BitSet.valueOf(words).stream().boxed().toList();
    }

    @Test
    void aConstraintWithTooManyAlternativesAtOnceIsGivenUp() {
        Vocabulary vocabulary = Vocabulary.of(TestVocabularies.jsonLike(5), List.of(0));
        Constraint wide = Constraint.regex("(?:a?){500}a{500}", vocabulary);
        assertThatThrownBy(() -> {
                    ConstraintState state = wide.start();
                    for (int i = 0; i < 1_000; i++) {
                        mask(state, vocabulary);
                        state = state.advance(1 + 'a');
                    }
                })
                .isInstanceOf(ConstraintException.class)
                .hasMessageContaining("alternatives");
    }
}
