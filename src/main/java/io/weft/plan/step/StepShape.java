package io.weft.plan.step;

import java.util.List;

/**
 * What a step's plan needs to know of the batch.
 *
 * @param sequences in batch order; the rows of the step are their new tokens, one sequence after the other
 * @param head what comes out
 */
public record StepShape(List<SequenceShape> sequences, HeadShape head) {
    public StepShape {
        sequences = List.copyOf(sequences);
        if (sequences.isEmpty()) {
            throw new IllegalArgumentException("a step needs at least one sequence");
        }
    }

    /** Rows of the step: new tokens of all sequences. */
    public int rows() {
        return sequences.stream().mapToInt(SequenceShape::newTokens).sum();
    }
}
