package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CachePolicy;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Weft computes what Hugging Face transformers computes. */
class GoldenTest {
    /** Sums in fp32 in another order, over three layers. */
    private static final double RELATIVE_TOLERANCE = 2e-4;

    @SuppressWarnings("unused")
    private static final List<String> GOLDENS = Golden.NAMES;

    @ParameterizedTest
    @FieldSource("GOLDENS")
    void logitsAndGreedyTokensAreThoseOfTheReference(String name) {
        try (ModelRun run = new ModelRun(Golden.model(name), device(), 16, 32)) {
            Way way = Way.of(Schedule.CHUNKED);
            for (Golden.Prompt prompt : Golden.read(name).prompts()) {
                int tokens = prompt.inputIds().size() + prompt.greedy().size();
                try (CacheSequence sequence = run.admit(
                        tokens,
                        block -> CachePolicy.EXACT
                                .forms()
                                .get(block % CachePolicy.EXACT.forms().size()))) {
                    List<float[]> logits = run.prefill(way, sequence, prompt.inputIds(), 40, LogitRows.ALL);
                    assertThat(logits.stream().map(ModelRun::likeliest)).containsExactlyElementsOf(prompt.allArgmax());
                    assertClose(logits.getLast(), prompt.lastLogits());

                    List<Integer> greedy = new ArrayList<>();
                    greedy.add(ModelRun.likeliest(logits.getLast()));
                    while (greedy.size() < prompt.greedy().size()) {
                        greedy.add(ModelRun.likeliest(run.decode(way, sequence, greedy.getLast())));
                    }
                    assertThat(greedy).isEqualTo(prompt.greedy());
                }
            }
            assertThat(run.cache().usage().open().usedBytes()).isZero();
            assertThat(run.cache().usage().device().usedBytes()).isZero();
            assertThat(run.cache().usage().host().usedBytes()).isZero();
        }
    }

    private static void assertClose(float[] actual, List<Float> expected) {
        double largest = expected.stream().mapToDouble(Math::abs).max().orElseThrow();
        assertThat(actual).hasSize(expected.size());
        for (int i = 0; i < actual.length; i++) {
            assertThat((double) actual[i])
                    .as("logit %d", i)
                    .isCloseTo(
                            (double) expected.get(i),
                            org.assertj.core.api.Assertions.within(RELATIVE_TOLERANCE * largest));
        }
    }

    static CpuDevice device() {
        return new CpuDevice(new CpuOptions(256 << 20, 256 << 20, OptionalDouble.empty(), 2));
    }
}
