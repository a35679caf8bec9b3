package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.plan.step.BlockRun;
import java.util.List;

/** A change of place of some blocks of a running sequence, between two steps. */
public sealed interface Move {
    /** Whose blocks. */
    int sequence();

    /**
     * Full blocks that are read from the host are copied to the device. Their homes stay: giving the copies back takes
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
     * Blocks that are not full yet give their homes on the device up for others, which takes no time either.
     *
     * @param sequence whose
     * @param blocks in token order
     * @param form of their new homes
     */
    record Rehome(int sequence, List<Integer> blocks, CacheForm form) implements Move {
        public Rehome {
            blocks = List.copyOf(blocks);
        }
    }
}
