package io.weft.cache;

import io.weft.device.DeviceBuffer;
import io.weft.model.CacheGeometry;

/**
 * The newest tokens of a sequence in the layers with a window, as K and V on the device: (blocks, window layers,
 * blockTokens, 2·KVH·HD). Block b of the sequence is block {@code b mod blocks} of the ring, so new tokens take the
 * places of those that no row sees any more.
 *
 * @param geometry of the cache
 * @param memory all blocks; empty without such layers
 * @param blocks number of blocks
 */
public record WindowRing(CacheGeometry geometry, DeviceBuffer memory, int blocks) {
    /** The address of block {@code block} of the sequence, in the first layer with a window. */
    public long blockAddress(int block) {
        return memory.address() + block % blocks * geometry.windowBlockBytes();
    }

    /** Block {@code block} of the sequence. */
    DeviceBuffer block(int block) {
        return memory.slice(block % blocks * geometry.windowBlockBytes(), geometry.windowBlockBytes());
    }

    /** The address of a token's K and V in the first layer with a window. */
    public long tokenAddress(int token) {
        int blockTokens = geometry.blockTokens();
        return blockAddress(token / blockTokens) + token % blockTokens * geometry.windowTokenLayerBytes();
    }
}
