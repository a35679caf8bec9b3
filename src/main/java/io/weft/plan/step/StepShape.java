package io.weft.plan.step;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

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

    /**
     * The shape of the next step if all sequences go on decoding; empty if they do not decode, or if blocks are filled
     * or moved in this step or the next, since their forms are not known here.
     */
    public Optional<StepShape> nextDecode(int blockTokens) {
        List<SequenceShape> next = new ArrayList<>(sequences.size());
        for (SequenceShape sequence : sequences) {
            int openTokens = sequence.openTokens() + 1;
            if (sequence.newTokens() != 1
                    || !sequence.closing().isEmpty()
                    || !sequence.promoted().isEmpty()
                    || (openTokens + 1) % blockTokens == 0) {
                return Optional.empty();
            }
            next.add(new SequenceShape(sequence.closed(), openTokens, 1, List.of()));
        }
        return Optional.of(new StepShape(next, head));
    }
}
