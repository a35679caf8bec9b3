package io.weft.model;

import io.weft.model.CacheForm.Content;

/**
 * How the cache of a model is cut: blocks of a fixed number of tokens, and the token grid to which attention's partial
 * results belong.
 *
 * @param dimensions of the model
 * @param elementBytes bytes of one stored element
 * @param blockTokens tokens of a block
 * @param cellTokens tokens of a cell of the grid; a multiple of {@code blockTokens}
 */
public record CacheGeometry(ModelDimensions dimensions, int elementBytes, int blockTokens, int cellTokens) {
    public CacheGeometry {
        if (elementBytes < 1) {
            throw new IllegalArgumentException("elementBytes is " + elementBytes + ", must be at least 1");
        }
        if (blockTokens < 1) {
            throw new IllegalArgumentException("blockTokens is " + blockTokens + ", must be at least 1");
        }
        if (cellTokens < blockTokens || cellTokens % blockTokens != 0) {
            throw new IllegalArgumentException(
                    "cellTokens is " + cellTokens + ", must be a multiple of blockTokens, " + blockTokens);
        }
    }

    /** Bytes of one token's content in one layer. */
    public long tokenLayerBytes(Content content) {
        return (long) content.width(dimensions) * elementBytes;
    }

    /** Bytes of one token's content in all layers. */
    public long tokenBytes(Content content) {
        return dimensions.layers() * tokenLayerBytes(content);
    }

    /** Bytes of one block's content in one layer: (blockTokens, width), row-major. */
    public long blockLayerBytes(Content content) {
        return blockTokens * tokenLayerBytes(content);
    }

    /** Bytes of a full block, with its layers one after the other. */
    public long blockBytes(Content content) {
        return dimensions.layers() * blockLayerBytes(content);
    }

    /** Bytes of an open block in one layer: K and V (blockTokens, 2·KVH·HD), then activations (blockTokens, D). */
    public long openLayerBytes() {
        return blockLayerBytes(Content.KEY_VALUE) + blockLayerBytes(Content.ACTIVATION);
    }

    /** Bytes of an open block. */
    public long openBlockBytes() {
        return dimensions.layers() * openLayerBytes();
    }

    /** The number of blocks that hold {@code tokens} tokens, the last perhaps in part. */
    public int blocks(int tokens) {
        return Math.ceilDiv(tokens, blockTokens);
    }

    /**
     * Whether an activation is smaller than the K and V that it stands for; only then does recomputation save anything.
     */
    public boolean activationsAreSmaller() {
        return dimensions.hiddenSize() < dimensions.keyValueWidth();
    }

    /**
     * Whether it can pay to store blocks in this form. Where activations are not smaller than K and V, they take more
     * of every resource.
     */
    public boolean isUseful(CacheForm form) {
        return form.content() == Content.KEY_VALUE || activationsAreSmaller();
    }
}
