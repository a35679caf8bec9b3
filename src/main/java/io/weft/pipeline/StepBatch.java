package io.weft.pipeline;

import io.weft.cache.CacheSequence;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StepShape;
import java.util.List;

/**
 * The batch of a step. Its rows are the new tokens, one sequence after the other.
 *
 * @param sequences at least one
 */
public record StepBatch(List<StepSequence> sequences) {
    public StepBatch {
        sequences = List.copyOf(sequences);
    }

    /** The number of rows of the step. */
    public int rows() {
        return sequences.stream()
                .mapToInt(sequence -> sequence.newTokens().size())
                .sum();
    }

    /** The cached tokens of its sequences. */
    List<CacheSequence> caches() {
        return sequences.stream().map(StepSequence::cache).toList();
    }

    /** The outputs of the step. */
    public HeadShape head() {
        int rows = 0;
        int tokens = 0;
        int logits = 0;
        for (StepSequence sequence : sequences) {
            rows += sequence.headRows();
            tokens += sequence.choices().size();
            logits += sequence.logitRows();
        }
        return new HeadShape(rows, tokens, logits);
    }

    /** The number of drafted rows. */
    int draftRows() {
        return sequences.stream().mapToInt(StepSequence::drafted).sum();
    }

    /** The number of edits of logits in all choices. */
    int edits() {
        return sequences.stream()
                .flatMap(sequence -> sequence.choices().stream())
                .mapToInt(choice -> choice.edits().size())
                .sum();
    }

    /** The shape of the step, for the planner. */
    public StepShape shape() {
        return new StepShape(sequences.stream().map(StepBatch::shapeOf).toList(), head());
    }

    private static SequenceShape shapeOf(StepSequence sequence) {
        CacheSequence cache = sequence.cache();
        int closed = cache.closedBlocks();
        return new SequenceShape(
                cache.forms(0, closed),
                cache.openTokens(),
                sequence.newTokens().size(),
                sequence.drafted(),
                cache.forms(closed, closed + cache.closingBlocks()),
                cache.arrivals().stream().map(arrival -> arrival.from().form()).toList());
    }
}
