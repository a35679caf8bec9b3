package io.weft.device;

/**
 * The index arrays of one step, in device memory, shared by all layers.
 *
 * @param rowPositions (rows) int32: position of the row's token in its sequence; the row sees positions 0 to this one,
 *     inclusive
 * @param blockTable (sequences, blocksPerSequence) int64: an entry of {@link BlockBases} for each block's K and V,
 *     (blockTokens, 2·KVH·HD)
 * @param blocksPerSequence row length of {@code blockTable}
 */
public record AttentionIndex(DeviceBuffer rowPositions, DeviceBuffer blockTable, int blocksPerSequence) {}
