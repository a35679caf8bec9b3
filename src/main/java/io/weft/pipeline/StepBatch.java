package io.weft.pipeline;

import io.weft.cache.CacheSequence;
import io.weft.plan.SequenceShape;
import io.weft.plan.StepShape;
import java.util.List;

/**
 * What a step runs. Its rows are the new tokens, one sequence after the other; its logit rows likewise.
 *
 * @param sequences at least one
 */
public record StepBatch(List<StepSequence> sequences) {
    public StepBatch {
        sequences = List.copyOf(sequences);
    }

    /** Rows of the step. */
    public int rows() {
        return sequences.stream()
                .mapToInt(sequence -> sequence.newTokens().size())
                .sum();
    }

    /** Rows whose logits are wanted. */
    public int logitRows() {
        return sequences.stream()
                .mapToInt(
                        sequence -> sequence.logits().count(sequence.newTokens().size()))
                .sum();
    }

    /** What the planner needs to know. */
    public StepShape shape() {
        return new StepShape(sequences.stream().map(StepBatch::shapeOf).toList(), logitRows());
    }

    private static SequenceShape shapeOf(StepSequence sequence) {
        CacheSequence cache = sequence.cache();
        int newTokens = sequence.newTokens().size();
        int closed = cache.closedBlocks();
        return new SequenceShape(
                cache.forms(0, closed),
                cache.openTokens(),
                newTokens,
                cache.forms(closed, closed + cache.closingBlocks(newTokens)),
                cache.arrivals().stream().map(arrival -> arrival.from().form()).toList());
    }
}
