package io.weft.plan;

import io.weft.model.CacheForm;

/** Which form a block is given when it is full. */
@FunctionalInterface
public interface PlacementPolicy {
    /**
     * The form wanted for a block.
     *
     * @param block its index in the sequence
     * @param promptTokens tokens of the sequence's prompt
     */
    CacheForm form(int block, int promptTokens);
}
