package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Profiles;
import io.weft.plan.prediction.AdaptivePlanner;
import io.weft.plan.prediction.ChunkSizes;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.StagingLayout;
import io.weft.plan.step.StepPlanner;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PlanningOptionsTest {
    private static final CacheGeometry GEOMETRY = Shapes.GEOMETRIES.getFirst();
    /** Neither link nor recomputation is so slow that the other does everything. */
    private static final CostModel COSTS = new CostModel(Profiles.machine(1, 1000, 1), GEOMETRY);

    private static final long STAGING_BYTES = 1 << 22;
    private static final int SEQUENCES = 4;
    private static final int CONTEXT_TOKENS = 385;

    private static Planning planning(Optional<Schedule> schedule, OptionalInt chunkTokens) {
        return new PlanningOptions(schedule, SEQUENCES, CONTEXT_TOKENS, STAGING_BYTES, chunkTokens).planning(COSTS);
    }

    private static StepPlanner planner(Schedule schedule, int chunkTokens) {
        return new StepPlanner(GEOMETRY, schedule, STAGING_BYTES, chunkTokens, StagingLayout.SLOTS_USUAL);
    }

    private static Set<CacheForm> forms(Planning planning, Occupancy occupancy) {
        PlacementPolicy policy = planning.admission().policy(occupancy, CONTEXT_TOKENS);
        Set<CacheForm> forms = new HashSet<>();
        IntStream.range(0, CONTEXT_TOKENS / GEOMETRY.blockTokens())
                .forEach(block -> forms.addAll(policy.forms(block, 100)));
        return forms;
    }

    @ParameterizedTest
    @EnumSource(Schedule.class)
    void aScheduleUsesItsFormsWhateverTheCacheHoldsAndMovesNothing(Schedule schedule) {
        Planning planning = planning(Optional.of(schedule), OptionalInt.of(128));
        Set<CacheForm> forms = forms(planning, Occupancy.none(1 << 30, 1 << 30));
        assertThat(schedule.forms()).containsAll(forms);
        assertThat(forms(planning, Occupancy.none(0, 0))).isEqualTo(forms);
        assertThat(planning.moves()).isEmpty();
    }

    @Test
    void withoutAScheduleBlocksGoWhereThereIsRoomAndMove() {
        Planning planning = planning(Optional.empty(), OptionalInt.of(128));
        assertThat(forms(planning, Occupancy.none(1 << 30, 1 << 30))).contains(CacheForm.DEVICE_KV);
        assertThat(forms(planning, Occupancy.none(0, 1 << 30))).contains(CacheForm.HOST_KV, CacheForm.HOST_ACT);
        assertThat(planning.moves()).contains(new MovePlanner(COSTS, 128));
        assertThat(planning.planner()).isEqualTo(planner(Schedule.CHUNKED, 128));
    }

    @Test
    void chunksAreAsAskedFor() {
        assertThat(planning(Optional.of(Schedule.KVPR), OptionalInt.of(128)).planner())
                .isEqualTo(planner(Schedule.KVPR, 128));
    }

    /** A full batch that transfers everything: K and V of all blocks that are full. */
    @Test
    void chunksThatNobodyAskedForAreTheFastestOfAFullBatch() {
        Planning planning = planning(Optional.of(Schedule.FULL_TRANSFER), OptionalInt.empty());
        int fullBlocks = (CONTEXT_TOKENS - 1) / GEOMETRY.blockTokens();
        StepPlanner fastest = ChunkSizes.fastest(
                planner(Schedule.FULL_TRANSFER, 1),
                COSTS,
                Shapes.decode(GEOMETRY, SEQUENCES, fullBlocks, CacheForm.HOST_KV));
        assertThat(planning.planner()).isInstanceOf(AdaptivePlanner.class);
        assertThat(planning.planner().chunkTokens()).isEqualTo(fastest.chunkTokens());
    }

    /** With blocks of one token every step fills some. */
    @Test
    void chunksAreFoundForBlocksOfAnySize() {
        for (CacheGeometry geometry : Shapes.GEOMETRIES) {
            CostModel costs = new CostModel(Profiles.machine(1, 1000, 1), geometry);
            for (Optional<Schedule> schedule : List.of(Optional.<Schedule>empty(), Optional.of(Schedule.CHUNKED))) {
                PlanningOptions options =
                        new PlanningOptions(schedule, SEQUENCES, CONTEXT_TOKENS, STAGING_BYTES, OptionalInt.empty());
                assertThat(options.planning(costs).planner().chunkTokens() % geometry.cellTokens())
                        .isZero();
            }
        }
    }

    @Test
    void anEmptyLoadIsRefused() {
        for (List<Integer> load : List.of(List.of(0, 1), List.of(1, 0))) {
            assertThatThrownBy(() -> new PlanningOptions(
                            Optional.empty(), load.getFirst(), load.getLast(), 0, OptionalInt.empty()))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("must be at least 1");
        }
    }
}
