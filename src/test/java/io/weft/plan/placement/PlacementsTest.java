package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Profiles;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class PlacementsTest {
    private static final CacheGeometry MULTI_HEAD = Shapes.GEOMETRIES.getFirst();
    /** Contents as they are. */
    private static final Set<CacheForm> RAW =
            CacheForm.setOf(CacheForm.DEVICE_KV, CacheForm.DEVICE_ACT, CacheForm.HOST_KV, CacheForm.HOST_ACT);

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

    /** With K and V and activations as they are: the share that makes both lanes equally busy, in closed form. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void chunksBalanceBothLanes(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 50; i++) {
            CostModel costs = new CostModel(
                    Profiles.machine(0.1 + random.nextDouble(), random.nextDouble() * 500, random.nextDouble() * 10),
                    MULTI_HEAD);
            DecodeLoad load = new DecodeLoad(1 + random.nextInt(8), 16 + random.nextInt(2000), 256);
            Set<CacheForm> forms = CacheForm.setOf(CacheForm.HOST_KV, CacheForm.HOST_ACT);
            double share = new Placements(costs, load, forms).hostShare(CacheForm.HOST_ACT);
            double closed = balancedShare(
                    Route.of(CacheForm.HOST_ACT, costs, load.copyTokens(), 256).nanos(Lane.LINK_IN),
                    Route.of(CacheForm.HOST_KV, costs, load.copyTokens(), 256).nanos(Lane.LINK_IN),
                    Route.of(CacheForm.HOST_ACT, costs, load.copyTokens(), 256).nanos(Lane.COMPUTE),
                    costs.baseNanosBesideLink(load.sequences(), load.totalTokens()),
                    load.totalTokens());
            // A share that gains less than its transfers cost becomes 0 or 1.
            assertThat(share)
                    .as("%s, %s", costs, load)
                    .satisfiesAnyOf(
                            one -> assertThat(one).isCloseTo(closed, within(1.0 / load.totalTokens())),
                            one -> assertThat(one).isIn(0.0, 1.0));
            if (closed > 0.1 && closed < 0.9 && load.totalTokens() > 1000) {
                assertThat(share).as("%s, %s", costs, load).isCloseTo(closed, within(0.01));
            }
        }
    }

    /**
     * The share s that makes max(T·(s·x + (1 − s)·k), C0 + T·s·c) least.
     *
     * @param activationLinkNanos x, of a token
     * @param keyValueLinkNanos k, of a token
     * @param recomputeNanos c, of a token
     * @param baseNanos C0
     * @param tokens T
     */
    static double balancedShare(
            double activationLinkNanos,
            double keyValueLinkNanos,
            double recomputeNanos,
            double baseNanos,
            long tokens) {
        double saved = keyValueLinkNanos - activationLinkNanos;
        double share = (tokens * keyValueLinkNanos - baseNanos) / (tokens * (saved + recomputeNanos));
        return Math.clamp(share, 0, 1);
    }

    /**
     * Whatever forms there are, no even mix of two of them takes less time than the chosen ones, transfers included.
     */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void noMixOfTwoFormsIsFasterThanThatOfChunks(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 50; i++) {
            CostModel costs = new CostModel(
                    Profiles.machine(0.1 + random.nextDouble(), random.nextDouble() * 500, random.nextDouble() * 10),
                    MULTI_HEAD);
            DecodeLoad load = new DecodeLoad(1 + random.nextInt(8), 16 + random.nextInt(2000), 256);
            List<CacheForm> forms = CacheForm.all().stream()
                    .filter(form -> form.place() == Place.HOST && random.nextInt(4) > 0)
                    .toList();
            if (forms.isEmpty()) {
                continue;
            }
            PlacementProblem problem = PlacementProblem.decode(costs, load, forms, 0, 0, 1e18);
            Placements placements = new Placements(costs, load, Set.copyOf(forms));
            double chosen = problem.stepNanos(problem.routes().stream()
                    .map(route -> placements.hostShare(route.form()) * load.totalTokens())
                    .toList());
            // Of forms that are not mixed because of their transfers.
            double transfers = costs.geometry().cachedLayerCount()
                    * (double) Math.ceilDiv(load.totalTokens(), Math.min(256, load.totalTokens()))
                    * costs.profile().linkIn().nanos(1);
            // Tokens are whole.
            double tokenNanos = problem.routes().stream()
                    .flatMap(route -> route.laneNanos().values().stream())
                    .mapToDouble(nanos -> nanos)
                    .sum();
            for (Route one : problem.routes()) {
                for (Route other : problem.routes()) {
                    for (double share = 0; share <= 1; share += 0.02) {
                        double s = share;
                        double mixed = problem.stepNanos(problem.routes().stream()
                                .map(route -> load.totalTokens()
                                        * ((route.equals(one) ? s : 0) + (route.equals(other) ? 1 - s : 0)))
                                .toList());
                        assertThat(chosen).isLessThanOrEqualTo(mixed + 2 * transfers + tokenNanos);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void sharesAreSpreadEvenly(long seed) {
        Random random = new Random(seed);
        Map<CacheForm, Double> weights = new TreeMap<>();
        for (CacheForm form : CacheForm.all()) {
            weights.put(form, random.nextInt(4) == 0 ? 0 : random.nextDouble());
        }
        weights.put(CacheForm.all().get(random.nextInt(CacheForm.all().size())), 1.0);
        double all = weights.values().stream().mapToDouble(weight -> weight).sum();
        FormMix mix = new FormMix(weights);
        Map<CacheForm, Integer> blocks = new TreeMap<>();
        for (int block = 0; block < 2000; block++) {
            blocks.merge(mix.form(block), 1, Integer::sum);
            for (CacheForm form : CacheForm.all()) {
                double share = weights.get(form) / all;
                assertThat(mix.share(form)).isCloseTo(share, within(1e-9));
                assertThat(Math.abs(blocks.getOrDefault(form, 0) - (block + 1) * share))
                        .as("%s of the first %s blocks", form, block + 1)
                        .isLessThanOrEqualTo(2.0);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.001, 0.25, 1.0 / 3, 0.5, 0.61803, 0.97, 1})
    void aShareIsSpreadEvenly(double share) {
        int taken = 0;
        for (int blocks = 1; blocks <= 2000; blocks++) {
            taken += FormMix.isOfShare(blocks - 1, share) ? 1 : 0;
            assertThat(Math.abs(taken - blocks * share)).isLessThanOrEqualTo(0.5 + 1e-9);
        }
    }

    @ParameterizedTest
    @EnumSource(Schedule.class)
    void nothingIsRecomputedWhereActivationsAreNotSmaller(Schedule schedule) {
        Placements placements = placements(GROUPED, 1, 0.001, 0);
        assertThat(placements.hostShare(CacheForm.HOST_ACT)).isZero();
        assertThat(forms(placements.policy(schedule), 40)).doesNotContain(CacheForm.HOST_ACT, CacheForm.DEVICE_ACT);
    }

    @Test
    void everythingIsRecomputedOnASlowLink() {
        Placements placements = placements(MULTI_HEAD, 1000, 1, 0.001);
        assertThat(placements.hostShare(CacheForm.HOST_ACT)).isEqualTo(1);
        assertThat(forms(placements.policy(Schedule.CHUNKED), 40)).containsOnly(CacheForm.HOST_ACT);
        // The paper's schedule keeps the link busy while it recomputes: not quite everything.
        assertThat(forms(placements.policy(Schedule.KVPR), 32)).containsOnly(CacheForm.HOST_ACT);
    }

    @Test
    void nothingIsRecomputedWhereComputeIsShort() {
        Placements placements = placements(MULTI_HEAD, 0.001, 1, 1000);
        assertThat(placements.hostShare(CacheForm.HOST_ACT)).isZero();
        assertThat(forms(placements.policy(Schedule.CHUNKED), 40)).containsOnly(CacheForm.HOST_KV);
    }

    @Test
    void theComputeThatHappensAnywayLeavesLessForRecomputation() {
        double idle = placements(MULTI_HEAD, 1, 400, 0).hostShare(CacheForm.HOST_ACT);
        double busy = placements(MULTI_HEAD, 1, 400, 50).hostShare(CacheForm.HOST_ACT);
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
        CostModel costs = new CostModel(
                Profiles.machine(0.1 + random.nextDouble(), random.nextDouble() * 500, random.nextDouble() * 10),
                geometry);
        Placements placements = new Placements(costs, new DecodeLoad(4, 512, 256));
        Occupancy occupancy = new Occupancy(
                random.nextInt(8),
                Map.of(CacheForm.HOST_KV, random.nextLong(2000), CacheForm.DEVICE_KV, random.nextLong(2000)),
                random.nextLong(2_000_000),
                1L << 40);
        int tokens = geometry.blockTokens() * 200;
        PlacementProblem problem = PlacementProblem.admission(costs, occupancy, tokens, 256);
        Map<CacheForm, Double> solution =
                new PlacementSolver(problem).placed().orElseThrow().tokensByForm();
        PlacementPolicy policy = placements.admission(occupancy, tokens);
        Map<CacheForm, Integer> blocks = new TreeMap<>();
        for (int block = 0; block < 200; block++) {
            List<CacheForm> forms = policy.forms(block, 1);
            // A form on the host ends the list, and there always is one.
            assertThat(forms.getLast().place()).isEqualTo(CacheForm.Place.HOST);
            assertThat(forms.subList(0, forms.size() - 1)).allMatch(form -> form.place() == CacheForm.Place.DEVICE);
            blocks.merge(forms.getFirst(), 1, Integer::sum);
        }
        for (CacheForm form : CacheForm.all()) {
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
                new CostModel(Profiles.machine(link, recompute, other), geometry), new DecodeLoad(4, 512, 256), RAW);
    }
}
