package io.weft.plan.prediction;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Profiles;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class AdaptivePlannerTest {
    private static final CacheGeometry GEOMETRY = Shapes.GEOMETRIES.getFirst();
    private static final CostModel COSTS = new CostModel(Profiles.machine(1, 200, 1), GEOMETRY);
    private static final StepPlanner EXPECTED = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1 << 22, 1024, 4);

    @Test
    void theFirstStepOfAKindIsPlannedWithItsFastestChunks() {
        for (int sequences : List.of(1, 2, 4, 8, 16)) {
            StepShape shape = Shapes.decode(GEOMETRY, sequences, 24, CacheForm.HOST_ACT);
            assertThat(new AdaptivePlanner(EXPECTED, COSTS).plan(shape))
                    .isEqualTo(ChunkSizes.fastest(EXPECTED, COSTS, shape).plan(shape));
        }
    }

    /** One cell a chunk for a batch of one is as fast as it gets; sixteen sequences would be cut into many. */
    @Test
    void chunksFollowTheBatch() {
        AdaptivePlanner planner = new AdaptivePlanner(EXPECTED, COSTS);
        StepShape one = Shapes.decode(GEOMETRY, 1, 24, CacheForm.HOST_ACT);
        StepShape many = Shapes.decode(GEOMETRY, 16, 24, CacheForm.HOST_ACT);
        for (StepShape shape : List.of(one, many, one, many)) {
            assertThat(nanos(planner.plan(shape))).isLessThanOrEqualTo(nanos(EXPECTED.plan(shape)));
        }
        assertThat(nanos(planner.plan(one))).isLessThan(nanos(EXPECTED.plan(one)));
    }

    private static double nanos(StepPlan plan) {
        return ChunkSizes.expectedNanos(plan, COSTS);
    }

    @Test
    void whatNeedsNoStagingIsPlannedAsEver() {
        StepShape resident = Shapes.decode(GEOMETRY, 3, 24, CacheForm.DEVICE_KV);
        assertThat(new AdaptivePlanner(EXPECTED, COSTS).plan(resident)).isEqualTo(EXPECTED.plan(resident));
    }

    /** Plans depend on the steps that were planned, on nothing else, however many kinds there are. */
    @Test
    void theSameStepsGetTheSamePlans() {
        Random random = new Random(3);
        List<StepShape> shapes = IntStream.range(0, 200)
                .mapToObj(i -> Shapes.step(random, GEOMETRY))
                .toList();
        AdaptivePlanner one = new AdaptivePlanner(EXPECTED, COSTS);
        AdaptivePlanner other = new AdaptivePlanner(EXPECTED, COSTS);
        for (StepShape shape : shapes) {
            assertThat(one.plan(shape)).isEqualTo(other.plan(shape));
        }
    }

    /** Whether the next step is the expected one or not, its plan is the same. */
    @Test
    void plansThatAreMadeAheadAreTheSame() {
        Random random = new Random(5);
        int expected = 0;
        for (int run = 0; run < 200; run++) {
            StepPlanner resident = new StepPlanner(GEOMETRY, Schedule.RESIDENT, 1 << 22, 1024, 4);
            AdaptivePlanner ahead = new AdaptivePlanner(resident, COSTS);
            int open = random.nextInt(GEOMETRY.blockTokens());
            List<CacheForm> closing = Collections.nCopies((open + 1) / GEOMETRY.blockTokens(), CacheForm.DEVICE_KV);
            SequenceShape sequence =
                    new SequenceShape(Collections.nCopies(random.nextInt(40), CacheForm.DEVICE_KV), open, 1, closing);
            StepShape shape = new StepShape(List.of(sequence), HeadShape.tokens(1));
            ahead.planAhead(ahead.plan(shape));
            Optional<StepShape> next = shape.nextDecode(GEOMETRY.blockTokens());
            expected += next.isPresent() ? 1 : 0;
            next.ifPresent(then -> {
                assertThat(then.sequences())
                        .allSatisfy(later -> assertThat(later.closing()).isEmpty());
                assertThat(then.sequences().getFirst().cachedTokens(GEOMETRY.blockTokens()))
                        .isEqualTo(shape.sequences().getFirst().totalTokens(GEOMETRY.blockTokens()));
            });
            StepShape following = random.nextBoolean() ? next.orElse(shape) : Shapes.step(random, GEOMETRY);
            assertThat(ahead.plan(following)).isEqualTo(new AdaptivePlanner(resident, COSTS).plan(following));
        }
        assertThat(expected).isBetween(1, 199);
    }
}
