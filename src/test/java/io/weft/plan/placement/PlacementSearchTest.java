package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
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
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PlacementSearchTest {
    private static final Set<CacheForm> ALL = new TreeSet<>(CachePolicy.EXACT.forms());
    /** Contents as they are. */
    private static final Set<CacheForm> RAW =
            CacheForm.setOf(CacheForm.DEVICE_KV, CacheForm.DEVICE_ACT, CacheForm.HOST_KV, CacheForm.HOST_ACT);

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

        CostModel costs() {
            CacheGeometry geometry = new CacheGeometry(model.dimensions(), 2, 16, 256);
            return new CostModel(Profiles.measured(spec.profile(geometry)), geometry);
        }

        PlacementSearch search() {
            return new PlacementSearch(costs(), batch, contextTokens, 0);
        }

        Simulated fastest() {
            return fastest(RAW);
        }

        Simulated fastest(Set<CacheForm> forms) {
            return search().fastest(forms, deviceBytes, AMPLE_BYTES).orElseThrow();
        }

        /** What the blocks of a step have of device memory. */
        double deviceBytes(Simulated step) {
            return step.tokens().entrySet().stream()
                    .filter(entry -> entry.getKey().place() == CacheForm.Place.DEVICE)
                    .mapToDouble(entry -> entry.getValue()
                            * costs().geometry().tokenBytes(entry.getKey().encoding()))
                    .sum();
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
            long nanos = question.fastest(ALL).nanos();
            double more = 1 + 0.3 * random.nextDouble();
            Question link = question.withSpec(spec.withLinkBytesPerSecond(spec.linkBytesPerSecond() * more));
            Question device = question.withSpec(spec.withFlopsPerSecond(spec.flopsPerSecond() * more));
            Question memory = question.withDeviceBytes((long) (question.deviceBytes() * more));
            assertThat(link.fastest(ALL).nanos()).as("%s", link).isLessThanOrEqualTo(nanos);
            assertThat(device.fastest(ALL).nanos()).as("%s", device).isLessThanOrEqualTo(nanos);
            assertThat(memory.fastest(ALL).nanos()).as("%s", memory).isLessThanOrEqualTo(nanos);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void noStepIsLongerThanThatOfFewerForms(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 20; i++) {
            Question question = Question.random(random);
            long nanos = question.fastest(ALL).nanos();
            assertThat(nanos)
                    .as("%s", question)
                    .isLessThanOrEqualTo(question.fastest(RAW).nanos());
            for (Encoding encoding : CachePolicy.EXACT.encodings()) {
                Set<CacheForm> alone = CacheForm.setOf(
                        new CacheForm(encoding, CacheForm.Place.DEVICE), new CacheForm(encoding, CacheForm.Place.HOST));
                assertThat(nanos)
                        .as("%s", question)
                        .isLessThanOrEqualTo(question.fastest(alone).nanos());
            }
        }
    }

    /**
     * If its rounded solution fits. The programme knows neither fill nor drain, and rounding costs it more than the
     * family's coarser parts.
     */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void noStepIsMuchLongerThanTheProgrammesSolution(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 40; i++) {
            Question question = Question.random(random);
            PlacementSearch search = question.search();
            PlacementProblem problem = PlacementProblem.decode(
                    question.costs(),
                    new DecodeLoad(question.batch(), question.contextTokens(), search.simulatedChunkTokens()),
                    ALL,
                    0,
                    question.deviceBytes(),
                    AMPLE_BYTES);
            if (new PlacementSolver(problem).solve() instanceof PlacementSolution.Placed placed) {
                Simulated rounded = search.placed(placed.tokensByForm());
                Simulated fastest =
                        search.fastest(ALL, question.deviceBytes(), AMPLE_BYTES).orElseThrow();
                if (question.deviceBytes(rounded) <= question.deviceBytes()) {
                    assertThat((double) fastest.nanos()).as("%s", question).isLessThanOrEqualTo(1.1 * rounded.nanos());
                }
            }
        }
    }

    /** Blocks in any forms, on machines of any times. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void noMemberIsBelowItsBounds(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 40; i++) {
            Question question = Question.random(random);
            CacheGeometry geometry = question.costs().geometry();
            HardwareProfile profile = random.nextBoolean()
                    ? Profiles.withHandoffs(question.spec().profile(geometry), random)
                    : Profiles.random(random).withLinkTimes(1000).withComputeTimes(1000);
            PlacementSearch search = new PlacementSearch(
                    new CostModel(profile, geometry), question.batch(), question.contextTokens(), 0);
            PlacementSearch.LowerBound bound = search.new LowerBound();
            for (int member = 0; member < 6; member++) {
                PlacementSearch.Counts counts = search.new Counts();
                List<CacheForm> forms = new ArrayList<>(CachePolicy.EXACT.forms());
                Collections.shuffle(forms, random);
                int left = search.blocks();
                for (CacheForm form : forms.subList(1, 1 + random.nextInt(4))) {
                    int blocks = random.nextInt(left + 1);
                    counts.set(form, blocks);
                    left -= blocks;
                }
                counts.set(forms.getFirst(), left);
                // Each of at most 4000 stages is rounded to whole nanoseconds.
                double nanos = search.simulated(counts).nanos() + 4000 * 0.5;
                assertThat(bound.nanos(counts))
                        .as("%s with %s", question, counts.parts())
                        .isLessThanOrEqualTo(nanos);
                assertThat(search.leastNanos(counts))
                        .as("%s with %s", question, counts.parts())
                        .isLessThanOrEqualTo(nanos);
            }
        }
    }

    /** All members of the family with contents as they are, checked one by one: the search looks at more. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2})
    void theShortestStepIsNotLongerThanThatOfContentsAsTheyAre(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 8; i++) {
            Question question = Question.random(random);
            PlacementSearch search = question.search();
            double least = shortestOfContents(search, question.deviceBytes());
            Simulated fastest =
                    search.fastest(ALL, question.deviceBytes(), AMPLE_BYTES).orElseThrow();
            assertThat((double) fastest.nanos()).as("%s", question).isLessThanOrEqualTo(1.005 * least);
        }
    }

    /** 64ths on the device, eighths of those as activations, 64ths of the rest as activations. */
    private static double shortestOfContents(PlacementSearch search, long deviceBytes) {
        PlacementSearch.LowerBound bound = search.new LowerBound();
        List<PlacementSearch.Counts> members = new ArrayList<>();
        int blocks = search.blocks();
        for (int onDevice = 0; onDevice <= 64; onDevice++) {
            int device = blocks * onDevice / 64;
            for (int ofDevice = 0; ofDevice <= 8; ofDevice++) {
                for (int ofHost = 0; ofHost <= 64; ofHost++) {
                    PlacementSearch.Counts counts = search.new Counts();
                    int deviceActivations = device * ofDevice / 8;
                    int hostActivations = (blocks - device) * ofHost / 64;
                    counts.set(CacheForm.DEVICE_KV, device - deviceActivations);
                    counts.set(CacheForm.DEVICE_ACT, deviceActivations);
                    counts.set(CacheForm.HOST_KV, blocks - device - hostActivations);
                    counts.set(CacheForm.HOST_ACT, hostActivations);
                    if (counts.bytes(CacheForm.Place.DEVICE) <= deviceBytes) {
                        members.add(counts);
                    }
                }
            }
        }
        members.sort(Comparator.comparingDouble(bound::nanos));
        double least = Double.POSITIVE_INFINITY;
        for (PlacementSearch.Counts counts : members) {
            if (bound.nanos(counts) >= least) {
                return least;
            }
            if (search.leastNanos(counts) < least) {
                least = Math.min(least, search.simulated(counts).nanos());
            }
        }
        return least;
    }
}
