package io.weft.plan.prediction;

import io.weft.model.CacheForm;
import io.weft.plan.step.Planner;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StepPlan;
import io.weft.plan.step.StepPlanner;
import io.weft.plan.step.StepShape;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Plans each step with the chunk size that is the {@linkplain ChunkSizes#fastest fastest} for steps of its kind: large
 * chunks for one long sequence, small ones for a large batch. The first step of a kind is simulated with every
 * candidate, which takes some milliseconds; the result is kept. Belongs to the thread that plans.
 */
public final class AdaptivePlanner implements Planner {
    /**
     * The most kinds that are kept: each of the three figures has about ten relevant values, and few combinations
     * occur.
     */
    private static final int KINDS_MOST = 64;

    private final StepPlanner expected;
    private final CostModel costs;
    /** The least recently used kind comes first. */
    private final Map<Kind, StepPlanner> fastest = new LinkedHashMap<>(16, 0.75f, true);
    /** The plan of the step that is expected next. */
    private @Nullable StepPlan ahead;

    /** Steps whose figures have the same numbers of binary digits are of one kind. */
    private record Kind(int sequenceDigits, int rowDigits, int stagedBlockDigits) {
        static Kind of(StepShape shape, int stagedBlocks) {
            return new Kind(digits(shape.sequences().size()), digits(shape.rows()), digits(stagedBlocks));
        }

        private static int digits(int value) {
            return Integer.SIZE - Integer.numberOfLeadingZeros(value);
        }
    }

    /** @param expected plans steps of the expected load, and steps with nothing to stage */
    public AdaptivePlanner(StepPlanner expected, CostModel costs) {
        this.expected = expected;
        this.costs = costs;
    }

    @Override
    public StepPlan plan(StepShape shape) {
        StepPlan planned = ahead;
        ahead = null;
        return planned != null && planned.shape().equals(shape)
                ? planned
                : planner(shape).plan(shape);
    }

    @Override
    public void planAhead(StepPlan issued) {
        try {
            ahead = issued.shape()
                    .nextDecode(expected.geometry().blockTokens())
                    .map(shape -> planner(shape).plan(shape))
                    .orElse(null);
        } catch (IllegalArgumentException e) {
            // plan() will say so, if such a step comes.
            ahead = null;
        }
    }

    @Override
    public int chunkTokens() {
        return expected.chunkTokens();
    }

    /** The planner of steps like this one. */
    public StepPlanner planner(StepShape shape) {
        int stagedBlocks = stagedBlocks(shape);
        if (stagedBlocks == 0) {
            return expected;
        }
        StepPlanner chosen = fastest.computeIfAbsent(
                Kind.of(shape, stagedBlocks), kind -> ChunkSizes.fastest(expected, costs, shape));
        if (fastest.size() > KINDS_MOST) {
            fastest.remove(fastest.keySet().iterator().next());
        }
        return chosen;
    }

    private static int stagedBlocks(StepShape shape) {
        int blocks = 0;
        for (SequenceShape sequence : shape.sequences()) {
            for (CacheForm form : sequence.closed()) {
                blocks += form.isReadInPlace() ? 0 : 1;
            }
        }
        return blocks;
    }
}
