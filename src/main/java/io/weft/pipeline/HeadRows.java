package io.weft.pipeline;

import io.weft.plan.step.HeadShape;
import java.util.List;

/**
 * The order of the rows that the head computes: first those whose logits go to the host, last those for which a token
 * is chosen, and between them those that are both. So each kind is one contiguous range.
 */
final class HeadRows {
    private final List<StepSequence> sequences;
    private final HeadShape shape;
    /** Index: sequence. The place of its first row. */
    private final int[] first;
    /** Index: sequence. The place of its last row. */
    private final int[] last;

    HeadRows(StepBatch batch) {
        this.sequences = batch.sequences();
        this.shape = batch.head();
        this.first = new int[sequences.size()];
        this.last = new int[sequences.size()];
        int nextLogits = 0;
        int nextBoth = shape.rows() - shape.tokens();
        int nextToken = shape.logits();
        for (int i = 0; i < first.length; i++) {
            StepSequence sequence = sequences.get(i);
            int rows = sequence.headRows();
            first[i] = nextLogits;
            if (sequence.choice().isEmpty()) {
                last[i] = nextLogits + rows - 1;
                nextLogits += rows;
            } else {
                last[i] = sequence.logitRows() > 0 ? nextBoth++ : nextToken++;
                nextLogits += rows - 1;
            }
        }
    }

    HeadShape shape() {
        return shape;
    }

    /** The place of row {@code row} of a sequence. */
    int row(int sequence, int row) {
        return row == sequences.get(sequence).headRows() - 1 ? last[sequence] : first[sequence] + row;
    }

    /** The place of a row among those whose logits go to the host. */
    int logits(int sequence, int row) {
        int wanted = sequences.get(sequence).logitRows();
        if (row < 0 || row >= wanted) {
            throw new IndexOutOfBoundsException("logit row " + row + " of " + wanted + " of sequence " + sequence);
        }
        return row(sequence, row);
    }

    /** The place of a sequence's token among the chosen ones. */
    int token(int sequence) {
        if (sequences.get(sequence).choice().isEmpty()) {
            throw new IllegalArgumentException("no token is chosen for sequence " + sequence);
        }
        return last[sequence] - (shape.rows() - shape.tokens());
    }
}
