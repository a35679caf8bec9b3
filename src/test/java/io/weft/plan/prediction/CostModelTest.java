package io.weft.plan.prediction;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.plan.machine.CodeCurves;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.LayerCurves;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.DecodeLoad;
import io.weft.plan.placement.PlacementProblem;
import io.weft.plan.step.Lane;
import io.weft.plan.step.PlannedStage;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class CostModelTest {
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void everyStageCostsSomethingFiniteAndScalesWithItsMachine(long seed) {
        Random random = new Random(seed);
        CacheGeometry geometry = Shapes.geometry(random);
        HardwareProfile profile = Profiles.random(random);
        CostModel costs = new CostModel(profile, geometry);
        CostModel slowLink = new CostModel(profile.withLinkTimes(3), geometry);
        CostModel slowCompute = new CostModel(profile.withComputeTimes(3), geometry);
        StepPlan plan =
                new StepPlanner(geometry, Schedule.CHUNKED, 1L << 40, 64, 3).plan(Shapes.step(random, geometry));
        for (PlannedStage planned : plan.stages()) {
            Stage stage = planned.stage();
            assertThat(costs.nanos(stage)).isNotNegative();
            boolean onLink = stage.lane() != Lane.COMPUTE;
            assertThat(slowLink.nanos(stage)).isCloseTo((onLink ? 3 : 1) * costs.nanos(stage), within(2L));
            assertThat(slowCompute.nanos(stage)).isCloseTo((onLink ? 1 : 3) * costs.nanos(stage), within(2L));
        }
    }

    /** On one lane alone there is nothing to overlap: the step takes what its compute takes. */
    @ParameterizedTest
    @EnumSource(Schedule.class)
    void theBaseIsTheComputeOfAResidentDecodeStep(Schedule schedule) {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        CostModel costs = new CostModel(Profiles.machine(0, 7, 3), geometry);
        StepShape shape = Shapes.decode(geometry, 4, 32, CacheForm.DEVICE_KV);
        StepPlan plan = new StepPlanner(geometry, schedule, 0, 64, 3).plan(shape);
        Timeline timeline = costs.simulator(plan).play(plan);
        assertThat((double) timeline.totalNanos()).isCloseTo(costs.baseNanos(4, 4 * 513), within(20.0));
    }

    @Test
    void aGraphShortensTheStagesOfRowsOfAResidentDecodeStep() {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        HardwareProfile plain = Profiles.machine(0, 7, 300);
        CostModel base = new CostModel(plain, geometry);
        CostModel costs = new CostModel(Profiles.inSteps(plain, 0, 0, 1, flat(200)), geometry);
        StepPlanner planner = new StepPlanner(geometry, Schedule.CHUNKED, 1L << 40, 1 << 20, 3);
        StepPlan resident = planner.plan(Shapes.decode(geometry, 4, 32, CacheForm.DEVICE_KV));
        StepPlan transferring = planner.plan(Shapes.decode(geometry, 4, 32, CacheForm.HOST_KV));
        // Each layer projects, attends in one chunk and completes; the step embeds, and ends with the head.
        long rowStages = 3L * geometry.dimensions().layerCount() + 2;
        assertThat(costs.stepNanos(resident)).isEqualTo(base.stepNanos(resident) - 200 * rowStages);
        assertThat(costs.stepNanos(transferring)).isEqualTo(base.stepNanos(transferring));
        // Stage by stage, as an observed step runs, there is no graph.
        assertThat(costs.simulator(resident).play(resident))
                .isEqualTo(base.simulator(resident).play(resident));
    }

    @Test
    void theGainScalesWithTheStagesAndIsNeverMoreThanTheyTake() {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        HardwareProfile profile = Profiles.inSteps(Profiles.machine(0, 7, 300), 0, 0, 1, flat(200));
        assertThat(profile.withComputeTimes(0.1).graphGain().nanos(4)).isCloseTo(20, within(1e-9));
        StepPlan resident = new StepPlanner(geometry, Schedule.RESIDENT, 0, 64, 3)
                .plan(Shapes.decode(geometry, 4, 32, CacheForm.DEVICE_KV));
        assertThat(new CostModel(Profiles.inSteps(Profiles.machine(0, 7, 3), 0, 0, 1, flat(1e9)), geometry)
                        .stepNanos(resident))
                .isNotNegative();
    }

    @ParameterizedTest
    @MethodSource("io.weft.model.CacheForm#all")
    void stagesTakeLongerApartAndBesideTheLink(CacheForm form) {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        HardwareProfile plain = Profiles.machine(1, 7, 300);
        CostModel costs = new CostModel(Profiles.inSteps(plain, 0, 50, 1.5, flat(0)), geometry);
        StepPlan plan = new StepPlanner(geometry, Schedule.CHUNKED, 1L << 40, 1 << 20, 3)
                .plan(Shapes.decode(geometry, 4, 32, form));
        double times = form.place() == Place.HOST ? 1.5 : 1;
        for (StageTiming timing : costs.simulator(plan).play(plan).stages()) {
            Stage stage = timing.planned().stage();
            long alone = new CostModel(plain, geometry).nanos(stage);
            assertThat(timing.nanos())
                    .as("%s", stage)
                    .isEqualTo(
                            switch (stage) {
                                case Stage.Project _, Stage.Attend _, Stage.FeedForward _ ->
                                    Math.round(alone * times + 50);
                                case Stage.Recompute _, Stage.Gather _, Stage.Decode _, Stage.Encode _ -> alone + 50;
                                default -> alone;
                            });
        }
    }

    @ParameterizedTest
    @EnumSource(Encoding.class)
    void blocksAreCodedAsFastAsMeasuredOrElseAsFastAsCopied(Encoding encoding) {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        HardwareProfile profile = Profiles.random(new Random(7));
        long bytes = 3 * geometry.blockLayerBytes(encoding.raw());
        CostModel costs = new CostModel(profile, geometry);
        Curve encode = profile.codes().stream()
                .filter(curves -> curves.encoding() == encoding)
                .findFirst()
                .map(CodeCurves::encode)
                .orElse(profile.deviceCopy());
        Curve decode = profile.codes().stream()
                .filter(curves -> curves.encoding() == encoding)
                .findFirst()
                .map(CodeCurves::decode)
                .orElse(profile.deviceCopy());
        assertThat(costs.nanos(new Stage.Encode(0, encoding, 3))).isEqualTo(Math.round(encode.nanos(bytes)));
        assertThat(costs.nanos(new Stage.Decode(0, 0, encoding, Place.HOST, 3 * geometry.blockTokens())))
                .isEqualTo(Math.round(decode.nanos(bytes)));
    }

    private static Curve flat(double nanos) {
        return Curve.linear(nanos, 0, 1 << 20);
    }

    @Test
    void whatAGraphGainsDependsOnTheRows() {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        HardwareProfile plain = Profiles.machine(0, 7, 300);
        Curve gain = new Curve(List.of(new Curve.Point(1, 10), new Curve.Point(4, 40), new Curve.Point(1 << 20, 40)));
        CostModel costs = new CostModel(Profiles.inSteps(plain, 0, 0, 1, gain), geometry);
        long rowStages = 3L * geometry.dimensions().layerCount() + 2;
        for (int rows : List.of(1, 4, 9)) {
            StepPlan resident = new StepPlanner(geometry, Schedule.RESIDENT, 0, 1 << 20, 3)
                    .plan(Shapes.decode(geometry, rows, 32, CacheForm.DEVICE_KV));
            assertThat(costs.stepNanos(resident))
                    .isEqualTo(new CostModel(plain, geometry).stepNanos(resident) - (rows == 1 ? 10 : 40) * rowStages);
        }
    }

    @Test
    void aGraphHasNoStagesApart() {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        HardwareProfile plain = Profiles.machine(1, 7, 300);
        StepPlan resident = new StepPlanner(geometry, Schedule.RESIDENT, 0, 64, 3)
                .plan(Shapes.decode(geometry, 4, 32, CacheForm.DEVICE_KV));
        assertThat(new CostModel(Profiles.inSteps(plain, 0, 50, 1.5, flat(0)), geometry).stepNanos(resident))
                .isEqualTo(new CostModel(Profiles.inSteps(plain, 0, 0, 1, flat(0)), geometry).stepNanos(resident));
    }

    @Test
    void theProgrammesBaseIsBesideTheLinkUnlessAllFitsAsKeyValues() {
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst();
        CostModel costs = new CostModel(Profiles.inSteps(Profiles.machine(1, 7, 300), 0, 50, 1.5, flat(0)), geometry);
        DecodeLoad load = new DecodeLoad(4, 512, 64);
        double bytes = (double) load.totalTokens() * geometry.tokenBytes(Content.KEY_VALUE);
        double fits = computeBase(costs, load, new TreeSet<>(CacheForm.all()), bytes);
        assertThat(fits).isEqualTo(costs.baseNanos(4, load.totalTokens()));
        double layers = geometry.dimensions().layerCount();
        HardwareProfile profile = costs.profile();
        LayerCurves curves = profile.layers().getFirst();
        double layer = curves.project().nanos(4)
                + curves.feedForward().nanos(4)
                + costs.attentionNanos(geometry.dimensions().groups().getFirst(), 4, load.totalTokens());
        double besideLink = fits + layers * (0.5 * layer + 3 * 50);
        assertThat(computeBase(costs, load, new TreeSet<>(CacheForm.all()), bytes - 1))
                .isCloseTo(besideLink, within(1e-3));
        assertThat(computeBase(costs, load, CacheForm.setOf(CacheForm.HOST_KV), 2 * bytes))
                .isCloseTo(besideLink, within(1e-3));
    }

    private static double computeBase(CostModel costs, DecodeLoad load, Set<CacheForm> forms, double deviceBytes) {
        return PlacementProblem.decode(costs, load, forms, 0, deviceBytes, 1e15)
                .baseNanos()
                .get(Lane.COMPUTE);
    }

    @Test
    void attentionOfALoneAndOfShortSequencesHasItsOwnCost() {
        HardwareProfile machine = Profiles.random(new Random(7));
        CostModel costs = new CostModel(machine, Shapes.geometries().getFirst());
        long tokens = 5000;
        LayerCurves curves = machine.layers().getFirst();
        double pairs = curves.attentionPairs().nanos(1);
        assertThat(attentionNanos(costs, tokens, 1))
                .isEqualTo(Math.round(Math.max(curves.loneReads().nanos(tokens), pairs)));
        assertThat(attentionNanos(costs, tokens, 2))
                .isEqualTo(Math.round(Math.max(curves.attentionReads().nanos(tokens), pairs)))
                .isNotEqualTo(attentionNanos(costs, tokens, 1));
        int sequences = 7;
        double more = sequences - (double) tokens / HardwareProfile.SEQUENCE_TOKENS;
        assertThat(machine.shortSequenceNanos()).isPositive();
        assertThat(attentionNanos(costs, tokens, sequences))
                .isEqualTo(Math.round(curves.attentionReads().nanos(tokens) + more * machine.shortSequenceNanos()));
    }

    private static long attentionNanos(CostModel costs, long tokens, int sequences) {
        return costs.nanos(new Stage.Attend(0, 0, 1, tokens, sequences));
    }

    @ParameterizedTest
    @MethodSource("io.weft.plan.step.Shapes#geometries")
    void aSequencesBlocksOfOneContentCrossInOneCopy(CacheGeometry geometry) {
        StepShape shape = Shapes.decode(geometry, 3, 2, CacheForm.HOST_KV);
        StepPlan plan = new StepPlanner(geometry, Schedule.CHUNKED, 1L << 40, 1 << 20, 3).plan(shape);
        assertThat(plan.stages())
                .filteredOn(planned -> planned.stage() instanceof Stage.Transfer)
                .hasSize(geometry.cachedLayerCount())
                .allSatisfy(planned -> assertThat(planned.stage())
                        .isInstanceOfSatisfying(
                                Stage.Transfer.class,
                                transfer -> assertThat(transfer.copies()).isEqualTo(3)));
        CostModel costs = new CostModel(Profiles.machine(2, 1, 1), geometry);
        assertThat(costs.linkNanosPerToken(Encoding.KEY_VALUE, 7))
                .isCloseTo(2.0 * geometry.tokenLayerBytes(Content.KEY_VALUE), within(1e-6));
    }
}
