package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Layers with a window keep what rows still see, and nothing else. */
class WindowTest {
    private static final int TOKENS = 230;
    /** The ring of such steps is far shorter than the sequence. */
    private static final int ROWS = 12;

    private static final StepLimits NARROW = new StepLimits(3, ROWS, ROWS, 0, 320);

    /** Beside a sequence that comes and goes, whose ring lies where it did. */
    @ParameterizedTest
    @ValueSource(strings = {"mistral-window", "gemma3", "gpt-oss"})
    void aRingThatIsReusedGivesTheBitsOfOneThatHoldsAll(String name) {
        List<Integer> prompt = new Random(3).ints(TOKENS, 3, 384).boxed().toList();
        for (int blockTokens : List.of(1, 5, 16)) {
            int cellTokens = blockTokens == 5 ? 20 : 32;
            List<float[]> whole;
            try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), blockTokens, cellTokens)) {
                whole = logits(run, prompt, prompt.size(), new Random(5));
                assertThat(run.cache().ringBytes(TOKENS))
                        .isEqualTo(run.cache().geometry().blocks(TOKENS)
                                * run.cache().geometry().windowBlockBytes());
            }
            try (ModelRun run =
                    new ModelRun(Golden.model(name), GoldenTest.device(), blockTokens, cellTokens, NARROW)) {
                List<float[]> inPieces = logits(run, prompt, ROWS, new Random(5));
                for (int i = 0; i < whole.size(); i++) {
                    assertThat(inPieces.get(i))
                            .as("row %d, blocks of %d", i, blockTokens)
                            .containsExactly(whole.get(i));
                }
                CacheGeometry geometry = run.cache().geometry();
                assertThat(run.cache().ringBytes(TOKENS))
                        .isLessThanOrEqualTo((geometry.window() + ROWS + 2L * blockTokens)
                                * geometry.windowBlockBytes()
                                / blockTokens);
                assertThat(run.cache().usage().device().usedBytes()).isZero();
            }
        }
    }

    /** The logits of all rows of a prompt, in pieces of random sizes. */
    private static List<float[]> logits(ModelRun run, List<Integer> prompt, int pieceTokens, Random random) {
        List<float[]> all = new ArrayList<>();
        try (CacheSequence sequence = run.admit(prompt.size(), block -> CacheForm.HOST_KV)) {
            for (int from = 0; from < prompt.size(); ) {
                int to = Math.min(prompt.size(), from + 1 + random.nextInt(Math.min(pieceTokens, 128)));
                Way way = Way.of(Schedule.values()[random.nextInt(Schedule.values().length)]);
                List<StepSequence> parts = new ArrayList<>();
                parts.add(ModelRun.part(sequence, prompt.subList(from, to), LogitRows.ALL));
                all.addAll(run.step(way, parts));
                from = to;
            }
        }
        return all;
    }
}
