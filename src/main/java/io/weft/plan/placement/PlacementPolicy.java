package io.weft.plan.placement;

import io.weft.model.CacheForm;
import java.util.List;

/** Which form a block is given when it is full. */
@FunctionalInterface
public interface PlacementPolicy {
    /**
     * Forms that a block may be given, the best first; a form on the host ends the list.
     *
     * @param block its index in the sequence
     * @param promptTokens tokens of the sequence's prompt
     */
    List<CacheForm> forms(int block, int promptTokens);
}
