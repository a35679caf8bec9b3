package io.weft.plan.prediction;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.Profiles;
import io.weft.plan.prediction.DraftPlanner.Offer;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.function.IntToDoubleFunction;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** All in predicted time. */
class DraftPlannerTest {
    private static final double PROBABILITY_LEAST = 1.0 / 32;
    private static final double GAIN_LEAST = 1.02;

    /** The rows are free up to a number, then each costs as much, after the gain of a graph is lost with the first. */
    private static IntToDoubleFunction steps(double graphGain, int freeRows, double rowCost) {
        return rows -> (rows == 0 ? 1 : 1 + graphGain) + rowCost * Math.max(0, rows - freeRows);
    }

    private static final List<IntToDoubleFunction> STEPS =
            List.of(steps(0, 0, 0), steps(0.15, 0, 0.01), steps(0, 0, 0.05), steps(0.3, 0, 0.1), steps(0, 4, 0.3));

    @Test
    void noOtherLengthsGiveMoreTokensInTheTime() {
        Random random = new Random(11);
        for (int round = 0; round < 2_000; round++) {
            List<Offer> offers = IntStream.range(0, random.nextInt(1, 5))
                    .mapToObj(i -> new Offer(random.nextInt(5), learned(random)))
                    .toList();
            int most = random.nextInt(12);
            double[] nanos = new double[20];
            nanos[0] = 1 + random.nextDouble();
            for (int i = 1; i < nanos.length; i++) {
                nanos[i] = nanos[i - 1] + (random.nextBoolean() ? 0 : random.nextDouble() * 0.4);
            }
            List<Integer> lengths = DraftPlanner.lengths(offers, most, rows -> nanos[rows]);
            assertThat(lengths.stream().mapToInt(Integer::intValue).sum()).isLessThanOrEqualTo(most);
            for (int i = 0; i < offers.size(); i++) {
                assertThat(lengths.get(i)).isBetween(0, offers.get(i).tokens());
            }
            double plain = offers.size() / nanos[0];
            double best = best(offers, new ArrayList<>(), most, nanos);
            assertThat(rate(offers, lengths, nanos))
                    .as("round %d", round)
                    .isCloseTo(best > GAIN_LEAST * plain ? best : plain, within(1e-9));
        }
    }

    private static DraftAcceptance learned(Random random) {
        DraftAcceptance acceptance = new DraftAcceptance();
        double right = random.nextDouble();
        for (int draft = random.nextInt(40); draft > 0; draft--) {
            count(acceptance, rightTokens(random, right, 8), 8);
        }
        return acceptance;
    }

    private static int rightTokens(Random random, double right, int most) {
        int tokens = 0;
        while (tokens < most && random.nextDouble() < right) {
            tokens++;
        }
        return tokens;
    }

    private static void count(DraftAcceptance acceptance, int rightTokens, int draftTokens) {
        for (int place = 0; place < Math.min(rightTokens + 1, draftTokens); place++) {
            acceptance.count(place, place < rightTokens);
        }
    }

    /** Of all that offers allow. */
    private static double best(List<Offer> offers, List<Integer> lengths, int left, double[] nanos) {
        if (lengths.size() == offers.size()) {
            return rate(offers, lengths, nanos);
        }
        Offer offer = offers.get(lengths.size());
        double best = 0;
        for (int length = 0; length <= Math.min(left, offer.tokens()); length++) {
            if (length > 0 && offer.acceptance().probability(length - 1) < PROBABILITY_LEAST) {
                break;
            }
            lengths.add(length);
            best = Math.max(best, best(offers, lengths, left - length, nanos));
            lengths.removeLast();
        }
        return best;
    }

    private static double rate(List<Offer> offers, List<Integer> lengths, double[] nanos) {
        double tokens = offers.size();
        int rows = 0;
        for (int i = 0; i < offers.size(); i++) {
            for (int place = 0; place < lengths.get(i); place++) {
                tokens += offers.get(i).acceptance().probability(place);
            }
            rows += lengths.get(i);
        }
        return tokens / nanos[rows];
    }

    /** A text whose drafts are right so often, at a number of its tokens. */
    private static final class Text {
        private final Random random;
        private final DraftAcceptance acceptance = new DraftAcceptance();
        private int tokens;
        private double nanos;
        private int drafted;

        Text(long seed) {
            this.random = new Random(seed);
        }

        void write(int more, double right, IntToDoubleFunction steps) {
            write(
                    more,
                    right,
                    steps,
                    offered -> DraftPlanner.lengths(List.of(new Offer(offered, acceptance)), 8, steps)
                            .getFirst());
        }

        void write(int more, double right, IntToDoubleFunction steps, IntUnaryOperator lengths) {
            int until = tokens + more;
            while (tokens < until) {
                // Every third time there is nothing to draft.
                int offered = random.nextInt(3) == 0 ? 0 : 8;
                int length = lengths.applyAsInt(offered);
                int rightTokens = rightTokens(random, right, offered);
                nanos += steps.applyAsDouble(length);
                drafted += length;
                tokens += 1 + Math.min(length, rightTokens);
                count(acceptance, Math.min(rightTokens, length + 1), Math.min(offered, length + 1));
            }
        }
    }

    /** Whatever it costs to check drafts that are never right, or seldom. */
    @ParameterizedTest
    @ValueSource(doubles = {0, 0.01, 0.05, 0.1})
    void textThatDoesNotRepeatCostsLessThanTwoPercent(double right) {
        for (IntToDoubleFunction steps : STEPS) {
            Text text = new Text(3);
            text.write(20_000, right, steps);
            assertThat(text.nanos / text.tokens).as("a token").isLessThan(1.02);
            // From the first token on.
            double shortNanos = 0;
            int shortTokens = 0;
            for (int seed = 0; seed < 200; seed++) {
                Text one = new Text(seed);
                one.write(60, right, steps);
                shortNanos += one.nanos;
                shortTokens += one.tokens;
            }
            assertThat(shortNanos / shortTokens).as("a token of short texts").isLessThan(1.02);
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.3, 0.5, 0.7, 0.9, 0.98})
    void textThatRepeatsIsAboutAsFastAsItCouldBe(double right) {
        for (IntToDoubleFunction steps : STEPS) {
            double best = IntStream.rangeClosed(0, 8)
                    .mapToDouble(length -> {
                        Text text = new Text(4);
                        text.write(20_000, right, steps, offered -> Math.min(offered, length));
                        return text.nanos / text.tokens;
                    })
                    .min()
                    .orElseThrow();
            Text text = new Text(4);
            text.write(20_000, right, steps);
            assertThat(text.nanos / text.tokens).isLessThan(1.05 * best);
        }
    }

    /** Nothing is drafted for a long time, and then it is soon found that drafts are right. And the other way round. */
    @Test
    void whatChangesIsFound() {
        IntToDoubleFunction steps = steps(0.15, 0, 0.02);
        Text text = new Text(5);
        text.write(2_000, 0, steps);
        assertThat(text.drafted).isZero();
        text.write(60, 0.95, steps);
        assertThat(text.drafted).isPositive();
        text.write(2_000, 0.95, steps);
        double nanos = text.nanos;
        text.write(2_000, 0, steps);
        assertThat(text.nanos - nanos).isLessThan(1.02 * 2_000);
    }

    private static final CacheGeometry GEOMETRY = Shapes.GEOMETRIES.getFirst();

    /** Every fifth draft is right, and then all of it. */
    private static List<Integer> lengths(CostModel costs, StepShape decode, int offered) {
        StepPlanner planner = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1 << 22, 1024, 4);
        DraftAcceptance acceptance = new DraftAcceptance();
        for (int i = 0; i < 100; i++) {
            count(acceptance, i % 5 == 0 ? 8 : 0, 8);
        }
        return new DraftPlanner(costs, shape -> planner)
                .lengths(
                        () -> decode,
                        Collections.nCopies(decode.sequences().size(), new Offer(offered, acceptance)),
                        8 * decode.sequences().size());
    }

    @Test
    void rowsAreFreeWhileTheLinkIsBusyAndCostWhileTheDeviceIs() {
        StepShape onHost = Shapes.decode(GEOMETRY, 2, 200, CacheForm.HOST_KV);
        CostModel slowLink = new CostModel(Profiles.machine(100, 1, 1), GEOMETRY);
        assertThat(lengths(slowLink, onHost, 8)).containsExactly(8, 8);
        // Each row of this machine takes as long as the first: there is nothing to gain.
        CostModel slowDevice = new CostModel(Profiles.machine(0.001, 1, 10_000), GEOMETRY);
        assertThat(lengths(slowDevice, Shapes.decode(GEOMETRY, 2, 2, CacheForm.HOST_KV), 8))
                .containsExactly(0, 0);
    }

    /** A step of several rows of a sequence is no graph. */
    @Test
    void whatAGraphGainsIsLost() {
        StepShape onDevice = Shapes.decode(GEOMETRY, 1, 20, CacheForm.DEVICE_KV);
        // A kernel takes as long for nine rows as for one.
        HardwareProfile machine = HardwarePreset.H100_PCIE.spec().profile(GEOMETRY);
        Function<Double, CostModel> gaining =
                nanos -> new CostModel(Profiles.inSteps(machine, 0, 0, 1, Curve.linear(nanos, 0, 1 << 20)), GEOMETRY);
        assertThat(lengths(gaining.apply(0.0), onDevice, 1)).containsExactly(1);
        assertThat(lengths(gaining.apply(1e6), onDevice, 1)).containsExactly(0);
    }
}
