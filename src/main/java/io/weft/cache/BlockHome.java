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

    /** In host memory, in a run with neighbours of equal content. */
    final class OnHost implements BlockHome {
        private final Content content;
        private final HostRun run;
        private final int index;

        OnHost(Content content, HostRun run, int index) {
            this.content = content;
            this.run = run;
            this.index = index;
        }

        HostRun run() {
            return run;
        }

        @Override
        public CacheForm form() {
            return CacheForm.of(content, CacheForm.Place.HOST);
        }

        /** Whether this block lies {@code distance} blocks after {@code first}, in the same run. */
        public boolean follows(OnHost first, int distance) {
            return run == first.run && index == first.index + distance;
        }

        /** This block and those after it, {@code blocks} in all, in one layer: (blocks, blockTokens, width). */
        public HostBuffer layer(int layer, int blocks) {
            return run.blocks(layer, index, blocks);
        }
    }
}
