package io.weft.plan;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Chooses the size of chunks: large ones for the copies' and kernels' rates, small ones for the overlap. */
public final class ChunkSizes {
    /** Chunk sizes that are tried, in cells; between two of them the step's time hardly changes. */
    private static final List<Integer> CANDIDATE_CELLS =
            List.of(1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256);

    /** A layer in more chunks than this gains nothing in overlap, and costs planning. */
    private static final int CHUNKS_MOST = 64;

    private ChunkSizes() {}

    /**
     * The chunk size with the shortest predicted step; of equally good ones the smallest.
     *
     * @param planner its {@code chunkTokens} is not used
     * @param shape a typical step
     * @return {@code planner} with that chunk size
     */
    public static StepPlanner fastest(StepPlanner planner, CostModel costs, StepShape shape) {
        return candidates(planner, shape)
                .mapToObj(tokens -> new StepPlanner(
                        planner.geometry(), planner.schedule(), planner.stagingBytes(), tokens, planner.slots()))
                .min(Comparator.comparingLong(candidate ->
                        costs.simulator().play(candidate.plan(shape)).totalNanos()))
                .orElse(planner);
    }

    private static IntStream candidates(StepPlanner planner, StepShape shape) {
        int cellTokens = planner.geometry().cellTokens();
        int blockTokens = planner.geometry().blockTokens();
        long allTokens = shape.sequences().stream()
                .mapToLong(sequence -> sequence.totalTokens(blockTokens))
                .sum();
        int least = CANDIDATE_CELLS.stream()
                .filter(cells -> (long) cells * cellTokens * CHUNKS_MOST >= allTokens)
                .findFirst()
                .orElse(CANDIDATE_CELLS.getLast());
        return CANDIDATE_CELLS.stream().filter(cells -> cells >= least).mapToInt(cells -> cells * cellTokens);
    }
}
