package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

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
     * The blocks that the step codes, by encoding: those that it fills; under a lossy policy also those that drafts
     * fill, since rows after them see what their codes say.
     */
    public SortedMap<Encoding, Integer> codedBlocks(CacheGeometry geometry) {
        SortedMap<Encoding, Integer> coded = new TreeMap<>();
        if (geometry.policy().isLossy()) {
            int blocks = sequences.stream()
                    .mapToInt(sequence -> sequence.filledBlocks(geometry.blockTokens()))
                    .sum();
            if (blocks > 0 && geometry.cachedLayerCount() > 0) {
                coded.put(geometry.policy().encodings().getFirst(), blocks);
            }
            return coded;
        }
        for (SequenceShape sequence : sequences) {
            for (CacheForm form : sequence.closing()) {
                if (form.encoding().isCoded()) {
                    coded.merge(form.encoding(), 1, Integer::sum);
                }
            }
        }
        return coded;
    }

    /**
     * The shape of the next step if all sequences go on decoding, a row each; empty if they do not, or if blocks are
     * filled or moved in this step or the next, since their forms are not known here.
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
