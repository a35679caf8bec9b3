package io.weft.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.ProfileAdaptation.Deviation;
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
        return new CostModel(profile, GEOMETRY).simulator().play(PLAN);
    }

    private static ProfileAdaptation observe(ProfileAdaptation adaptation, HardwareProfile truth) {
        return adaptation.observe(play(adaptation.profile()), play(truth));
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "3, 1", "1, 2.5", "0.5, 1.3", "8, 1.5"})
    void findsHowTheMachineHasChanged(double link, double compute) {
        HardwareProfile truth = BASE.withLinkTimes(link).withComputeTimes(compute);
        ProfileAdaptation adaptation = ProfileAdaptation.of(BASE);
        for (int i = 0; i < 120; i++) {
            adaptation = observe(adaptation, truth);
        }
        assertThat(adaptation.linkFactor()).isCloseTo(link, within(0.01 * link));
        assertThat(adaptation.computeFactor()).isCloseTo(compute, within(0.01 * compute));
        assertThat((double) play(adaptation.profile()).totalNanos())
                .isCloseTo(play(truth).totalNanos(), within(0.02 * play(truth).totalNanos()));
    }

    @Test
    void oneOddStepHardlyMatters() {
        ProfileAdaptation odd = observe(ProfileAdaptation.of(BASE), BASE.withLinkTimes(100));
        assertThat(odd.linkFactor()).isLessThan(1.16);
        assertThat(odd.computeFactor()).isEqualTo(1);
    }

    @Test
    void noiseIsNotADeviation() {
        Random random = new Random(1);
        ProfileAdaptation adaptation = ProfileAdaptation.of(BASE);
        for (int i = 0; i < 2000; i++) {
            double noise = Math.exp(0.15 * random.nextGaussian());
            adaptation = observe(adaptation, BASE.withLinkTimes(noise).withComputeTimes(1 / noise));
            assertThat(adaptation.newlyLasting()).isEmpty();
        }
    }

    @Test
    void aLastingDeviationIsToldOnceWithItsCause() {
        ProfileAdaptation adaptation = ProfileAdaptation.of(BASE);
        List<Deviation> told = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            adaptation = observe(adaptation, BASE.withLinkTimes(2).withComputeTimes(1.1));
            adaptation.newlyLasting().ifPresent(told::add);
        }
        assertThat(told).singleElement().satisfies(deviation -> {
            assertThat(deviation.lane()).isEqualTo(Lane.LINK_IN);
            assertThat(deviation.factor()).isBetween(1.5, 2.0);
        });
        for (int i = 0; i < 100; i++) {
            adaptation = observe(adaptation, BASE);
        }
        assertThat(adaptation.deviatingSteps()).isZero();
        // What comes back after it was gone is told again.
        Optional<Deviation> again = Optional.empty();
        for (int i = 0; i < 100 && again.isEmpty(); i++) {
            adaptation = observe(adaptation, BASE.withComputeTimes(3));
            again = adaptation.newlyLasting();
        }
        assertThat(again)
                .hasValueSatisfying(deviation -> assertThat(deviation.lane()).isEqualTo(Lane.COMPUTE));
    }

    @Test
    void aLaneThatDidNothingSaysNothing() {
        Timeline resident = new CostModel(BASE, GEOMETRY)
                .simulator()
                .play(new StepPlanner(GEOMETRY, Schedule.RESIDENT, 0, 64, 4)
                        .plan(Shapes.decode(GEOMETRY, 4, 32, CacheForm.DEVICE_KV)));
        ProfileAdaptation adaptation = ProfileAdaptation.of(BASE);
        assertThat(adaptation.observe(resident, Timeline.of(List.of()))).isEqualTo(adaptation);
    }
}
