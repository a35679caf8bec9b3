package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.Profiles;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Shapes;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What a problem says of a load, on a machine whose costs depend on the size of a piece and on whether the link works.
 */
class PlacementProblemTest {
    private static final CacheGeometry MULTI_HEAD = Shapes.GEOMETRIES.getFirst();
    private static final CacheGeometry GROUPED = Shapes.GEOMETRIES.get(4);
    private static final Set<CacheForm> ALL = new TreeSet<>(CacheForm.all());
    private static final double HOST_BYTES = 1e12;

    private static CostModel costs(CacheGeometry geometry) {
        HardwareProfile machine = Profiles.random(new Random(1));
        return new CostModel(Profiles.inSteps(machine, 0, 1000, 1.5, machine.graphGain()), geometry);
    }

    private static double keyValueBytes(long tokens) {
        return (double) tokens * MULTI_HEAD.tokenBytes(Content.KEY_VALUE);
    }

    private static double computeBaseNanos(DecodeLoad load, Set<CacheForm> forms, long streamedBytes, double budget) {
        return PlacementProblem.decode(costs(MULTI_HEAD), load, forms, streamedBytes, budget, HOST_BYTES)
                .baseNanos()
                .get(Lane.COMPUTE);
    }

    /**
     * Kernels are slower while the link is at work, which it is unless K and V of all tokens fit the device, to the
     * byte.
     */
    @Test
    void theLinkIsAtWorkUnlessAllStaysOnTheDevice() {
        CostModel costs = costs(MULTI_HEAD);
        DecodeLoad load = new DecodeLoad(3, 100, 64);
        double all = keyValueBytes(300);
        double alone = costs.baseNanos(3, 300);
        double besideLink = costs.baseNanosBesideLink(3, 300);
        assertThat(besideLink).isGreaterThan(alone);

        assertThat(computeBaseNanos(load, ALL, 0, all)).isEqualTo(alone);
        assertThat(computeBaseNanos(load, ALL, 0, all - 1)).isEqualTo(besideLink);
        assertThat(computeBaseNanos(load, ALL, 1, all)).isEqualTo(besideLink);
        assertThat(computeBaseNanos(load, CacheForm.setOf(CacheForm.DEVICE_ACT, CacheForm.HOST_KV), 0, all))
                .isEqualTo(besideLink);
    }

    @Test
    void streamedWeightsTakeTheLinkInAnyCase() {
        CostModel costs = costs(MULTI_HEAD);
        PlacementProblem problem = PlacementProblem.decode(costs, new DecodeLoad(3, 100, 64), ALL, 5000, 0, HOST_BYTES);
        assertThat(problem.baseNanos())
                .containsEntry(Lane.LINK_IN, costs.profile().linkIn().nanos(5000));
    }

    /** A piece is one sequence's in one chunk; what is recomputed is a chunk of all of them. */
    @ParameterizedTest
    @CsvSource({"1, 48, 64, 48, 48", "2, 48, 64, 48, 64", "3, 100, 64, 64, 64", "1, 64, 64, 64, 64"})
    void routesCostWhatPiecesOfTheirSizeCost(
            int sequences, int contextTokens, int chunkTokens, int copyTokens, int recomputedTokens) {
        CostModel costs = costs(MULTI_HEAD);
        PlacementProblem problem =
                PlacementProblem.decode(costs, new DecodeLoad(sequences, contextTokens, chunkTokens), ALL, 0, 7, 9);
        assertThat(problem.routes()).isEqualTo(routes(costs, copyTokens, recomputedTokens));
        assertThat(problem.tokens()).isEqualTo((long) sequences * contextTokens);
        assertThat(problem.deviceBudgetBytes()).isEqualTo(7);
        assertThat(problem.hostBudgetBytes()).isEqualTo(9);
    }

    private static List<Route> routes(CostModel costs, int copyTokens, int recomputedTokens) {
        return CacheForm.all().stream()
                .filter(costs.geometry()::isUseful)
                .map(form -> Route.of(form, costs, copyTokens, recomputedTokens))
                .toList();
    }

    @Test
    void aFormThatMayNotBeUsedOrIsOfNoUseHasNoRoute() {
        DecodeLoad load = new DecodeLoad(2, 100, 64);
        List<CacheForm> keyValues = CacheForm.all().stream()
                .filter(form -> form.content() == Content.KEY_VALUE && GROUPED.isUseful(form))
                .toList();
        assertThat(PlacementProblem.decode(
                                costs(MULTI_HEAD), load, CacheForm.setOf(CacheForm.HOST_ACT), 0, 0, HOST_BYTES)
                        .routes())
                .extracting(Route::form)
                .containsExactly(CacheForm.HOST_ACT);
        assertThat(PlacementProblem.decode(costs(GROUPED), load, ALL, 0, 0, HOST_BYTES)
                        .routes())
                .extracting(Route::form)
                .containsExactlyElementsOf(keyValues);
        assertThat(PlacementProblem.admission(costs(GROUPED), Occupancy.none(0, 1000), 10, 64)
                        .routes())
                .extracting(Route::form)
                .containsExactlyElementsOf(keyValues);
    }

    /** What runs takes its time of the lanes, wherever the new sequence goes. */
    @ParameterizedTest
    @CsvSource({"64, 32, 64", "200, 32, 96", "20, 20, 20"})
    void anAdmittedSequenceSharesTheStepsOfThoseThatRun(int chunkTokens, int copyTokens, int recomputedTokens) {
        CostModel costs = costs(MULTI_HEAD);
        Occupancy occupancy = new Occupancy(2, Map.of(CacheForm.HOST_KV, 40L, CacheForm.DEVICE_ACT, 24L), 500, 600);
        PlacementProblem problem = PlacementProblem.admission(costs, occupancy, 32, chunkTokens);
        List<Route> routes = routes(costs, copyTokens, recomputedTokens);
        Route hostKeyValues = route(routes, CacheForm.HOST_KV);
        Route deviceActivations = route(routes, CacheForm.DEVICE_ACT);

        assertThat(problem.routes()).isEqualTo(routes);
        assertThat(problem.tokens()).isEqualTo(32);
        assertThat(problem.deviceBudgetBytes()).isEqualTo(500);
        assertThat(problem.hostBudgetBytes()).isEqualTo(600);
        assertThat(problem.baseNanos().get(Lane.LINK_IN))
                .isCloseTo(40 * hostKeyValues.nanos(Lane.LINK_IN), within(1e-6));
        assertThat(problem.baseNanos().get(Lane.COMPUTE))
                .isCloseTo(costs.baseNanosBesideLink(3, 96) + 24 * deviceActivations.nanos(Lane.COMPUTE), within(1e-3));
    }

    private static Route route(List<Route> routes, CacheForm form) {
        return routes.stream()
                .filter(route -> route.form().equals(form))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void anAdmittedSequenceLeavesTheLinkAloneOnlyIfAllAreOnTheDevice() {
        CostModel costs = costs(MULTI_HEAD);
        long free = (long) keyValueBytes(32);
        Map<CacheForm, Long> onDevice = Map.of(CacheForm.DEVICE_KV, 40L);
        Map<CacheForm, Long> onBoth = Map.of(CacheForm.DEVICE_KV, 39L, CacheForm.HOST_KV, 1L);
        double alone = costs.baseNanos(3, 72);
        double besideLink = costs.baseNanosBesideLink(3, 72);

        assertThat(admissionBaseNanos(new Occupancy(2, onDevice, free, 0))).isEqualTo(alone);
        assertThat(admissionBaseNanos(new Occupancy(2, onDevice, free - 1, 0))).isEqualTo(besideLink);
        assertThat(admissionBaseNanos(new Occupancy(2, onBoth, free, 0))).isEqualTo(besideLink);
    }

    private static double admissionBaseNanos(Occupancy occupancy) {
        return PlacementProblem.admission(costs(MULTI_HEAD), occupancy, 32, 64)
                .baseNanos()
                .get(Lane.COMPUTE);
    }

    @Test
    void aStepTakesAsLongAsItsBusiestLane() {
        Route host = new Route(CacheForm.HOST_KV, 0, 3, Map.of(Lane.LINK_IN, 10.0));
        Route device = new Route(CacheForm.DEVICE_KV, 5, 0, Map.of(Lane.COMPUTE, 4.0));
        PlacementProblem problem =
                new PlacementProblem(List.of(host, device), 6, Map.of(Lane.LINK_IN, 1.0, Lane.COMPUTE, 30.0), 0, 0);
        assertThat(problem.laneNanos(Lane.LINK_IN, List.of(2.0, 4.0))).isEqualTo(21);
        assertThat(problem.laneNanos(Lane.COMPUTE, List.of(2.0, 4.0))).isEqualTo(46);
        assertThat(problem.laneNanos(Lane.LINK_OUT, List.of(2.0, 4.0))).isZero();
        assertThat(problem.stepNanos(List.of(2.0, 4.0))).isEqualTo(46);
        assertThat(problem.stepNanos(List.of(6.0, 0.0))).isEqualTo(61);
        assertThat(problem.deviceBytes(List.of(2.0, 4.0))).isEqualTo(20);
        assertThat(problem.hostBytes(List.of(2.0, 4.0))).isEqualTo(6);
    }

    @ParameterizedTest
    @ValueSource(doubles = {-1, Double.NaN, Double.POSITIVE_INFINITY})
    void aBudgetIsFiniteAndNotNegative(double bytes) {
        List<Route> routes = List.of(new Route(CacheForm.HOST_KV, 0, 1, Map.of()));
        assertThat(new PlacementProblem(routes, 0, Map.of(), 0, 0).tokens()).isZero();
        assertThatThrownBy(() -> new PlacementProblem(routes, 1, Map.of(), bytes, 0))
                .hasMessageContaining("deviceBudgetBytes is " + bytes);
        assertThatThrownBy(() -> new PlacementProblem(routes, 1, Map.of(), 0, bytes))
                .hasMessageContaining("hostBudgetBytes is " + bytes);
    }
}
