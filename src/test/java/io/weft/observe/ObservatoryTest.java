package io.weft.observe;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelPreset;
import io.weft.model.WeightBits;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import io.weft.plan.step.StepTokens;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.plan.whatif.WhatIf;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Steps of a machine that takes longer than its profile says, on a clock of the test's own. */
class ObservatoryTest {
    private static final CacheGeometry GEOMETRY = PlanQuestion.usualGeometry(ModelPreset.OPT_1_3B.dimensions());
    private static final HardwareProfile PROFILE = HardwarePreset.T4.spec().profile(GEOMETRY);

    private final AtomicLong clockNanos = new AtomicLong(-7);
    private final Observatory observatory = new Observatory(Runnable::run, clockNanos::get);
    private final List<HardwareProfile> replanned = new ArrayList<>();

    private void begin() {
        observatory.begin(
                new WhatIf(
                        PROFILE,
                        true,
                        GEOMETRY,
                        WeightBits.PLAIN,
                        4,
                        64,
                        1L << 34,
                        1L << 34,
                        1L << 28,
                        new TreeSet<>(CacheForm.all())),
                replanned::add);
    }

    private static StepTokens tokens(long deviceKeyValues, long deviceActivations, long hostKeyValues) {
        SortedMap<CacheForm, Long> byForm = new TreeMap<>();
        byForm.put(CacheForm.DEVICE_KV, deviceKeyValues);
        byForm.put(CacheForm.DEVICE_ACT, deviceActivations);
        if (hostKeyValues > 0) {
            byForm.put(CacheForm.HOST_KV, hostKeyValues);
        }
        return new StepTokens(byForm);
    }

    private static StepPlan plan(int blocks, CacheForm form) {
        SequenceShape sequence = new SequenceShape(Collections.nCopies(blocks, form), 3, 1, List.of());
        return new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1L << 28, 256, 2)
                .plan(new StepShape(List.of(sequence, sequence), HeadShape.tokens(2)));
    }

    /** What the step takes if the lanes take so many times as long as in {@link #PROFILE}. */
    private static Timeline measured(StepPlan plan, double linkFactor, double computeFactor) {
        return new io.weft.plan.prediction.CostModel(
                        PROFILE.withLinkTimes(linkFactor).withComputeTimes(computeFactor), GEOMETRY)
                .simulator(plan)
                .play(plan);
    }

    /** A step every second. */
    private void step(StepPlan plan, double linkFactor, double computeFactor) {
        clockNanos.addAndGet(Duration.ofSeconds(1).toNanos());
        observatory.stepped(plan, 1000, Optional.of(measured(plan, linkFactor, computeFactor)));
    }

    @Test
    void nothingIsKnownBeforeAModelIsLoaded() {
        assertThat(observatory.timesNextStep()).isFalse();
        observatory.stepped(plan(4, CacheForm.HOST_KV), 1000, Optional.empty());

        assertThat(observatory.inForce()).isEmpty();
        assertThat(observatory.explanation()).isEmpty();
        assertThat(observatory.adaptation()).isEmpty();
        assertThat(observatory.totals()).isEqualTo(Totals.NONE);
        assertThat(observatory.watch()).isEmpty();
    }

    /** One in sixteen, and at most every other second. */
    @ParameterizedTest
    @CsvSource({"50, 40", "124, 17", "125, 16", "5000, 16"})
    void stepsAreTimedNowAndThen(long stepMillis, int stepsPerSample) {
        begin();
        int timed = 0;
        for (int i = 0; i < 10 * stepsPerSample; i++) {
            timed += observatory.timesNextStep() ? 1 : 0;
            observatory.stepped(plan(1, CacheForm.HOST_KV), 1, Optional.empty());
            clockNanos.addAndGet(Duration.ofMillis(stepMillis).toNanos());
        }
        assertThat(timed).isEqualTo(10);
    }

    @Test
    void allStepsAreTimedWhileSomebodyLooks() {
        begin();
        observatory.watch();
        for (int second = 0; second < 60; second++) {
            assertThat(observatory.timesNextStep()).as("second " + second).isTrue();
            observatory.stepped(plan(1, CacheForm.HOST_KV), 1, Optional.empty());
            clockNanos.addAndGet(Duration.ofSeconds(1).toNanos());
        }
        // The first after that is a sample.
        assertThat(observatory.timesNextStep()).isTrue();
        assertThat(observatory.timesNextStep()).isFalse();
    }

    @Test
    void countsBytesAndTokensOfEveryStep() {
        begin();
        StepPlan transferring = plan(4, CacheForm.HOST_KV);
        StepPlan resident = plan(2, CacheForm.DEVICE_KV);
        StepPlan recomputing = plan(3, CacheForm.DEVICE_ACT);
        observatory.found(30);
        observatory.found(2);
        for (StepPlan plan : List.of(transferring, resident, recomputing)) {
            if (!plan.equals(resident)) {
                observatory.generated(2, 5, 3);
            }
            observatory.stepped(plan, 1000, Optional.empty());
        }

        // Two sequences, blocks of 16 tokens; three tokens of each are in open blocks.
        assertThat(observatory.totals())
                .isEqualTo(new Totals(
                        3,
                        3000,
                        transferring.linkInBytes(),
                        0,
                        tokens(2 * 2 * 16 + 3 * 2 * 3, 2 * 3 * 16, 2 * 4 * 16),
                        32,
                        new Totals.Passes(4, 10, 6)));
        assertThat(observatory.totals().passes().tokensAPass()).isEqualTo(2.5);
        assertThat(observatory.cached()).isEqualTo(tokens(2 * 3, 2 * 3 * 16, 0));
        assertThat(observatory.steps()).isEmpty();
    }

    @Test
    void keepsTheLastTimelinesNextToTheirPrediction() {
        begin();
        StepPlan plan = plan(4, CacheForm.HOST_ACT);
        for (int i = 0; i < Observatory.STEPS_KEPT + 5; i++) {
            step(plan, 1, 1);
        }

        List<ObservedStep> steps = observatory.steps();
        assertThat(steps).hasSize(Observatory.STEPS_KEPT);
        assertThat(steps.getFirst().number()).isEqualTo(6);
        assertThat(observatory.lastStep()).contains(steps.getLast());
        assertThat(steps.getLast().rows()).isEqualTo(2);
        assertThat(steps.getLast().predicted()).isEqualTo(steps.getLast().measured());
    }

    /** Long contexts have many stages; the last step is kept in any case. */
    @Test
    void keepsFewerOfLongSteps() {
        begin();
        StepPlan plan = plan(1600, CacheForm.HOST_ACT);
        int stages = plan.stages().size();
        for (int i = 0; i < 2 + Observatory.STAGES_KEPT / stages; i++) {
            step(plan, 1, 1);
        }

        assertThat(stages).isGreaterThan(Observatory.STAGES_KEPT / Observatory.STEPS_KEPT);
        assertThat(observatory.steps()).hasSize(Observatory.STAGES_KEPT / stages);
    }

    @ParameterizedTest
    @CsvSource({"1.5, 1", "1, 2", "0.5, 1"})
    void aLastingDeviationIsFollowedAndPlannedForOnce(double linkFactor, double computeFactor) {
        begin();
        StepPlan plan = plan(64, CacheForm.HOST_KV);
        for (int i = 0; i < 200; i++) {
            step(plan, linkFactor, computeFactor);
        }

        assertThat(replanned).hasSize(1);
        assertThat(observatory.inForce().orElseThrow().profile()).isEqualTo(replanned.getFirst());
        Timeline predicted = observatory.lastStep().orElseThrow().predicted();
        Timeline measured = observatory.lastStep().orElseThrow().measured();
        for (Lane lane : List.of(Lane.LINK_IN, Lane.COMPUTE)) {
            assertThat((double) predicted.busyNanos(lane) / measured.busyNanos(lane))
                    .as(lane.label())
                    .isBetween(0.97, 1.03);
        }
    }

    @Test
    void noiseIsNoReasonToPlanAnew() {
        begin();
        StepPlan plan = plan(64, CacheForm.HOST_KV);
        for (int i = 0; i < 200; i++) {
            step(plan, i % 2 == 0 ? 1.3 : 1 / 1.3, 1);
        }

        assertThat(replanned).isEmpty();
    }

    /** A viewer shows no two events of a thread that overlap in part. */
    @Test
    void predictionsThatAreLongerThanTheirStepsDoNotOverlap() {
        begin();
        StepPlan plan = plan(4, CacheForm.HOST_ACT);
        Timeline predicted = measured(plan, 1, 1);
        // Steps follow each other in two thirds of the time that was predicted for them.
        long nanos = 2 * predicted.totalNanos() / 3;
        List<ObservedStep> steps = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Instant ended = Instant.EPOCH.plusNanos((i + 1) * nanos);
            steps.add(new ObservedStep(i, ended, 2, 2, 0, StepTokens.NONE, 0, nanos, predicted, predicted));
        }
        Map<List<Integer>, List<ChromeTrace.Event>> tracks = ChromeTrace.of(steps).traceEvents().stream()
                .filter(event -> event.ph().equals("X") && event.pid() > 1)
                .collect(Collectors.groupingBy(event -> List.of(event.pid(), event.tid())));
        assertThat(tracks).isNotEmpty();
        tracks.values().forEach(events -> {
            List<ChromeTrace.Event> ordered = events.stream()
                    .sorted(Comparator.comparingDouble(ChromeTrace.Event::ts))
                    .toList();
            for (int i = 1; i < ordered.size(); i++) {
                ChromeTrace.Event before = ordered.get(i - 1);
                assertThat(ordered.get(i).ts()).isGreaterThanOrEqualTo(before.ts() + before.dur() - 1e-3);
            }
        });
    }

    @Test
    void aTraceShowsEveryStageOnItsLaneTwice() {
        begin();
        StepPlan plan = plan(4, CacheForm.HOST_ACT);
        step(plan, 1, 1);
        step(plan, 2, 1);

        ChromeTrace trace = ChromeTrace.of(observatory.steps());

        List<ChromeTrace.Event> stages = trace.traceEvents().stream()
                .filter(event -> event.ph().equals("X"))
                .toList();
        assertThat(stages).hasSize(2 * 2 * plan.stages().size());
        assertThat(trace.traceEvents())
                .contains(new ChromeTrace.Event("thread_name", "M", 0, 0, 1, 1, Map.of("name", "compute")))
                .contains(
                        new ChromeTrace.Event("process_name", "M", 0, 0, 3, 0, Map.of("name", "predicted, odd steps")));
        // Step 1 has transfers that the one before began, ahead of its own start: they come first, and at 0.
        ObservedStep firstStep = observatory.steps().getFirst();
        long origin = Stream.of(firstStep.measured(), firstStep.predicted())
                .flatMap(timeline -> timeline.stages().stream())
                .mapToLong(StageTiming::startNanos)
                .min()
                .orElseThrow();
        assertThat(origin).isNegative();
        assertThat(stages.stream().mapToDouble(ChromeTrace.Event::ts).min()).hasValue(0);
        StageTiming first = firstStep.measured().stages().getFirst();
        ChromeTrace.Event shown = stages.getFirst();
        assertThat(shown.name()).isEqualTo("upload");
        assertThat(shown.ts()).isEqualTo((first.startNanos() - origin) / 1e3);
        assertThat(shown.dur()).isEqualTo(first.nanos() / 1e3);
        assertThat(ChromeTrace.of(List.of()).traceEvents())
                .allMatch(event -> event.ph().equals("M"));
    }
}
