package io.weft.pipeline;

import io.weft.device.TokenChoices;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.OptionalInt;

/** The result of a step. Sequences count in the batch's order. Valid until the next step is issued. */
public final class StepResult {
    private final HeadRows rows;
    private final MemorySegment tokens;
    private final MemorySegment logits;
    private final long logitRowBytes;

    /**
     * @param tokens (tokens) int32
     * @param logits (logit rows, V) fp32
     */
    StepResult(HeadRows rows, MemorySegment tokens, MemorySegment logits, int vocabularySize) {
        this.rows = rows;
        this.tokens = tokens;
        this.logits = logits;
        this.logitRowBytes = (long) vocabularySize * Float.BYTES;
    }

    /**
     * The token that row {@code row} of a sequence chooses, of those that choose one: without drafts there is one row.
     *
     * @return empty if there is a NaN among the logits
     * @throws IndexOutOfBoundsException if fewer choose
     */
    public OptionalInt token(int sequence, int row) {
        int token = tokens.getAtIndex(ValueLayout.JAVA_INT, rows.token(sequence, row));
        return token == TokenChoices.NO_TOKEN ? OptionalInt.empty() : OptionalInt.of(token);
    }

    /**
     * Copies the model's logits of row {@code row} among those that a sequence asked for.
     *
     * @throws IndexOutOfBoundsException if it asked for fewer
     */
    public float[] logits(int sequence, int row) {
        return logits.asSlice(rows.logits(sequence, row) * logitRowBytes, logitRowBytes)
                .toArray(ValueLayout.JAVA_FLOAT);
    }
}
