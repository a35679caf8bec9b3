package io.weft.cache;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * How long it takes to name the blocks of a long prompt. Names are made one after the other on the engine's thread, so
 * this is a part of the time to the first token.
 *
 * <p>Not a test: {@code ./mvnw -Dtest=BlockNamingBenchmark test}.
 */
class BlockNamingBenchmark {
    private static final int TOKENS = 100_000;
    private static final int ROUNDS = 200;

    @Test
    void namesOfALongPrompt() {
        List<Integer> tokens = new Random(1).ints(TOKENS, 0, 128_000).boxed().toList();
        BlockNaming naming = new BlockNaming(new byte[32], maxTokens -> 0);
        for (int blockTokens : new int[] {16, 32, 64, 256}) {
            double[] millis = new double[ROUNDS];
            for (int round = 0; round < ROUNDS; round++) {
                long start = System.nanoTime();
                Prompt.named(tokens, TOKENS, "", naming, blockTokens).nameBefore(TOKENS / blockTokens);
                millis[round] = (System.nanoTime() - start) / 1e6;
            }
            Arrays.sort(millis);
            System.out.printf(
                    "%,d tokens in blocks of %d: %.1f ms in the median, %.1f ms at first or worst%n",
                    TOKENS, blockTokens, millis[ROUNDS / 2], millis[ROUNDS - 1]);
        }
    }
}
