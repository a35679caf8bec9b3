package io.weft.text.constraint;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Made vocabularies; token 0 ends a text. */
public final class TestVocabularies {
    private static final List<String> PIECES = List.of(
            "\"",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\n",
            "\\",
            "\\\"",
            "\\u",
            "00e9",
            "\\ud83d",
            "\\ude00",
            "\\n",
            "true",
            "null",
            "false",
            "0",
            "1",
            "42",
            "-",
            ".5",
            "e",
            "a",
            "ab",
            "name",
            "id",
            "\u00e9",
            "\u65e5\u672c",
            "\uD83D\uDE00",
            "  ",
            "kind",
            "k1");

    private TestVocabularies() {}

    /** Every byte. */
    static List<byte[]> bytes() {
        var tokens = new ArrayList<byte[]>();
        tokens.add(new byte[0]);
        for (int b = 0; b < 256; b++) {
            tokens.add(new byte[] {(byte) b});
        }
        return tokens;
    }

    /** Every byte, and pieces of JSON put together at random and cut anywhere, also within characters. */
    public static List<byte[]> jsonLike(long seed) {
        var random = new Random(seed);
        List<byte[]> tokens = bytes();
        for (int i = 0; i < 500; i++) {
            var text = new StringBuilder();
            for (int j = 0; j <= random.nextInt(4); j++) {
                text.append(PIECES.get(random.nextInt(PIECES.size())));
            }
            byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
            int from = random.nextInt(4) == 0 ? random.nextInt(bytes.length) : 0;
            int to = random.nextInt(4) == 0 ? from + 1 + random.nextInt(bytes.length - from) : bytes.length;
            tokens.add(Arrays.copyOfRange(bytes, from, to));
        }
        // One token that is spelled twice, and one that is never allowed.
        tokens.add("}".getBytes(StandardCharsets.UTF_8));
        tokens.add(new byte[0]);
        return tokens;
    }
}
