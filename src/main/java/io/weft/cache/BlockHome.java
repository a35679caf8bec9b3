package io.weft.cache;

import io.weft.device.DeviceBuffer;
import io.weft.device.HostBuffer;
import io.weft.model.CacheForm;
import io.weft.model.Encoding;

/** Where a full block lives. */
public sealed interface BlockHome {
    /** The encoding of the block, and its memory. */
    CacheForm form();

    /**
     * In device memory, its layers one after the other.
     *
     * @param form what it holds
     * @param memory all its layers
     */
    record OnDevice(CacheForm form, DeviceBuffer memory) implements BlockHome {}

    /** In host memory, in a slot of a slab. */
    final class OnHost implements BlockHome {
        private final Encoding encoding;
        private final HostSlot slot;

        OnHost(Encoding encoding, HostSlot slot) {
            this.encoding = encoding;
            this.slot = slot;
        }

        HostSlot slot() {
            return slot;
        }

        @Override
        public CacheForm form() {
            return new CacheForm(encoding, CacheForm.Place.HOST);
        }

        /** Whether this block lies {@code distance} blocks after {@code first}, in every layer. */
        public boolean follows(OnHost first, int distance) {
            return slot.follows(first.slot, distance);
        }

        /** This block and those after it, {@code blocks} in all, in one layer. */
        public HostBuffer layer(int layer, int blocks) {
            return slot.layer(layer, blocks);
        }
    }
}
