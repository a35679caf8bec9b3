package io.weft.pipeline;

import java.lang.foreign.MemorySegment;

/** The tokens that may be chosen after a sequence. They may still be being found while the device runs the step. */
@FunctionalInterface
public interface TokenMask {
    /**
     * Waits until they are known, and sets the bit of each: of token t, bit t mod 64 of word t / 64. There must be at
     * least one. The device waits meanwhile, once it has the logits, so this must not take long and must not throw.
     *
     * @param bits (vocabulary) bits in int64 words, all of them 0
     */
    void write(MemorySegment bits);
}
