package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Profiles;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class PlacementsTest {
    private static final CacheGeometry MULTI_HEAD = Shapes.GEOMETRIES.getFirst();
    private static final CacheGeometry GROUPED = Shapes.GEOMETRIES.get(4);

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void theSplitIsTheBestOfAllSplits(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 200; i++) {
            double x = random.nextInt(20);
            double k = random.nextInt(30);
            double c = random.nextInt(60);
            int tokens = random.nextInt(300);
            long split = Placements.splitTokens(x, k, c, tokens);
            assertThat(split).isBetween(0L, (long) tokens);
            double best = IntStream.rangeClosed(0, tokens)
                    .mapToDouble(l -> Placements.splitNanos(x, k, c, tokens, l))
                    .min()
                    .orElseThrow();
            assertThat(Placements.splitNanos(x, k, c, tokens, split))
                    .as("x %s, k %s, c %s, T %s", x, k, c, tokens)
                    .isCloseTo(best, within(1e-6));
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void theShareIsTheBestOfAllShares(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 200; i++) {
            double x = random.nextInt(20);
            double k = random.nextInt(30);
            double c = random.nextInt(60);
            long tokens = random.nextInt(300);
            double base = random.nextInt(4000);
            double share = Placements.balancedShare(x, k, c, base, tokens);
            assertThat(share).isBetween(0.0, 1.0);
            double step = stepNanos(x, k, c, base, tokens, share);
            for (int s = 0; s <= 500; s++) {
                assertThat(step)
                        .as("x %s, k %s, c %s, C0 %s, T %s", x, k, c, base, tokens)
                        .isLessThanOrEqualTo(stepNanos(x, k, c, base, tokens, s / 500.0) + 1e-6);
            }
        }
    }

    private static double stepNanos(double x, double k, double c, double base, long tokens, double share) {
        return Math.max(tokens * (share * x + (1 - share) * k), base + tokens * share * c);
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.001, 0.25, 1.0 / 3, 0.5, 0.61803, 0.97, 1})
    void aShareIsSpreadEvenly(double share) {
        int activations = 0;
        for (int blocks = 1; blocks <= 2000; blocks++) {
            activations += Placements.isActivation(blocks - 1, share) ? 1 : 0;
            assertThat(Math.abs(activations - blocks * share)).isLessThanOrEqualTo(0.5 + 1e-9);
        }
    }

    @ParameterizedTest
    @EnumSource(Schedule.class)
    void nothingIsRecomputedWhereActivationsAreNotSmaller(Schedule schedule) {
        Placements placements = placements(GROUPED, 1, 0.001, 0);
        assertThat(placements.activationShare()).isZero();
        assertThat(forms(placements.policy(schedule), 40)).doesNotContain(CacheForm.HOST_ACT, CacheForm.DEVICE_ACT);
    }

    @Test
    void everythingIsRecomputedOnASlowLink() {
        Placements placements = placements(MULTI_HEAD, 1000, 1, 0.001);
        assertThat(placements.activationShare()).isEqualTo(1);
        assertThat(forms(placements.policy(Schedule.CHUNKED), 40)).containsOnly(CacheForm.HOST_ACT);
        // The paper's schedule keeps the link busy while it recomputes: not quite everything.
        assertThat(forms(placements.policy(Schedule.KVPR), 32)).containsOnly(CacheForm.HOST_ACT);
    }

    @Test
    void nothingIsRecomputedWhereComputeIsShort() {
        Placements placements = placements(MULTI_HEAD, 0.001, 1, 1000);
        assertThat(placements.activationShare()).isZero();
        assertThat(forms(placements.policy(Schedule.CHUNKED), 40)).containsOnly(CacheForm.HOST_KV);
    }

    @Test
    void theComputeThatHappensAnywayLeavesLessForRecomputation() {
        double idle = placements(MULTI_HEAD, 1, 400, 0).activationShare();
        double busy = placements(MULTI_HEAD, 1, 400, 50).activationShare();
        assertThat(idle).isBetween(0.1, 0.9);
        assertThat(busy).isLessThan(idle).isGreaterThan(0);
    }

    @Test
    void thePapersScheduleRecomputesTheFirstTokensOfThePrompt() {
        // k = 512 ns, c = 512 ns: half of the prompt.
        List<CacheForm> forms = forms(placements(MULTI_HEAD, 1, 512, 1).policy(Schedule.KVPR), 40);
        assertThat(forms.subList(0, 16)).containsOnly(CacheForm.HOST_ACT);
        assertThat(forms.subList(16, 40)).containsOnly(CacheForm.HOST_KV);
    }

    @Test
    void deviceMemoryIsUsedFirstWhenNothingIsAskedFor() {
        Placements placements = placements(MULTI_HEAD, 1000, 1, 0.001);
        assertThat(placements.automatic().forms(3, 100)).containsExactly(CacheForm.DEVICE_KV, CacheForm.HOST_ACT);
        assertThat(placements.policy(Schedule.RESIDENT).forms(3, 100)).containsExactly(CacheForm.DEVICE_KV);
        assertThat(placements.policy(Schedule.FULL_TRANSFER).forms(3, 100)).containsExactly(CacheForm.HOST_KV);
    }

    @Test
    void aSequenceThatFitsTheDeviceStaysThere() {
        Placements placements = placements(MULTI_HEAD, 1000, 1, 0.001);
        PlacementPolicy policy = placements.admission(Occupancy.none(1L << 40, 1L << 40), 512);
        for (int block = 0; block < 32; block++) {
            assertThat(policy.forms(block, 512)).startsWith(CacheForm.DEVICE_KV);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    void sequencesAreAdmittedInTheProportionsOfTheSolution(long seed) {
        Random random = new Random(seed);
        CacheGeometry geometry = random.nextInt(4) == 0 ? GROUPED : MULTI_HEAD;
        Placements placements =
                placements(geometry, 0.1 + random.nextDouble(), random.nextDouble() * 500, random.nextDouble() * 10);
        Occupancy occupancy = new Occupancy(
                random.nextInt(8),
                Map.of(CacheForm.HOST_KV, random.nextLong(2000), CacheForm.DEVICE_KV, random.nextLong(2000)),
                random.nextLong(2_000_000),
                1L << 40);
        int tokens = geometry.blockTokens() * 200;
        PlacementProblem problem = PlacementProblem.admission(placements.costs(), occupancy, tokens, 256);
        Map<CacheForm, Double> solution =
                new PlacementSolver(problem).placed().orElseThrow().tokensByForm();
        PlacementPolicy policy = placements.admission(occupancy, tokens);
        Map<CacheForm, Integer> blocks = new EnumMap<>(CacheForm.class);
        for (int block = 0; block < 200; block++) {
            List<CacheForm> forms = policy.forms(block, 1);
            // A form on the host ends the list, and there always is one.
            assertThat(forms.getLast().place()).isEqualTo(CacheForm.Place.HOST);
            assertThat(forms.subList(0, forms.size() - 1)).allMatch(form -> form.place() == CacheForm.Place.DEVICE);
            blocks.merge(forms.getFirst(), 1, Integer::sum);
        }
        for (CacheForm form : CacheForm.values()) {
            assertThat((double) blocks.getOrDefault(form, 0))
                    .as("%s of %s", form, solution)
                    .isCloseTo(solution.get(form) / geometry.blockTokens(), within(2.0));
        }
    }

    @Test
    void whatDoesNotFitIsPlacedAsIfThereWereRoom() {
        Placements placements = placements(MULTI_HEAD, 1000, 1, 0.001);
        assertThat(placements.admission(Occupancy.none(0, 0), 512).forms(0, 512))
                .containsExactly(CacheForm.DEVICE_KV, CacheForm.HOST_ACT);
    }

    /** Forms of the first blocks for a prompt of 512 tokens. */
    private static List<CacheForm> forms(PlacementPolicy policy, int blocks) {
        return IntStream.range(0, blocks)
                .mapToObj(block -> policy.forms(block, 512).getLast())
                .toList();
    }

    private static Placements placements(CacheGeometry geometry, double link, double recompute, double other) {
        return new Placements(
                new CostModel(Profiles.machine(link, recompute, other), geometry), new DecodeLoad(4, 512, 256));
    }
}
