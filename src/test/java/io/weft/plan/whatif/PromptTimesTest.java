package io.weft.plan.whatif;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelPreset;
import io.weft.model.WeightBits;
import io.weft.plan.machine.HardwareSpec;
import io.weft.plan.prediction.ChunkSizes;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Predictions from data sheets against what prompts took: docs/benchmarks has the measurements. */
class PromptTimesTest {
    private static final Percentage ABOUT = Percentage.withPercentage(25);

    /** The cards that were measured, by their data sheets and with PCIe 5. */
    private enum Card {
        H200(989e12, 4800e9, 141),
        H100_SXM(989e12, 3350e9, 80);

        @SuppressWarnings("ImmutableEnumChecker") // a record of numbers
        private final HardwareSpec spec;

        Card(double flopsPerSecond, double memoryBytesPerSecond, int gigabytes) {
            spec = new HardwareSpec(name(), 55e9, flopsPerSecond, memoryBytesPerSecond, gigabytes * 1_000_000_000L);
        }

        CostModel costs(String model) {
            CacheGeometry geometry =
                    PlanQuestion.usualGeometry(ModelPreset.of(model).dimensions());
            return new CostModel(spec.profile(geometry, WeightBits.PLAIN), geometry);
        }
    }

    @ParameterizedTest
    @CsvSource({
        // H200, 512 rows a step: a service's first prompt, then weft bench.
        "H200, llama-3-8b, host_kv, 512, 1, 100000, 26.65",
        "H200, phi-3-mini, host_kv, 512, 1, 100000, 70.43",
        "H200, phi-3-mini, host_act, 512, 1, 100000, 36.49",
        "H200, gemma-3-12b, host_kv, 512, 1, 100000, 13.58",
        "H200, llama-3-8b, host_kv, 512, 1, 16384, 0.940",
        "H200, opt-6.7b, host_kv, 512, 32, 1024, 0.889",
        // H100, 2048 rows a step.
        "H100_SXM, llama-2-7b, host_act, 2048, 1, 99984, 25.11",
        "H100_SXM, llama-2-7b, host_kv, 2048, 1, 16352, 0.799",
        "H100_SXM, llama-2-7b, host_act, 2048, 1, 16352, 0.980",
        "H100_SXM, llama-2-7b, device_kv, 2048, 1, 16352, 0.764",
        "H100_SXM, llama-2-7b, device_kv, 2048, 4, 8160, 1.175",
        "H100_SXM, llama-3-8b, host_kv, 2048, 1, 16352, 0.789",
        "H100_SXM, llama-3-8b, device_kv, 2048, 1, 16352, 0.773",
        "H100_SXM, llama-3-8b, device_kv, 2048, 1, 4096, 0.120",
        "H100_SXM, opt-13b, device_kv, 2048, 16, 1024, 0.752",
    })
    void areAboutWhatPromptsTook(
            Card card, String model, String label, int stepRows, int prompts, int tokens, double tookSeconds) {
        CacheForm form = CacheForm.ofLabel(label).orElseThrow();
        PromptTimes times = new PromptTimes(card.costs(model), stepRows, Map.of(form, 1L));
        assertThat(prompts * times.nanos(tokens, 0) / 1e9).isCloseTo(tookSeconds, ABOUT);
    }

    /** A service weighs the disk against the first and the last step of what it would compute, as simulated. */
    @Test
    void areAboutWhatTheStepsAreSimulatedToTake() {
        int tokens = 100_000;
        int rows = 512;
        CostModel costs = Card.H200.costs("llama-3-8b");
        CacheGeometry geometry = costs.geometry();
        StepPlanner planner = ChunkSizes.fastest(
                new StepPlanner(
                        geometry,
                        Schedule.FULL_TRANSFER,
                        StagingLayout.usualBytes(geometry, 1, tokens, 141_000_000_000L),
                        1,
                        StagingLayout.SLOTS_USUAL),
                costs,
                shape(geometry, tokens, 1));
        double steps = IntStream.iterate(0, at -> at < tokens, at -> at + rows)
                .mapToLong(at -> costs.stepNanos(planner.plan(shape(geometry, at, Math.min(rows, tokens - at)))))
                .sum();
        double ends = Math.ceilDiv(tokens, rows)
                / 2.0
                * (costs.stepNanos(planner.plan(shape(geometry, 0, rows)))
                        + costs.stepNanos(planner.plan(shape(geometry, tokens - rows, rows))));
        double predicted = new PromptTimes(costs, rows, Map.of(CacheForm.HOST_KV, 1L)).nanos(tokens, 0);
        assertThat(predicted).isCloseTo(steps, Percentage.withPercentage(10));
        assertThat(ends).isCloseTo(steps, Percentage.withPercentage(10));
    }

    private static StepShape shape(CacheGeometry geometry, int cached, int rows) {
        int block = geometry.blockTokens();
        return new StepShape(
                List.of(new SequenceShape(
                        Collections.nCopies(cached / block, CacheForm.HOST_KV),
                        cached % block,
                        rows,
                        Collections.nCopies((cached % block + rows) / block, CacheForm.HOST_KV))),
                new HeadShape(0, 0, 0));
    }
}
