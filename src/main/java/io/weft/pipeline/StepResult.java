package io.weft.pipeline;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The logits of a step; valid until the next step is issued. */
public final class StepResult {
    private final MemorySegment logits;
    private final int vocabularySize;

    StepResult(MemorySegment logits, int vocabularySize) {
        this.logits = logits;
        this.vocabularySize = vocabularySize;
    }

    /** Copies the logits of one logit row, in the batch's order. */
    public float[] logits(int row) {
        long rowBytes = (long) vocabularySize * Float.BYTES;
        return logits.asSlice(row * rowBytes, rowBytes).toArray(ValueLayout.JAVA_FLOAT);
    }
}
