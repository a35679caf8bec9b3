package io.weft.pipeline;

import io.weft.plan.step.HeadShape;
import java.util.List;

/**
 * The order of the rows that the head computes: first those whose logits go to the host, last those that choose a
 * token, and between them those that do both. So each kind is one contiguous range.
 */
final class HeadRows {
    private final List<StepSequence> sequences;
    private final HeadShape shape;
    /** Index: sequence. The place of its first row for one purpose alone. */
    private final int[] firstOfOne;
    /** Index: sequence. The place of its first row for both. These follow the others. */
    private final int[] firstOfBoth;

    HeadRows(StepBatch batch) {
        this.sequences = batch.sequences();
        this.shape = batch.head();
        this.firstOfOne = new int[sequences.size()];
        this.firstOfBoth = new int[sequences.size()];
        int nextLogits = 0;
        int nextBoth = shape.rows() - shape.tokens();
        int nextToken = shape.logits();
        for (int i = 0; i < firstOfOne.length; i++) {
            StepSequence sequence = sequences.get(i);
            firstOfBoth[i] = nextBoth;
            nextBoth += rowsForBoth(sequence);
            int rowsForOne = sequence.headRows() - rowsForBoth(sequence);
            if (sequence.logitRows() > sequence.choices().size()) {
                firstOfOne[i] = nextLogits;
                nextLogits += rowsForOne;
            } else {
                firstOfOne[i] = nextToken;
                nextToken += rowsForOne;
            }
        }
    }

    private static int rowsForBoth(StepSequence sequence) {
        return Math.min(sequence.logitRows(), sequence.choices().size());
    }

    HeadShape shape() {
        return shape;
    }

    /** The place of row {@code row} of a sequence. */
    int row(int sequence, int row) {
        StepSequence part = sequences.get(sequence);
        int rowsForOne = part.headRows() - rowsForBoth(part);
        return row < rowsForOne ? firstOfOne[sequence] + row : firstOfBoth[sequence] + row - rowsForOne;
    }

    /** The place of a row with logits among those whose logits go to the host. */
    int logits(int sequence, int row) {
        return lastRow(sequence, row, sequences.get(sequence).logitRows(), "logit row");
    }

    /** The place of a row that chooses a token among those that do. */
    int token(int sequence, int row) {
        return lastRow(sequence, row, sequences.get(sequence).choices().size(), "choosing row")
                - (shape.rows() - shape.tokens());
    }

    /** The place of row {@code row} of the last {@code count} rows of a sequence. */
    private int lastRow(int sequence, int row, int count, String what) {
        if (row < 0 || row >= count) {
            throw new IndexOutOfBoundsException(what + " " + row + " of " + count + " of sequence " + sequence);
        }
        return row(sequence, sequences.get(sequence).headRows() - count + row);
    }
}
