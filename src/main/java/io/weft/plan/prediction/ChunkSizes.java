package io.weft.plan.prediction;

import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.List;
import java.util.stream.IntStream;

/** Chooses the size of chunks: large ones for the rates of copies and kernels, small ones for the overlap. */
public final class ChunkSizes {
    /** The chunk sizes to try, in cells; between two of them the step's time hardly changes. */
    private static final List<Integer> CANDIDATE_CELLS =
            List.of(1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256);

    /** More chunks per layer gain no overlap, and cost planning. */
    private static final int CHUNKS_MOST = 64;

    /** Steps count as equal if one takes at most this many times as long as the other. */
    private static final double ABOUT = 1.01;

    private ChunkSizes() {}

    /**
     * The largest chunk size whose predicted step is about as short as the shortest. If a step waits for the link, many
     * sizes have about the same prediction. Large chunks then leave the compute lane more time to spare: products of
     * more rows are faster, and there are fewer starts and hand-offs.
     *
     * @param planner the planner to adapt; its {@code chunkTokens} is not used
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
     * the latter follow steps in which a sequence has filled a block.
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
