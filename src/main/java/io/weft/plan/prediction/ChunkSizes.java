package io.weft.plan.prediction;

import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.List;
import java.util.stream.IntStream;

/** Chooses the size of chunks: large ones for the copies' and kernels' rates, small ones for the overlap. */
public final class ChunkSizes {
    /** Chunk sizes that are tried, in cells; between two of them the step's time hardly changes. */
    private static final List<Integer> CANDIDATE_CELLS =
            List.of(1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256);

    /** A layer in more chunks than this gains nothing in overlap, and costs planning. */
    private static final int CHUNKS_MOST = 64;

    /** Steps are as good as equal if one takes this many times as long as the other. */
    private static final double ABOUT = 1.01;

    private ChunkSizes() {}

    /**
     * The largest chunk size whose predicted step is about as short as the shortest. Where the link is what a step
     * waits for, many sizes are predicted alike; large chunks then leave the compute lane more time to spare, since
     * products of more rows are faster, and there is less to start and to hand over.
     *
     * @param planner its {@code chunkTokens} is not used
     * @param shape a typical step, which fills no blocks
     * @return {@code planner} with that chunk size
     */
    public static StepPlanner fastest(StepPlanner planner, CostModel costs, StepShape shape) {
        List<Candidate> candidates = candidates(planner, shape)
                .mapToObj(tokens -> new StepPlanner(
                        planner.geometry(), planner.schedule(), planner.stagingBytes(), tokens, planner.slots()))
                .map(candidate -> new Candidate(candidate, expectedNanos(candidate.plan(shape), costs)))
                .toList();
        double shortestNanos =
                candidates.stream().mapToDouble(Candidate::stepNanos).min().orElse(0);
        return candidates.reversed().stream()
                .filter(candidate -> candidate.stepNanos() <= ABOUT * shortestNanos)
                .findFirst()
                .map(Candidate::planner)
                .orElse(planner);
    }

    /**
     * The mean over steps that begin their transfers ahead and steps that start from rest, which want smaller chunks:
     * these come behind steps in which one of the sequences has filled a block.
     */
    static double expectedNanos(StepPlan plan, CostModel costs) {
        double fills = 1.0 / costs.geometry().blockTokens();
        double nothingFilled = Math.pow(1 - fills, plan.shape().sequences().size());
        StepSimulator simulator = costs.simulator(plan);
        return nothingFilled * simulator.play(plan).totalNanos()
                + (1 - nothingFilled) * simulator.play(plan.stages()).totalNanos();
    }

    private record Candidate(StepPlanner planner, double stepNanos) {}

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
