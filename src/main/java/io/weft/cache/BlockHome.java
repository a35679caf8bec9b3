package io.weft.cache;

import io.weft.device.DeviceBuffer;
import io.weft.device.HostBuffer;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;

/** Where a full block lives. */
public sealed interface BlockHome {
    /** The content of the block, and its memory. */
    CacheForm form();

    /**
     * In device memory, its layers one after the other: (layers, blockTokens, width).
     *
     * @param form what it holds
     * @param memory all its layers
     */
    record OnDevice(CacheForm form, DeviceBuffer memory) implements BlockHome {}

    /** In host memory, in a slot of a slab. */
    final class OnHost implements BlockHome {
        private final Content content;
        private final HostSlot slot;

        OnHost(Content content, HostSlot slot) {
            this.content = content;
            this.slot = slot;
        }

        HostSlot slot() {
            return slot;
        }

        @Override
        public CacheForm form() {
            return CacheForm.of(content, CacheForm.Place.HOST);
        }

        /** Whether this block lies {@code distance} blocks after {@code first}, in every layer. */
        public boolean follows(OnHost first, int distance) {
            return slot.follows(first.slot, distance);
        }

        /** This block and those after it, {@code blocks} in all, in one layer: (blocks, blockTokens, width). */
        public HostBuffer layer(int layer, int blocks) {
            return slot.layer(layer, blocks);
        }
    }
}
