package io.weft.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.weft.text.TextAssembler.Progress;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class TextAssemblerTest {
    private static final String TEXT =
            "The caf\u00e9 \ud83d\ude00\ud83d\udc68\u200d\ud83d\udc69 \u65e5\u672c  says: hello, hello there</s> the end.";

    @TempDir
    static Path directory;

    static Stream<Path> tokenizers() throws IOException {
        return Stream.of(
                TestTokenizers.DEMO,
                TestTokenizers.WORDS,
                TestTokenizers.chatMarkers(directory.resolve("markers")),
                TestTokenizers.sentencePiece(directory.resolve("pieces")),
                TestTokenizers.unigram(directory.resolve("unigram")));
    }

    private static List<Integer> randomTokens(Tokenizer tokenizer, Random random) {
        List<Integer> ofText = tokenizer.encode(TEXT, SpecialTokens.WITH);
        var tokens = new ArrayList<Integer>();
        int length = random.nextInt(0, 60);
        while (tokens.size() < length) {
            switch (random.nextInt(4)) {
                case 0 -> tokens.add(random.nextInt(-1, tokenizer.size() + 2));
                case 1 -> tokens.add(random.nextInt(0, Math.min(262, tokenizer.size())));
                default -> {
                    int start = random.nextInt(ofText.size());
                    tokens.addAll(ofText.subList(start, random.nextInt(start, ofText.size() + 1)));
                }
            }
        }
        return tokens;
    }

    @ParameterizedTest
    @MethodSource("tokenizers")
    void allTextsTogetherAreTheDecodedText(Path model) {
        var random = new Random(11);
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            for (int round = 0; round < 400; round++) {
                List<Integer> tokens = randomTokens(tokenizer, random);
                for (SpecialTokens shown : SpecialTokens.values()) {
                    var assembler = new TextAssembler(tokenizer, List.of(), shown);
                    var text = new StringBuilder();
                    for (int token : tokens) {
                        text.append(assembler.add(token).text());
                    }
                    text.append(assembler.finish());
                    assertThat(text.toString()).isEqualTo(tokenizer.decode(tokens, shown));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("tokenizers")
    void aCompletionIsTheTextOfAllTokensLessThePrompts(Path model) {
        var random = new Random(17);
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            for (int round = 0; round < 400; round++) {
                List<Integer> tokens = randomTokens(tokenizer, random);
                int prompt = random.nextInt(tokens.size() + 1);
                for (SpecialTokens shown : SpecialTokens.values()) {
                    List<Integer> before = tokens.subList(0, prompt);
                    var assembler = new TextAssembler(tokenizer, before, List.of(), shown, Set.of());
                    var text = new StringBuilder(tokenizer.decodeOpen(before, shown));
                    for (int token : tokens.subList(prompt, tokens.size())) {
                        text.append(assembler.add(token).text());
                    }
                    text.append(assembler.finish());
                    assertThat(text.toString()).isEqualTo(tokenizer.decode(tokens, shown));
                }
            }
        }
    }

    @Test
    void aWordThatFollowsAPromptBeginsWithASpace() {
        try (Tokenizer tokenizer = Tokenizer.open(TestTokenizers.sentencePiece(directory.resolve("pieces")))) {
            List<Integer> prompt = tokenizer.encode("hello", SpecialTokens.WITH);
            int the = tokenizer.encode("the", SpecialTokens.WITHOUT).getFirst();
            var follows = new TextAssembler(tokenizer, prompt, List.of(), SpecialTokens.WITHOUT, Set.of());
            assertThat(follows.add(the).text()).isEqualTo(" the");
            var stops = new TextAssembler(tokenizer, prompt, List.of(" the"), SpecialTokens.WITHOUT, Set.of());
            assertThat(stops.add(the)).isEqualTo(new Progress.Stopped("", " the"));
            assertThat(stops.codePoints()).isZero();
            // A prompt of hidden tokens alone is no text.
            var begins = new TextAssembler(tokenizer, List.of(1), List.of(), SpecialTokens.WITHOUT, Set.of());
            assertThat(begins.add(the).text()).isEqualTo("the");
        }
    }

    /** Where a token begins is the length of the text of those before it, in code points. */
    @ParameterizedTest
    @MethodSource("tokenizers")
    void placesAreCodePointsOfTheTextBefore(Path model) {
        var random = new Random(19);
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            for (int round = 0; round < 100; round++) {
                List<Integer> tokens = randomTokens(tokenizer, random);
                var assembler =
                        new TextAssembler(tokenizer, List.of(), List.of("\u00a7\u00a7"), SpecialTokens.WITH, Set.of());
                List<Integer> places = tokenizer.places(tokens, SpecialTokens.WITH);
                for (int i = 0; i < tokens.size(); i++) {
                    String before = tokenizer.decodeOpen(tokens.subList(0, i), SpecialTokens.WITH);
                    assertThat(places.get(i)).isEqualTo(before.codePointCount(0, before.length()));
                    assertThat(assembler.codePoints()).isEqualTo(places.get(i));
                    assembler.add(tokens.get(i));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("tokenizers")
    void aTextEndsAtItsFirstStop(Path model) {
        var random = new Random(13);
        int stopped = 0;
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            for (int round = 0; round < 400; round++) {
                List<Integer> tokens = randomTokens(tokenizer, random);
                String whole = tokenizer.decode(tokens, SpecialTokens.WITHOUT);
                List<String> stops = randomStops(whole, random);
                int cut = stops.stream()
                        .mapToInt(whole::indexOf)
                        .filter(at -> at >= 0)
                        .min()
                        .orElse(whole.length());

                var assembler = new TextAssembler(tokenizer, stops, SpecialTokens.WITHOUT);
                var text = new StringBuilder();
                boolean open = true;
                for (int i = 0; i < tokens.size() && open; i++) {
                    switch (assembler.add(tokens.get(i))) {
                        case Progress.Open(var more) -> text.append(more);
                        case Progress.Stopped(var more, var stop) -> {
                            text.append(more);
                            assertThat(whole.startsWith(stop, cut)).isTrue();
                            open = false;
                            stopped++;
                        }
                    }
                    assertThat(whole).startsWith(text);
                }
                text.append(assembler.finish());
                assertThat(text.toString()).isEqualTo(whole.substring(0, cut));
            }
        }
        assertThat(stopped).isGreaterThan(100);
    }

    /** A stop counts if its last character comes after the exempt tokens. */
    @ParameterizedTest
    @MethodSource("tokenizers")
    void noStopEndsWithinExemptTokens(Path model) {
        var random = new Random(14);
        int later = 0;
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            for (int round = 0; round < 400; round++) {
                List<Integer> tokens = randomTokens(tokenizer, random);
                String whole = tokenizer.decode(tokens, SpecialTokens.WITHOUT);
                List<String> stops = randomStops(whole, random);
                int exempt = random.nextInt(tokens.size() + 1);
                var plain = new TextAssembler(tokenizer, List.of(), SpecialTokens.WITHOUT);
                var decoded = new StringBuilder();
                tokens.subList(0, exempt)
                        .forEach(token -> decoded.append(plain.add(token).text()));
                int cut = stops.stream()
                        .flatMapToInt(stop -> IntStream.rangeClosed(
                                        Math.max(0, decoded.length() - stop.length() + 1), whole.length())
                                .filter(at -> whole.startsWith(stop, at)))
                        .min()
                        .orElse(whole.length());

                var assembler = new TextAssembler(tokenizer, stops, SpecialTokens.WITHOUT);
                var text = new StringBuilder();
                boolean open = true;
                for (int i = 0; i < tokens.size() && open; i++) {
                    if (i < exempt) {
                        text.append(assembler.addExempt(tokens.get(i)));
                    } else {
                        Progress progress = assembler.add(tokens.get(i));
                        text.append(progress.text());
                        open = progress instanceof Progress.Open;
                    }
                }
                text.append(assembler.finish());
                assertThat(text.toString()).as("round %d", round).isEqualTo(whole.substring(0, cut));
                later += exempt > 0 && !open ? 1 : 0;
            }
        }
        assertThat(later).isGreaterThan(20);
    }

    /** Pieces of the text, some of them changed at the end so that only their beginning occurs. */
    private static List<String> randomStops(String text, Random random) {
        if (text.isEmpty()) {
            return List.of("x");
        }
        return IntStream.range(0, random.nextInt(1, 5))
                .mapToObj(i -> {
                    int start = random.nextInt(text.length());
                    int end = Math.min(text.length(), start + random.nextInt(1, 12));
                    return text.substring(start, end) + (random.nextBoolean() ? "" : "\u00a7");
                })
                .toList();
    }

    @ParameterizedTest
    @MethodSource("tokenizers")
    void onlyWhatMayBeAStopIsHeldBack(Path model) {
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            List<Integer> tokens = tokenizer.encode(TEXT, SpecialTokens.WITHOUT);
            List<String> stops = List.of("hello!", "there's", "\n\n");
            var plain = new TextAssembler(tokenizer, List.of(), SpecialTokens.WITH);
            var stopping = new TextAssembler(tokenizer, stops, SpecialTokens.WITH);
            var decoded = new StringBuilder();
            var text = new StringBuilder();
            for (int token : tokens) {
                decoded.append(plain.add(token).text());
                text.append(stopping.add(token).text());
                String held = decoded.substring(text.length());
                assertThat(stops).anySatisfy(stop -> assertThat(stop).startsWith(held));
                assertThat(IntStream.range(0, decoded.length() - held.length())
                                .mapToObj(decoded::substring)
                                .filter(suffix -> stops.stream().anyMatch(stop -> stop.startsWith(suffix))))
                        .isEmpty();
            }
        }
    }

    @Test
    void noCharacterComesInPieces() {
        try (Tokenizer demo = Tokenizer.open(TestTokenizers.DEMO);
                Tokenizer pieces = Tokenizer.open(TestTokenizers.sentencePiece(directory.resolve("pieces")))) {
            for (Tokenizer tokenizer : List.of(demo, pieces)) {
                var assembler = new TextAssembler(tokenizer, List.of(), SpecialTokens.WITHOUT);
                for (int token : tokenizer.encode(TEXT, SpecialTokens.WITH)) {
                    String text = assembler.add(token).text();
                    assertThat(text).doesNotContain("\uFFFD");
                    assertThat(text.isEmpty() || !Character.isHighSurrogate(text.charAt(text.length() - 1)))
                            .isTrue();
                }
                assertThat(assembler.finish()).isEmpty();
            }
        }
    }

    @Test
    void anUnfinishedCharacterComesAtTheEnd() {
        try (Tokenizer tokenizer = Tokenizer.open(TestTokenizers.DEMO)) {
            List<Integer> smile = tokenizer.encode("\ud83d\ude00", SpecialTokens.WITHOUT);
            assertThat(smile).hasSizeGreaterThan(1);
            var assembler = new TextAssembler(tokenizer, List.of(), SpecialTokens.WITHOUT);
            assertThat(assembler.add(smile.getFirst())).isEqualTo(new Progress.Open(""));
            assertThat(assembler.finish()).isEqualTo("\uFFFD");
            assertThat(assembler.finish()).isEmpty();
        }
    }

    @Test
    void theStopThatStartsFirstCounts() {
        try (Tokenizer tokenizer = Tokenizer.open(TestTokenizers.DEMO)) {
            assertThat(end(tokenizer, "xabcd", List.of("bc", "abcd"))).isEqualTo("x|abcd");
            assertThat(end(tokenizer, "xabce", List.of("bc", "abcd"))).isEqualTo("xa|bc");
            assertThat(end(tokenizer, "xabc", List.of("bc", "abcd"))).isEqualTo("xa|");
            assertThat(end(tokenizer, "aaaaab", List.of("aab"))).isEqualTo("aaa|aab");
            assertThat(end(tokenizer, "abababac", List.of("abac"))).isEqualTo("abab|abac");
            assertThat(end(tokenizer, "ab", List.of("abc", "ab"))).isEqualTo("|ab");
            assertThat(end(tokenizer, "ab", List.of("abc"))).isEqualTo("ab|");
        }
    }

    /** Text and stop, of a text that comes letter by letter. */
    private static String end(Tokenizer tokenizer, String text, List<String> stops) {
        var assembler = new TextAssembler(tokenizer, stops, SpecialTokens.WITHOUT);
        var out = new StringBuilder();
        for (String letter : text.chars().mapToObj(Character::toString).toList()) {
            for (int token : tokenizer.encode(letter, SpecialTokens.WITHOUT)) {
                Progress progress = assembler.add(token);
                out.append(progress.text());
                if (progress instanceof Progress.Stopped(var last, var stop)) {
                    assertThatIllegalStateException().isThrownBy(() -> assembler.add(token));
                    return out + "|" + stop + assembler.finish();
                }
            }
        }
        return out + assembler.finish() + "|";
    }

    @Test
    void specialTokensAreShownOnRequest() {
        try (Tokenizer tokenizer = Tokenizer.open(TestTokenizers.DEMO)) {
            var shown = new TextAssembler(tokenizer, List.of("</s>"), SpecialTokens.WITH);
            assertThat(shown.add(2)).isEqualTo(new Progress.Stopped("", "</s>"));
            var hidden = new TextAssembler(tokenizer, List.of("</s>"), SpecialTokens.WITHOUT);
            assertThat(hidden.add(2)).isEqualTo(new Progress.Open(""));
        }
    }

    @Test
    void anEmptyStopIsRefused() {
        try (Tokenizer tokenizer = Tokenizer.open(TestTokenizers.DEMO)) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> new TextAssembler(tokenizer, List.of("a", ""), SpecialTokens.WITH))
                    .withMessageContaining("stop 1");
        }
    }
}
