package io.weft.cache;

import io.weft.device.HostBuffer;

/**
 * Host memory for what is stored of one block.
 *
 * @param slab where it is
 * @param part what it holds
 * @param index among the slots of the slab
 */
record HostSlot(HostSlab slab, BlockPart part, int index) {
    /** Whether this slot lies {@code distance} slots after {@code first}, in every layer. */
    boolean follows(HostSlot first, int distance) {
        return slab == first.slab && index == first.index + distance;
    }

    /** This slot and those after it, {@code slots} in all, in one layer. */
    HostBuffer layer(int layer, int slots) {
        return slab.layer(part, layer, index, slots);
    }
}
