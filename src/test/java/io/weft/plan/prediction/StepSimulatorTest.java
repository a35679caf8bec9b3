package io.weft.plan.prediction;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Profiles;
import io.weft.plan.step.Lane;
import io.weft.plan.step.PlannedStage;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class StepSimulatorTest {
    /** A random plan with random costs. */
    private record Case(StepPlan plan, long[] costs, long launchNanos, long handoffNanos) {
        static Case of(long seed) {
            Random random = new Random(seed);
            CacheGeometry geometry = Shapes.geometry(random);
            StepPlan plan = new StepPlanner(
                            geometry,
                            Schedule.values()[random.nextInt(4)],
                            1L << 40,
                            1 + random.nextInt(6 * geometry.cellTokens()),
                            1 + random.nextInt(5))
                    .plan(Shapes.step(random, geometry));
            long[] costs = plan.stages().stream()
                    .mapToLong(stage -> random.nextInt(4) == 0 ? 0 : random.nextInt(20))
                    .toArray();
            return new Case(plan, costs, random.nextInt(3), random.nextInt(4));
        }

        List<PlannedStage> stages() {
            return plan.stages();
        }

        /** Any cost that equal stages share. */
        static long nanosOf(Stage stage) {
            return Math.floorMod(stage.hashCode(), 20);
        }

        Timeline play() {
            return play(costs, launchNanos, handoffNanos);
        }

        /** Costs are given to stages one by one, so the simulator is asked with a function that counts along. */
        Timeline play(long[] stageCosts, long launch, long handoff) {
            int[] next = {0};
            return new StepSimulator(stage -> stageCosts[next[0]++], launch, handoff, 0).play(stages());
        }
    }

    static Stream<Case> cases() {
        return IntStream.range(0, 200).mapToObj(Case::of);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void equalsAClockThatTicks(Case c) {
        long[] starts = tick(c);
        List<StageTiming> timings = c.play().stages();
        for (int i = 0; i < starts.length; i++) {
            assertThat(timings.get(i).startNanos()).as("start of %d", i).isEqualTo(starts[i]);
            assertThat(timings.get(i).nanos()).isEqualTo(c.costs()[i]);
            assertThat(timings.get(i).planned()).isSameAs(c.stages().get(i));
        }
    }

    /** At every nanosecond, whatever can start starts. */
    private static long[] tick(Case c) {
        int count = c.stages().size();
        long[] starts = new long[count];
        Arrays.fill(starts, -1);
        int started = 0;
        for (long now = 0; started < count; now++) {
            boolean moved = true;
            while (moved) {
                moved = false;
                for (int i = 0; i < count; i++) {
                    if (starts[i] < 0 && canStart(c, starts, i, now)) {
                        starts[i] = now;
                        started++;
                        moved = true;
                    }
                }
            }
        }
        return starts;
    }

    private static boolean canStart(Case c, long[] starts, int stage, long now) {
        if (now < (stage + 1) * c.launchNanos()) {
            return false;
        }
        for (int earlier = 0; earlier < stage; earlier++) {
            boolean sameLane = c.stages().get(earlier).stage().lane()
                    == c.stages().get(stage).stage().lane();
            boolean awaited = c.stages().get(stage).after().contains(earlier);
            long ready = starts[earlier] + c.costs()[earlier] + (awaited ? c.handoffNanos() : 0);
            if ((sameLane || awaited) && (starts[earlier] < 0 || now < ready)) {
                return false;
            }
        }
        return true;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void isNeverShorterThanALaneNorThanAnyChainOfStages(Case c) {
        Timeline timeline = c.play();
        for (Lane lane : Lane.values()) {
            long sum = IntStream.range(0, c.costs().length)
                    .filter(i -> c.stages().get(i).stage().lane() == lane)
                    .mapToLong(i -> c.costs()[i])
                    .sum();
            assertThat(timeline.busyNanos(lane)).isEqualTo(sum);
            assertThat(timeline.totalNanos()).isGreaterThanOrEqualTo(sum);
            assertThat(timeline.busyRatio(lane)).isBetween(0.0, 1.0);
        }
        Random random = new Random(c.costs().length);
        for (int i = 0; i < 20; i++) {
            assertThat(timeline.totalNanos()).isGreaterThanOrEqualTo(chainNanos(c, random));
        }
    }

    /** A random walk back over what stages wait for. */
    private static long chainNanos(Case c, Random random) {
        int stage = random.nextInt(c.stages().size());
        long nanos = 0;
        while (stage >= 0) {
            nanos += c.costs()[stage];
            int last = stage;
            List<Integer> before = new ArrayList<>(c.stages().get(stage).after());
            IntStream.range(0, stage)
                    .filter(i -> c.stages().get(i).stage().lane()
                            == c.stages().get(last).stage().lane())
                    .max()
                    .ifPresent(before::add);
            stage = before.isEmpty() ? -1 : before.get(random.nextInt(before.size()));
        }
        return nanos;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void noStageStartsLaterWhenAnyCostFalls(Case c) {
        Random random = new Random(c.costs().length);
        List<StageTiming> before = c.play().stages();
        for (int i = 0; i < 10; i++) {
            long[] cheaper = c.costs().clone();
            int stage = random.nextInt(cheaper.length);
            cheaper[stage] = random.nextLong(cheaper[stage] + 1);
            List<StageTiming> after =
                    c.play(cheaper, c.launchNanos() / 2, c.handoffNanos() / 2).stages();
            for (int s = 0; s < before.size(); s++) {
                assertThat(after.get(s).startNanos())
                        .isLessThanOrEqualTo(before.get(s).startNanos());
            }
        }
    }

    private static long end(Timeline timeline, Lane lane) {
        return timeline.stages().stream()
                .filter(timing -> timing.planned().stage().lane() == lane)
                .mapToLong(StageTiming::endNanos)
                .max()
                .orElse(0);
    }

    /** The first of two steps is played from rest; what it lets the second begin shortens that one, no more. */
    @ParameterizedTest
    @MethodSource("cases")
    void aStepThatWasBegunAheadIsNoLongerThanOneFromRestAndNoShorterThanItsLanes(Case c) {
        StepSimulator simulator = new StepSimulator(Case::nanosOf, c.launchNanos(), c.handoffNanos(), c.costs().length);
        StepPlan plan = c.plan();
        Timeline fromRest = simulator.play(plan.stages());
        Timeline step = simulator.play(plan);
        assertThat(simulator.lanes(plan)).isEqualTo(step.lanes());
        assertThat(step.totalNanos()).isLessThanOrEqualTo(fromRest.totalNanos());
        assertThat(step.totalNanos()).isGreaterThanOrEqualTo(step.busyNanos(Lane.COMPUTE));
        // With the link's remaining work after the step, it is busy for no more than the time between two steps.
        long before = fromRest.totalNanos() + simulator.pauseNanos();
        for (StepPlan.Ahead ahead : plan.ahead()) {
            StageTiming begun = step.stages().get(ahead.transfer().index());
            assertThat(begun.startNanos())
                    .isGreaterThanOrEqualTo(
                            fromRest.stages().get(ahead.slotFreeAfter()).endNanos() + c.handoffNanos() - before)
                    .isGreaterThanOrEqualTo(end(fromRest, Lane.LINK_IN) - before);
        }
        if (plan.ahead().isEmpty()) {
            assertThat(step).isEqualTo(fromRest);
        }
        long linkEnds = Long.MIN_VALUE;
        for (StageTiming timing : step.stages()) {
            for (int earlier : timing.planned().after()) {
                assertThat(timing.startNanos())
                        .isGreaterThanOrEqualTo(step.stages().get(earlier).endNanos() + c.handoffNanos());
            }
            if (timing.planned().stage().lane() == Lane.LINK_IN) {
                assertThat(timing.startNanos()).isGreaterThanOrEqualTo(linkEnds);
                linkEnds = timing.endNanos();
            }
        }
    }

    @Test
    void aLinkThatIsNeverFastEnoughDoesNotWaitBetweenTwoSteps() {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        CostModel costs = new CostModel(Profiles.machine(10, 1, 1), geometry);
        StepPlan plan = new StepPlanner(geometry, Schedule.FULL_TRANSFER, 1L << 40, 1 << 20, 4)
                .plan(Shapes.decode(geometry, 4, 32, CacheForm.HOST_KV));
        Timeline step = costs.simulator(plan).play(plan);
        assertThat(costs.stepNanos(plan)).isEqualTo(step.busyNanos(Lane.LINK_IN));
        assertThat(costs.simulator(plan).play(plan.stages()).totalNanos()).isGreaterThan(step.totalNanos());
    }

    @Test
    void chunksHideRecomputationBehindTheLinkWhereThePapersScheduleCannot() {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        CostModel costs = new CostModel(Profiles.machine(1, 128, 0), geometry);
        StepShape activations = Shapes.decode(geometry, 4, 32, CacheForm.HOST_ACT);
        StepShape keyValues = Shapes.decode(geometry, 4, 32, CacheForm.HOST_KV);
        long chunked = play(costs, Schedule.CHUNKED, activations);
        long fullTransfer = play(costs, Schedule.FULL_TRANSFER, keyValues);
        // X takes half the time of K and V, and everything else half of that: only fill and drain are lost.
        assertThat((double) fullTransfer / chunked).isBetween(1.8, 2.0);
        assertThat(play(costs, Schedule.KVPR, activations)).isGreaterThan(chunked);
    }

    private static long play(CostModel costs, Schedule schedule, StepShape shape) {
        StepPlan plan = new StepPlanner(costs.geometry(), schedule, 1L << 40, 128, 4).plan(shape);
        return costs.simulator(plan).play(plan).totalNanos();
    }

    @Test
    void refusesNegativeTimes() {
        assertThatThrownBy(() -> new StepSimulator(stage -> 0, -1, 0, 0)).hasMessageContaining("launchNanos is -1");
        StepSimulator simulator = new StepSimulator(stage -> -3, 0, 0, 0);
        assertThatThrownBy(() -> simulator.play(List.of(new PlannedStage(0, new Stage.Upload(), List.of()))))
                .hasMessageContaining("Upload[] costs -3 ns");
    }
}
