package io.weft.plan.placement;

import io.weft.model.CacheForm;
import java.util.List;

/** Chooses the form that a block has once it is full. */
@FunctionalInterface
public interface PlacementPolicy {
    /**
     * The forms that a block may have, the best first; a form on the host ends the list.
     *
     * @param block index of the block in the sequence
     * @param promptTokens tokens of the sequence's prompt
     */
    List<CacheForm> forms(int block, int promptTokens);
}
