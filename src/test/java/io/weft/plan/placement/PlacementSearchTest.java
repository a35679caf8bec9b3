package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelPreset;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.HardwareSpec;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.PlacementSearch.Simulated;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import java.util.EnumSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PlacementSearchTest {
    private static final Set<CacheForm> ALL = EnumSet.allOf(CacheForm.class);
    private static final long AMPLE_BYTES = 1L << 42;

    /** A question whose cache the host has room for. */
    private record Question(ModelPreset model, HardwareSpec spec, int batch, int contextTokens, long deviceBytes) {
        static Question random(Random random) {
            ModelPreset[] models = {ModelPreset.OPT_1_3B, ModelPreset.OPT_6_7B, ModelPreset.OPT_30B};
            ModelPreset model = models[random.nextInt(models.length)];
            int batch = 1 << random.nextInt(8);
            int contextTokens =
                    random.nextBoolean() ? 1 + random.nextInt(1 << (4 + random.nextInt(11))) : 64 << random.nextInt(7);
            HardwareSpec spec = machine(1e9 * random.nextDouble(5, 65), 1e12 * random.nextDouble(20, 820));
            long cacheBytes = (long) batch * contextTokens * model.dimensions().sum(LayerDimensions::keyValueWidth) * 2;
            return new Question(model, spec, batch, contextTokens, (long) (random.nextDouble() * cacheBytes));
        }

        private static HardwareSpec machine(double linkBytesPerSecond, double flopsPerSecond) {
            return new HardwareSpec("machine", linkBytesPerSecond, flopsPerSecond, 2e12, 80L << 30);
        }

        private PlacementSearch search() {
            CacheGeometry geometry = new CacheGeometry(model.dimensions(), 2, 16, 256);
            HardwareProfile profile = Profiles.measured(spec.profile(geometry));
            return new PlacementSearch(new CostModel(profile, geometry), batch, contextTokens, 0);
        }

        Simulated fastest() {
            return search().fastest(ALL, deviceBytes, AMPLE_BYTES).orElseThrow();
        }

        Question withSpec(HardwareSpec other) {
            return new Question(model, other, batch, contextTokens, deviceBytes);
        }

        Question withDeviceBytes(long other) {
            return new Question(model, spec, batch, contextTokens, other);
        }
    }

    /** Of sequences that are half a cell long, thousands of placements would be as fast at the best rates. */
    @Test
    void aFasterDeviceIsNotSlowerWhereManyPlacementsArePromising() {
        Question slow = new Question(ModelPreset.OPT_6_7B, Question.machine(31.44e9, 725.3e12), 32, 128, 794_710_720);
        Question fast = slow.withSpec(Question.machine(31.44e9, 916.8e12));
        assertThat(fast.fastest().nanos()).isLessThanOrEqualTo(slow.fastest().nanos());
    }

    /** As {@link CostModel#stepNanos} predicts it for one step of many. */
    @Test
    void aStepBeginsWithThePauseBehindTheOneBefore() {
        CacheGeometry geometry = new CacheGeometry(ModelPreset.OPT_6_7B.dimensions(), 2, 16, 256);
        CostModel costs = new CostModel(HardwarePreset.H200.spec().profile(geometry), geometry);
        PlacementSearch search = new PlacementSearch(costs, 16, 256, 0);
        StepPlan plan = new StepPlanner(geometry, Schedule.RESIDENT, 0, 256, 4)
                .plan(Shapes.decode(geometry, 16, 16, CacheForm.DEVICE_KV));
        assertThat(costs.profile().pauseNanos()).isPositive();
        assertThat(search.resident().nanos()).isCloseTo(costs.stepNanos(plan), within(1_000L));
    }

    /** Of machines with any curves: some copies and kernels are best when they are small, some when they are large. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void noSimulatedStepIsBelowTheBound(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 60; i++) {
            Question question = Question.random(random);
            CacheGeometry geometry = new CacheGeometry(question.model().dimensions(), 2, 16, 256);
            HardwareProfile profile = random.nextBoolean()
                    ? Profiles.withHandoffs(question.spec().profile(geometry), random)
                    : Profiles.random(random).withLinkTimes(1000).withComputeTimes(1000);
            long streamedBytes = random.nextInt(4) == 0 ? 1L << 30 : 0;
            PlacementSearch search = new PlacementSearch(
                    new CostModel(profile, geometry), question.batch(), question.contextTokens(), streamedBytes);
            double bound =
                    search.bound(ALL, question.deviceBytes(), AMPLE_BYTES).orElseThrow();
            // Each of some thousand stages is rounded to whole nanoseconds.
            double least = (1 - 1e-6) * bound;
            Simulated fastest =
                    search.fastest(ALL, question.deviceBytes(), AMPLE_BYTES).orElseThrow();
            assertThat((double) fastest.nanos()).as("%s", question).isGreaterThanOrEqualTo(least);
            assertThat((double) search.kvpr().nanos()).as("%s", question).isGreaterThanOrEqualTo(least);
            assertThat((double) search.fullTransfer().nanos())
                    .as("%s", question)
                    .isGreaterThanOrEqualTo(least);
            assertThat((double) search.resident().nanos())
                    .as("%s", question)
                    .isGreaterThanOrEqualTo((1 - 1e-6)
                            * search.bound(ALL, AMPLE_BYTES, AMPLE_BYTES).orElseThrow());
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void aFasterLinkAFasterDeviceOrMoreMemoryNeverSlowsAStepDown(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 60; i++) {
            Question question = Question.random(random);
            HardwareSpec spec = question.spec();
            long nanos = question.fastest().nanos();
            double more = 1 + 0.3 * random.nextDouble();
            Question link = question.withSpec(spec.withLinkBytesPerSecond(spec.linkBytesPerSecond() * more));
            Question device = question.withSpec(spec.withFlopsPerSecond(spec.flopsPerSecond() * more));
            Question memory = question.withDeviceBytes((long) (question.deviceBytes() * more));
            assertThat(link.fastest().nanos()).as("%s", link).isLessThanOrEqualTo(nanos);
            assertThat(device.fastest().nanos()).as("%s", device).isLessThanOrEqualTo(nanos);
            assertThat(memory.fastest().nanos()).as("%s", memory).isLessThanOrEqualTo(nanos);
        }
    }
}
