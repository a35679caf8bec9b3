package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
import io.weft.plan.machine.Profiles;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What plans do with an encoding follows from its description: nothing else names it. */
class EncodingsTest {
    private static final int SEQUENCES = 3;
    private static final int BLOCKS = 5;
    private static final long AMPLE_BYTES = 1L << 40;

    @Test
    void namesAndNumbersAreItsOwn() {
        assertThat(Arrays.stream(Encoding.values()).map(Encoding::label)).doesNotHaveDuplicates();
        assertThat(Arrays.stream(Encoding.values()).map(Encoding::fileCode)).doesNotHaveDuplicates();
    }

    /** Somebody may choose it; what loses something has a policy of its own. */
    @ParameterizedTest
    @EnumSource(Encoding.class)
    void aPolicyHasIt(Encoding encoding) {
        List<CachePolicy> policies = Arrays.stream(CachePolicy.values())
                .filter(policy -> policy.encodings().contains(encoding))
                .toList();
        assertThat(policies).hasSize(1);
        assertThat(policies.getFirst().isLossy()).isNotEqualTo(encoding.isExact());
    }

    /** A step whose blocks all have it, at each place: what is planned, and what the search takes that to cost. */
    @ParameterizedTest
    @EnumSource(Encoding.class)
    void aStepIsPlannedAndPredicted(Encoding encoding) {
        CachePolicy policy = Arrays.stream(CachePolicy.values())
                .filter(other -> other.encodings().contains(encoding))
                .findFirst()
                .orElseThrow();
        CacheGeometry geometry = Shapes.GEOMETRIES.getFirst().under(policy);
        CostModel costs = new CostModel(Profiles.random(new Random(encoding.ordinal())), geometry);
        for (Place place : Place.values()) {
            CacheForm form = new CacheForm(encoding, place);
            StepPlan plan = new StepPlanner(geometry, Schedule.CHUNKED, AMPLE_BYTES, 1 << 20, 2)
                    .plan(Shapes.decode(geometry, SEQUENCES, BLOCKS, form));
            List<Stage> stages = plan.stages().stream()
                    .map(planned -> planned.stage())
                    .filter(EncodingsTest::isOfFirstChunk)
                    .toList();

            assertThat(has(stages, Stage.Transfer.class)).as("%s crosses", form).isEqualTo(place == Place.HOST);
            assertThat(has(stages, Stage.Decode.class))
                    .as("%s is decoded", form)
                    .isEqualTo(encoding.isCoded());
            assertThat(has(stages, Stage.Gather.class))
                    .as("%s is gathered", form)
                    .isEqualTo(form.isGathered());
            assertThat(has(stages, Stage.Recompute.class))
                    .as("%s is recomputed", form)
                    .isEqualTo(encoding.content() == Content.ACTIVATION);
            assertThat(stages.size() == 1).as("%s is read in place", form).isEqualTo(form.isReadInPlace());

            CellForms cells = new CellForms(
                    geometry,
                    SEQUENCES,
                    Collections.nCopies(SEQUENCES * BLOCKS, form).toArray(CacheForm[]::new));
            double linkNanos = stages.stream()
                    .filter(Stage.Transfer.class::isInstance)
                    .mapToDouble(costs::nanos)
                    .sum();
            double computeNanos = stages.stream()
                    .filter(stage -> !(stage instanceof Stage.Transfer))
                    .mapToDouble(stage -> costs.issuedNanos(stage, 1.25))
                    .sum();
            assertThat(cells.linkNanos(costs, 0, cells.cells())).as("%s", form).isCloseTo(linkNanos, within(1e-6));
            assertThat(cells.computeNanos(costs, 1.25, 0, cells.cells()))
                    .as("%s", form)
                    .isCloseTo(computeNanos, within(1e-6));
            assertThat(costs.stepNanos(plan)).as("%s", form).isGreaterThan(Math.round(linkNanos));
        }
    }

    private static boolean has(List<Stage> stages, Class<? extends Stage> kind) {
        return stages.stream().anyMatch(kind::isInstance);
    }

    private static boolean isOfFirstChunk(Stage stage) {
        return switch (stage) {
            case Stage.Transfer transfer -> transfer.layer() == 0 && transfer.chunk() == 0;
            case Stage.Gather gather -> gather.layer() == 0 && gather.chunk() == 0;
            case Stage.Decode decode -> decode.layer() == 0 && decode.chunk() == 0;
            case Stage.Recompute recompute -> recompute.layer() == 0 && recompute.chunk() == 0;
            case Stage.Attend attend -> attend.layer() == 0 && attend.chunk() == 0;
            case Stage.Upload _,
                    Stage.Embed _,
                    Stage.Encode _,
                    Stage.Project _,
                    Stage.AttendWindow _,
                    Stage.FeedForward _,
                    Stage.StoreOnDevice _,
                    Stage.WriteOut _,
                    Stage.Promote _,
                    Stage.Head _,
                    Stage.Download _ -> false;
        };
    }
}
