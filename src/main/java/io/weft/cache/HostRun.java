package io.weft.cache;

import io.weft.device.HostBuffer;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;

/**
 * Blocks of one sequence with equal content, in one extent of host memory: (layers, blocks, blockTokens, width).
 * Neighbouring blocks of a layer are neighbours in memory, so that one copy brings many of them over the link.
 */
final class HostRun {
    private final HostPool.Extent extent;
    private final long blockLayerBytes;
    private final int blocks;

    HostRun(CacheGeometry geometry, Content content, HostPool.Extent extent, int blocks) {
        this.extent = extent;
        this.blockLayerBytes = geometry.blockLayerBytes(content);
        this.blocks = blocks;
    }

    /** {@code count} blocks from {@code first} on in one layer: (count, blockTokens, width). */
    HostBuffer blocks(int layer, int first, int count) {
        if (count < 1 || first < 0 || first > blocks - count) {
            throw new IndexOutOfBoundsException(count + " blocks from " + first + " on in a run of " + blocks);
        }
        return extent.memory().slice(((long) layer * blocks + first) * blockLayerBytes, count * blockLayerBytes);
    }

    HostPool.Extent extent() {
        return extent;
    }
}
