package io.weft.plan.prediction;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.Profiles;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.Shapes;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChunkSizesTest {
    private static final CacheGeometry GEOMETRY = Shapes.GEOMETRIES.getFirst();

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 8, 16, 40})
    void noMultipleOfACellIsFaster(int cells) {
        CostModel costs = new CostModel(Profiles.machine(1, 200, 1), GEOMETRY);
        StepShape shape = Shapes.decode(GEOMETRY, 4, 32, CacheForm.HOST_ACT);
        StepPlanner planner = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1 << 20, 64, 4);
        StepPlanner chosen = ChunkSizes.fastest(planner, costs, shape);
        StepPlanner other = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1 << 20, 64 * cells, 4);
        double chosenNanos = ChunkSizes.expectedNanos(chosen.plan(shape), costs);
        double otherNanos = ChunkSizes.expectedNanos(other.plan(shape), costs);
        // Sizes between the candidates may be a little better.
        assertThat(chosenNanos).isLessThanOrEqualTo(otherNanos * 1.02);
    }

    @Test
    void noLargerChunkIsAsFast() {
        CostModel costs = new CostModel(Profiles.machine(1, 200, 1), GEOMETRY);
        StepShape shape = Shapes.decode(GEOMETRY, 4, 32, CacheForm.HOST_ACT);
        StepPlanner planner = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1L << 40, 64, 4);
        StepPlanner chosen = ChunkSizes.fastest(planner, costs, shape);
        double chosenNanos = ChunkSizes.expectedNanos(chosen.plan(shape), costs);
        List<Integer> larger = Stream.of(2, 4, 8, 16, 32, 64, 128, 256)
                .map(cells -> 64 * cells)
                .filter(tokens -> tokens > chosen.chunkTokens())
                .toList();
        assertThat(larger).isNotEmpty();
        for (int tokens : larger) {
            StepPlanner other = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1L << 40, tokens, 4);
            assertThat(ChunkSizes.expectedNanos(other.plan(shape), costs))
                    .as("chunks of %d tokens", tokens)
                    .isGreaterThan(chosenNanos);
        }
    }

    @Test
    void aDearCallMakesLargeChunks() {
        StepShape shape = Shapes.decode(GEOMETRY, 4, 32, CacheForm.HOST_ACT);
        StepPlanner planner = new StepPlanner(GEOMETRY, Schedule.CHUNKED, 1L << 40, 64, 4);
        HardwareProfile cheap = Profiles.machine(1, 100, 1);
        HardwareProfile dear = new HardwareProfile(
                cheap.device(),
                Curve.linear(1e6, 1, 1 << 30),
                cheap.linkOut(),
                cheap.deviceCopy(),
                cheap.embed(),
                cheap.layers(),
                cheap.keyValues(),
                cheap.codes(),
                cheap.shortSequenceNanos(),
                cheap.head(),
                0,
                0,
                0,
                0,
                1,
                cheap.graphGain());
        int cheapTokens = ChunkSizes.fastest(planner, new CostModel(cheap, GEOMETRY), shape)
                .chunkTokens();
        int dearTokens = ChunkSizes.fastest(planner, new CostModel(dear, GEOMETRY), shape)
                .chunkTokens();
        assertThat(dearTokens).isGreaterThan(cheapTokens).isGreaterThanOrEqualTo(512);
    }
}
