package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.PlacementSolution.DoesNotFit;
import io.weft.plan.placement.PlacementSolution.Placed;
import io.weft.plan.placement.PlacementSolution.Shortage;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Shapes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PlacementSolverTest {
    private static final CacheGeometry MULTI_HEAD = Shapes.GEOMETRIES.getFirst();
    private static final CacheGeometry GROUPED = Shapes.GEOMETRIES.get(4);
    private static final Set<CacheForm> RAW =
            CacheForm.setOf(CacheForm.DEVICE_KV, CacheForm.DEVICE_ACT, CacheForm.HOST_KV, CacheForm.HOST_ACT);
    private static final Set<CacheForm> ALL = new TreeSet<>(CacheForm.all());
    private static final double HUGE = 1e18;

    /** Small integers everywhere; one to eight routes, forms may occur twice. */
    private static PlacementProblem random(Random random) {
        List<Route> routes = new ArrayList<>();
        int count = 1 + random.nextInt(8);
        for (int i = 0; i < count; i++) {
            List<CacheForm> exact = CachePolicy.EXACT.forms();
            CacheForm form = exact.get(random.nextInt(4) > 0 ? i : random.nextInt(exact.size()));
            int bytes = 1 + random.nextInt(6);
            boolean onDevice = form.place() == Place.DEVICE;
            Map<Lane, Double> nanos = Map.of(
                    Lane.LINK_IN, (double) random.nextInt(7),
                    Lane.COMPUTE, (double) random.nextInt(7),
                    Lane.LINK_OUT, (double) (random.nextInt(4) == 0 ? random.nextInt(7) : 0));
            routes.add(new Route(form, onDevice ? bytes : 0, onDevice ? 0 : bytes, nanos));
        }
        return new PlacementProblem(
                routes,
                random.nextInt(9),
                Map.of(Lane.LINK_IN, (double) random.nextInt(12), Lane.COMPUTE, (double) random.nextInt(12)),
                random.nextInt(30),
                random.nextInt(30));
    }

    static Stream<PlacementProblem> problems() {
        Random random = new Random(1);
        return IntStream.range(0, 600).mapToObj(i -> random(random));
    }

    @Test
    void wholeSolutionsEqualBruteForce() {
        problems().forEach(problem -> {
            List<Double> best = bruteForce(problem);
            PlacementSolution solution = new PlacementSolver(problem).solveWhole();
            if (best == null) {
                assertThat(solution).as("%s", problem).isInstanceOf(DoesNotFit.class);
            } else {
                assertThat(solution)
                        .as("%s, best is %s", problem, best)
                        .isInstanceOfSatisfying(Placed.class, placed -> {
                            requireValid(placed);
                            assertThat(placed.tokens()).allMatch(tokens -> tokens == Math.rint(tokens));
                            assertThat(placed.stepNanos()).isEqualTo(problem.stepNanos(best));
                            assertThat(placed.hostBytes()).isEqualTo(problem.hostBytes(best));
                            assertThat(placed.deviceBytes()).isEqualTo(problem.deviceBytes(best));
                        });
            }
        });
    }

    /** Fastest, then least host memory, then least device memory, of all whole placements. */
    private static List<Double> bruteForce(PlacementProblem problem) {
        return bruteForce(problem, List.of(), problem.tokens(), null);
    }

    private static List<Double> bruteForce(PlacementProblem problem, List<Double> first, long left, List<Double> best) {
        if (first.size() == problem.routes().size()) {
            boolean fits = left == 0
                    && problem.deviceBytes(first) <= problem.deviceBudgetBytes()
                    && problem.hostBytes(first) <= problem.hostBudgetBytes();
            return fits && (best == null || compare(problem, first, best) < 0) ? first : best;
        }
        List<Double> found = best;
        for (long tokens = 0; tokens <= left; tokens++) {
            List<Double> next = new ArrayList<>(first);
            next.add((double) tokens);
            found = bruteForce(problem, next, left - tokens, found);
        }
        return found;
    }

    private static int compare(PlacementProblem problem, List<Double> one, List<Double> other) {
        int nanos = Double.compare(problem.stepNanos(one), problem.stepNanos(other));
        int host = Double.compare(problem.hostBytes(one), problem.hostBytes(other));
        int device = Double.compare(problem.deviceBytes(one), problem.deviceBytes(other));
        return nanos != 0 ? nanos : host != 0 ? host : device;
    }

    /** A hundred times the tokens and budgets: what whole tokens lose becomes small. */
    @Test
    void fractionsOfTokensAreNeverWorseAndHardlyBetter() {
        problems().limit(200).forEach(problem -> {
            PlacementSolution solution = new PlacementSolver(problem).solve();
            PlacementProblem large = new PlacementProblem(
                    problem.routes(),
                    100 * problem.tokens(),
                    Map.of(
                            Lane.LINK_IN, 100 * problem.baseNanos().get(Lane.LINK_IN),
                            Lane.COMPUTE, 100 * problem.baseNanos().get(Lane.COMPUTE)),
                    100 * problem.deviceBudgetBytes(),
                    100 * problem.hostBudgetBytes());
            PlacementSolution whole = new PlacementSolver(large).solveWhole();
            if (solution instanceof Placed placed && whole instanceof Placed largePlaced) {
                requireValid(placed);
                assertThat(placed.stepNanos()).isLessThanOrEqualTo(largePlaced.stepNanos() / 100 + 1e-6);
                assertThat(placed.stepNanos()).isCloseTo(largePlaced.stepNanos() / 100, within(0.3));
            } else {
                // A budget that is used up to the last byte leaves no room for rounding.
                assertThat(whole).isInstanceOf(DoesNotFit.class);
            }
        });
    }

    private static void requireValid(Placed placed) {
        PlacementProblem problem = placed.problem();
        assertThat(placed.tokens()).allMatch(tokens -> tokens >= 0);
        assertThat(placed.tokens().stream().mapToDouble(tokens -> tokens).sum())
                .isCloseTo(problem.tokens(), within(1e-6 * Math.max(1, problem.tokens())));
        assertThat(placed.deviceBytes()).isLessThanOrEqualTo(problem.deviceBudgetBytes() * (1 + 1e-9) + 1e-6);
        assertThat(placed.hostBytes()).isLessThanOrEqualTo(problem.hostBudgetBytes() * (1 + 1e-9) + 1e-6);
        assertThat(placed.tokensByForm().values().stream()
                        .mapToDouble(tokens -> tokens)
                        .sum())
                .isCloseTo(problem.tokens(), within(1e-6 * Math.max(1, problem.tokens())));
    }

    @Test
    void whatIsMissingIsExactlyWhatIsMissing() {
        int unfit = 0;
        for (PlacementProblem problem : problems().toList()) {
            if (new PlacementSolver(problem).solveWhole() instanceof DoesNotFit doesNotFit) {
                unfit++;
                assertThat(doesNotFit.missingTokens()).isPositive();
                for (Shortage shortage : doesNotFit.shortages()) {
                    assertThat(shortage.missingBytes()).isPositive();
                    assertThat(new PlacementSolver(more(problem, shortage.memory(), shortage.missingBytes()))
                                    .solveWhole())
                            .as("%s with %s", problem, shortage)
                            .isInstanceOf(Placed.class);
                    assertThat(new PlacementSolver(more(problem, shortage.memory(), shortage.missingBytes() - 1))
                                    .solveWhole())
                            .as("%s with less than %s", problem, shortage)
                            .isInstanceOf(DoesNotFit.class);
                }
            }
        }
        assertThat(unfit).isGreaterThan(50);
    }

    private static PlacementProblem more(PlacementProblem problem, Place memory, double bytes) {
        return new PlacementProblem(
                problem.routes(),
                problem.tokens(),
                problem.baseNanos(),
                problem.deviceBudgetBytes() + (memory == Place.DEVICE ? bytes : 0),
                problem.hostBudgetBytes() + (memory == Place.HOST ? bytes : 0));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void isNeverWorseThanTheOtherSchedules(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 50; i++) {
            CostModel costs = costs(MULTI_HEAD, random);
            DecodeLoad load = new DecodeLoad(1 + random.nextInt(32), 16 + random.nextInt(4000), 256);
            Placed placed =
                    (Placed) new PlacementSolver(PlacementProblem.decode(costs, load, RAW, 0, HUGE, HUGE)).solve();
            Placed onHost = (Placed) new PlacementSolver(PlacementProblem.decode(costs, load, RAW, 0, 0, HUGE)).solve();
            PlacementProblem problem = onHost.problem();
            double base = problem.baseNanos().get(Lane.COMPUTE);
            double resident = Math.max(base, problem.baseNanos().get(Lane.LINK_IN));
            double fullTransfer = problem.stepNanos(only(problem, CacheForm.HOST_KV));
            assertThat(placed.stepNanos()).isLessThanOrEqualTo(resident * (1 + 1e-9));
            assertThat(onHost.stepNanos()).isLessThanOrEqualTo(fullTransfer * (1 + 1e-9));
            double x = route(problem, CacheForm.HOST_ACT).nanos(Lane.LINK_IN);
            double k = route(problem, CacheForm.HOST_KV).nanos(Lane.LINK_IN);
            double c = route(problem, CacheForm.HOST_ACT).nanos(Lane.COMPUTE);
            long split = Placements.splitTokens(x, k, c, load.totalTokens());
            double kvpr = Placements.splitNanos(x, k, c, load.totalTokens(), split);
            assertThat(onHost.stepNanos()).isLessThanOrEqualTo(Math.max(kvpr, base + split * c) * (1 + 1e-9));
            // On the host alone, the closed form of the balanced share is the optimum.
            double share = PlacementsTest.balancedShare(x, k, c, base, load.totalTokens());
            double chunked =
                    Math.max(load.totalTokens() * (share * x + (1 - share) * k), base + load.totalTokens() * share * c);
            assertThat(onHost.stepNanos()).isCloseTo(chunked, within(1e-4 * chunked + 100));
        }
    }

    /** Each encoding alone would have the same memory, on the device and on the host. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void isNeverWorseThanAnySingleEncoding(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 30; i++) {
            CacheGeometry geometry = random.nextBoolean() ? MULTI_HEAD : GROUPED;
            CostModel costs = costs(geometry, random);
            DecodeLoad load = new DecodeLoad(1 + random.nextInt(32), 16 + random.nextInt(4000), 256);
            double cacheBytes = load.totalTokens() * (double) geometry.tokenBytes(Content.KEY_VALUE);
            double device = random.nextDouble() * cacheBytes;
            double host = (0.3 + random.nextDouble()) * cacheBytes;
            PlacementSolution all =
                    new PlacementSolver(PlacementProblem.decode(costs, load, ALL, 0, device, host)).solve();
            for (Encoding encoding : Encoding.values()) {
                Set<CacheForm> alone =
                        CacheForm.setOf(new CacheForm(encoding, Place.DEVICE), new CacheForm(encoding, Place.HOST));
                if (alone.stream().noneMatch(geometry::isUseful)) {
                    continue;
                }
                new PlacementSolver(PlacementProblem.decode(costs, load, alone, 0, device, host))
                        .placed()
                        .ifPresent(single -> assertThat(all)
                                .isInstanceOfSatisfying(
                                        Placed.class,
                                        placed -> assertThat(placed.stepNanos())
                                                .as("%s alone", encoding)
                                                .isLessThanOrEqualTo(single.stepNanos() * (1 + 1e-9))));
            }
        }
    }

    private static List<Double> only(PlacementProblem problem, CacheForm form) {
        return problem.routes().stream()
                .map(route -> route.form().equals(form) ? (double) problem.tokens() : 0.0)
                .toList();
    }

    private static Route route(PlacementProblem problem, CacheForm form) {
        return problem.routes().stream()
                .filter(route -> route.form().equals(form))
                .findFirst()
                .orElseThrow();
    }

    private static CostModel costs(CacheGeometry geometry, Random random) {
        return new CostModel(
                Profiles.machine(0.1 + random.nextDouble(), random.nextDouble(400), random.nextDouble()), geometry);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void moreMemoryAFasterLinkOrFasterKernelsNeverSlowAStepDown(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 30; i++) {
            CacheGeometry geometry = random.nextBoolean() ? MULTI_HEAD : GROUPED;
            CostModel costs = costs(geometry, random);
            DecodeLoad load = new DecodeLoad(1 + random.nextInt(32), 16 + random.nextInt(4000), 256);
            double cacheBytes = load.totalTokens()
                    * (double) geometry.tokenLayerBytes(Content.KEY_VALUE)
                    * geometry.dimensions().layerCount();
            double before = Double.POSITIVE_INFINITY;
            for (double part : new double[] {0, 0.1, 0.25, 0.5, 0.9, 1, 2}) {
                double nanos = stepNanos(costs, load, part * cacheBytes);
                assertThat(nanos).isLessThanOrEqualTo(before * (1 + 1e-9));
                before = nanos;
            }
            double device = random.nextDouble() * cacheBytes;
            double slow = stepNanos(costs, load, device);
            CostModel fasterLink = new CostModel(costs.profile().withLinkTimes(random.nextDouble()), geometry);
            CostModel fasterCompute = new CostModel(costs.profile().withComputeTimes(random.nextDouble()), geometry);
            assertThat(stepNanos(fasterLink, load, device)).isLessThanOrEqualTo(slow * (1 + 1e-9));
            assertThat(stepNanos(fasterCompute, load, device)).isLessThanOrEqualTo(slow * (1 + 1e-9));
        }
    }

    private static double stepNanos(CostModel costs, DecodeLoad load, double deviceBytes) {
        Placed placed =
                (Placed) new PlacementSolver(PlacementProblem.decode(costs, load, ALL, 0, deviceBytes, HUGE)).solve();
        requireValid(placed);
        return placed.stepNanos();
    }

    @Test
    void nothingIsStoredAsActivationsWhereTheyAreLarger() {
        CostModel costs = new CostModel(Profiles.machine(1, 0.001, 0), GROUPED);
        PlacementProblem problem = PlacementProblem.decode(costs, new DecodeLoad(4, 512, 64), ALL, 0, 1e5, HUGE);
        assertThat(((Placed) new PlacementSolver(problem).solve()).tokensByForm())
                .containsEntry(CacheForm.HOST_ACT, 0.0)
                .containsEntry(CacheForm.DEVICE_ACT, 0.0);
    }

    /** With half of the cache fitting as K and V, all of it fits as activations: nothing need cross the link. */
    @Test
    void activationsOnTheDeviceBeatKeysAndValuesThereWhenTheLinkIsSlow() {
        CostModel costs = new CostModel(Profiles.machine(10, 1, 0.001), MULTI_HEAD);
        DecodeLoad load = new DecodeLoad(4, 512, 64);
        double half = load.totalTokens()
                / 2.0
                * MULTI_HEAD.tokenLayerBytes(Content.KEY_VALUE)
                * MULTI_HEAD.dimensions().layerCount();
        Placed best = (Placed) new PlacementSolver(PlacementProblem.decode(costs, load, RAW, 0, half, HUGE)).solve();
        assertThat(best.tokensByForm().get(CacheForm.DEVICE_ACT)).isGreaterThan(0.9 * load.totalTokens());
        Set<CacheForm> keyValues = CacheForm.setOf(CacheForm.DEVICE_KV, CacheForm.HOST_KV);
        Placed restricted =
                (Placed) new PlacementSolver(PlacementProblem.decode(costs, load, keyValues, 0, half, HUGE)).solve();
        assertThat(best.stepNanos()).isLessThan(restricted.stepNanos() / 2);
    }

    @ParameterizedTest
    @MethodSource("io.weft.model.CacheForm#all")
    void noTokensAndOneTokenAreProblemsToo(CacheForm form) {
        boolean onDevice = form.place() == Place.DEVICE;
        Route route = new Route(form, onDevice ? 8 : 0, onDevice ? 0 : 8, Map.of(Lane.COMPUTE, 3.0));
        for (long tokens = 0; tokens <= 1; tokens++) {
            PlacementProblem problem =
                    new PlacementProblem(List.of(route), tokens, Map.of(Lane.COMPUTE, 5.0), HUGE, HUGE);
            Placed placed = (Placed) new PlacementSolver(problem).solve();
            assertThat(placed.stepNanos()).isEqualTo(5 + 3.0 * tokens);
            assertThat(placed.tokensByForm()).containsEntry(form, (double) tokens);
        }
        PlacementProblem tight = new PlacementProblem(List.of(route), 1, Map.of(), 0, 0);
        assertThat(new PlacementSolver(tight).solve())
                .isEqualTo(new DoesNotFit(tight, 1, List.of(new Shortage(form.place(), 8))));
    }

    @Test
    void refusesWhatIsNoProblem() {
        assertThatThrownBy(() -> new PlacementProblem(List.of(), 1, Map.of(), 1, 1))
                .hasMessageContaining("route");
        Route route = new Route(CacheForm.HOST_KV, 0, 1, Map.of());
        assertThatThrownBy(() -> new PlacementProblem(List.of(route), -1, Map.of(), 1, 1))
                .hasMessageContaining("tokens is -1");
        assertThatThrownBy(() -> new PlacementProblem(List.of(route), 1, Map.of(), -2, 1))
                .hasMessageContaining("deviceBudgetBytes is -2");
        assertThatThrownBy(() -> new Route(CacheForm.HOST_KV, 0, Double.NaN, Map.of()))
                .hasMessageContaining("hostBytes is NaN");
    }
}
