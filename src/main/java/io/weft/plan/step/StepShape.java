package io.weft.plan.step;

import java.util.List;

/**
 * The batch of a step, as far as its plan depends on it.
 *
 * @param sequences in batch order; the rows of the step are their new tokens, one sequence after the other
 * @param head the outputs
 */
public record StepShape(List<SequenceShape> sequences, HeadShape head) {
    public StepShape {
        sequences = List.copyOf(sequences);
        if (sequences.isEmpty()) {
            throw new IllegalArgumentException("a step needs at least one sequence");
        }
    }

    /** The rows of the step: the new tokens of all sequences. */
    public int rows() {
        return sequences.stream().mapToInt(SequenceShape::newTokens).sum();
    }
}
