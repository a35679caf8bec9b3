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

    /** One block in one layer: (blockTokens, width). */
    HostBuffer block(int layer, int index) {
        return extent.memory().slice(((long) layer * blocks + index) * blockLayerBytes, blockLayerBytes);
    }

    HostPool.Extent extent() {
        return extent;
    }
}
