package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.plan.step.BlockRun;
import java.util.List;

/** Moves some blocks of a running sequence to other places, between two steps. */
public sealed interface Move {
    /** The index of the sequence. */
    int sequence();

    /**
     * Copies full blocks that are read from the host to the device. Their homes stay, so giving the copies back takes
     * no time.
     *
     * @param blocks in token order
     */
    record Promote(BlockRun blocks) implements Move {
        @Override
        public int sequence() {
            return blocks.sequence();
        }
    }

    /**
     * Replaces the homes on the device of blocks that are not full yet, which takes no time either.
     *
     * @param sequence index of the sequence
     * @param blocks in token order
     * @param form form of the new homes
     */
    record Rehome(int sequence, List<Integer> blocks, CacheForm form) implements Move {
        public Rehome {
            blocks = List.copyOf(blocks);
        }
    }
}
