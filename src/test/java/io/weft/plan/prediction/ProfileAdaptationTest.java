package io.weft.plan.prediction;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.Profiles;
import io.weft.plan.prediction.ProfileAdaptation.Deviation;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProfileAdaptationTest {
    private static final CacheGeometry GEOMETRY = Shapes.GEOMETRIES.getFirst();
    private static final HardwareProfile BASE = Profiles.machine(10, 500, 10);
    private static final StepPlan PLAN = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1L << 40, 64, 4)
            .plan(Shapes.decode(GEOMETRY, 4, 32, CacheForm.HOST_ACT));

    private static Timeline play(HardwareProfile profile) {
        return new CostModel(profile, GEOMETRY).simulator(PLAN).play(PLAN);
    }

    private ProfileAdaptation adaptation = ProfileAdaptation.of(BASE);
    private long nowNanos;

    /** A step every second. */
    private ProfileAdaptation observe(ProfileAdaptation adaptation, HardwareProfile truth) {
        nowNanos += Duration.ofSeconds(1).toNanos();
        return adaptation.observe(play(adaptation.profile()), play(truth), nowNanos);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "3, 1", "1, 2.5", "0.5, 1.3", "8, 1.5"})
    void findsHowTheMachineHasChanged(double link, double compute) {
        HardwareProfile truth = BASE.withLinkTimes(link).withComputeTimes(compute);
        for (int i = 0; i < 120; i++) {
            adaptation = observe(adaptation, truth);
        }
        assertThat(adaptation.now().link()).isCloseTo(link, within(0.01 * link));
        assertThat(adaptation.now().compute()).isCloseTo(compute, within(0.01 * compute));
        assertThat((double) play(adaptation.profile()).totalNanos())
                .isCloseTo(play(truth).totalNanos(), within(0.02 * play(truth).totalNanos()));
    }

    @Test
    void oneOddStepHardlyMatters() {
        ProfileAdaptation odd = observe(ProfileAdaptation.of(BASE), BASE.withLinkTimes(100));
        assertThat(odd.now().link()).isLessThan(1.16);
        assertThat(odd.now().compute()).isEqualTo(1);
    }

    @Test
    void noiseIsNotADeviation() {
        Random random = new Random(1);
        for (int i = 0; i < 2000; i++) {
            double noise = Math.exp(0.15 * random.nextGaussian());
            adaptation = observe(adaptation, BASE.withLinkTimes(noise).withComputeTimes(1 / noise));
            assertThat(adaptation.lasting()).isEmpty();
        }
    }

    private List<Deviation> told(HardwareProfile truth, int steps) {
        List<Deviation> told = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            adaptation = observe(adaptation, truth);
            Optional<Deviation> deviation = adaptation.lasting();
            if (deviation.isPresent()) {
                told.add(deviation.get());
                adaptation = adaptation.plannedFor();
            }
        }
        return told;
    }

    @Test
    void aLastingDeviationIsToldOnceWithItsCauseAndSoIsItsEnd() {
        assertThat(told(BASE.withLinkTimes(2).withComputeTimes(1.1), 300))
                .singleElement()
                .satisfies(deviation -> {
                    assertThat(deviation.lane()).isEqualTo(Lane.LINK_IN);
                    assertThat(deviation.factor()).isBetween(1.5, 2.0);
                });
        assertThat(told(BASE, 300)).singleElement().satisfies(deviation -> {
            assertThat(deviation.lane()).isEqualTo(Lane.LINK_IN);
            assertThat(deviation.factor()).isBetween(1.0, 1.2);
        });
        assertThat(told(BASE.withComputeTimes(2), 300))
                .singleElement()
                .satisfies(deviation -> assertThat(deviation.lane()).isEqualTo(Lane.COMPUTE));
    }

    @Test
    void aDeviationThatIsOverWithinSecondsIsNotTold() {
        for (int i = 0; i < 2000; i++) {
            HardwareProfile truth = BASE.withComputeTimes(i < 1000 ? 3 : 1);
            nowNanos += Duration.ofMillis(9).toNanos();
            adaptation = adaptation.observe(play(adaptation.profile()), play(truth), nowNanos);
            assertThat(adaptation.lasting()).isEmpty();
        }
    }

    @Test
    void aLaneThatDidNothingSaysNothing() {
        StepPlan plan = new StepPlanner(GEOMETRY, Schedule.RESIDENT, 0, 64, 4)
                .plan(Shapes.decode(GEOMETRY, 4, 32, CacheForm.DEVICE_KV));
        Timeline resident = new CostModel(BASE, GEOMETRY).simulator(plan).play(plan);
        assertThat(adaptation.observe(resident, Timeline.of(List.of()), 1)).isEqualTo(adaptation);
    }

    /** In the logarithm, up to a factor of 4. */
    @ParameterizedTest
    @CsvSource({"2, 2", "0.5, 0.5", "4, 4", "100, 4", "0.01, 0.25"})
    void aTenthOfAStepsDeviationIsBelieved(double factor, double believed) {
        double expected = Math.pow(believed, 0.1);
        assertThat(observe(adaptation, BASE.withLinkTimes(factor)).now().link()).isCloseTo(expected, within(1e-3));
        assertThat(observe(adaptation, BASE.withComputeTimes(factor)).now().compute())
                .isCloseTo(expected, within(1e-3));
    }

    /** After the first step the link seems to take 4^0.1 = 1.149 times as long, which is not yet notable. */
    @ParameterizedTest
    @CsvSource({"1000, 21", "600, 21", "250, 42"})
    void aDeviationIsToldAfterTwentyStepsAndTenSeconds(int stepMillis, int steps) {
        HardwareProfile truth = BASE.withLinkTimes(1e6);
        for (int i = 1; i <= steps; i++) {
            nowNanos += Duration.ofMillis(stepMillis).toNanos();
            adaptation = adaptation.observe(play(adaptation.profile()), play(truth), nowNanos);
            assertThat(adaptation.lasting().isPresent()).as("step %d", i).isEqualTo(i == steps);
        }
    }

    @Test
    void aLaneThatDidLittleSaysNothing() {
        HardwareProfile fastLink = Profiles.machine(0.001, 500, 10);
        Timeline predicted = play(fastLink);
        assertThat(predicted.busyRatio(Lane.LINK_IN)).isBetween(1e-9, 0.02);
        ProfileAdaptation after = ProfileAdaptation.of(fastLink)
                .observe(predicted, play(fastLink.withLinkTimes(2).withComputeTimes(2)), 1);
        assertThat(after.now().link()).isEqualTo(1);
        assertThat(after.now().compute()).isGreaterThan(1.05);
    }
}
