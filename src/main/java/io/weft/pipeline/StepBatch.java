package io.weft.pipeline;

import io.weft.cache.CacheSequence;
import io.weft.plan.step.HeadShape;
import io.weft.plan.step.SequenceShape;
import io.weft.plan.step.StepShape;
import java.util.List;

/**
 * What a step runs. Its rows are the new tokens, one sequence after the other.
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

    /** The cached tokens of its sequences. */
    List<CacheSequence> caches() {
        return sequences.stream().map(StepSequence::cache).toList();
    }

    /** What comes out. */
    public HeadShape head() {
        int rows = 0;
        int tokens = 0;
        int logits = 0;
        for (StepSequence sequence : sequences) {
            rows += sequence.headRows();
            tokens += sequence.choice().isPresent() ? 1 : 0;
            logits += sequence.logitRows();
        }
        return new HeadShape(rows, tokens, logits);
    }

    /** Edits of logits, of all choices. */
    int edits() {
        return sequences.stream()
                .flatMap(sequence -> sequence.choice().stream())
                .mapToInt(choice -> choice.edits().size())
                .sum();
    }

    /** What the planner needs to know. */
    public StepShape shape() {
        return new StepShape(sequences.stream().map(StepBatch::shapeOf).toList(), head());
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
