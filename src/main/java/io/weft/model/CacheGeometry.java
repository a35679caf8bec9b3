package io.weft.model;

import io.weft.device.BlockCode;
import io.weft.device.BlockValues;
import io.weft.device.ElementType;
import io.weft.model.CacheForm.Content;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * How the cache of a model is cut: blocks of a fixed number of tokens, and the token grid to which attention's partial
 * results belong.
 *
 * <p>Layers that see all tokens are <em>cached</em>: their blocks have forms, and may lie on the host. Layers with a
 * window keep what their rows still see, as K and V on the device, in a ring of blocks for each sequence.
 *
 * @param dimensions of the model
 * @param elementType of what is stored
 * @param blockTokens tokens of a block
 * @param cellTokens tokens of a cell of the grid; a multiple of {@code blockTokens}, and under a lossy policy the same:
 *     rows see their own block otherwise than earlier ones, and no cell is divided
 * @param policy how true the cache is
 */
public record CacheGeometry(
        ModelDimensions dimensions, ElementType elementType, int blockTokens, int cellTokens, CachePolicy policy) {
    public CacheGeometry {
        if (blockTokens < 1) {
            throw new IllegalArgumentException("blockTokens is " + blockTokens + ", must be at least 1");
        }
        if (cellTokens < blockTokens || cellTokens % blockTokens != 0) {
            throw new IllegalArgumentException(
                    "cellTokens is " + cellTokens + ", must be a multiple of blockTokens, " + blockTokens);
        }
        if (policy.isLossy() && cellTokens != blockTokens) {
            throw new IllegalArgumentException("cellTokens is " + cellTokens + ", must be blockTokens, " + blockTokens
                    + ", under the policy " + policy.label());
        }
        requireEqual("cached layers", groups(dimensions, layer -> !layer.hasWindow()));
        requireEqual("layers with a window", groups(dimensions, LayerDimensions::hasWindow));
    }

    /** An exact cache. */
    public CacheGeometry(ModelDimensions dimensions, ElementType elementType, int blockTokens, int cellTokens) {
        this(dimensions, elementType, blockTokens, cellTokens, CachePolicy.EXACT);
    }

    /**
     * An exact cache with the usual type of so many bytes.
     *
     * @param elementBytes bytes of one stored element, 2 or 4
     */
    public CacheGeometry(ModelDimensions dimensions, int elementBytes, int blockTokens, int cellTokens) {
        this(dimensions, usualType(elementBytes), blockTokens, cellTokens);
    }

    private static ElementType usualType(int elementBytes) {
        return switch (elementBytes) {
            case 2 -> ElementType.BF16;
            case 4 -> ElementType.F32;
            default -> throw new IllegalArgumentException("elementBytes is " + elementBytes + ", must be 2 or 4");
        };
    }

    /** The same of another model. */
    public CacheGeometry of(ModelDimensions model) {
        return new CacheGeometry(model, elementType, blockTokens, cellTokens, policy);
    }

    /** The same under a policy. If that is another one, and lossy, blocks and cells have as many tokens as is usual. */
    public CacheGeometry under(CachePolicy other) {
        int blocks = other.isLossy() && other != policy ? CachePolicy.LOSSY_BLOCK_TOKENS : blockTokens;
        int cells = other.isLossy() && other != policy ? CachePolicy.LOSSY_BLOCK_TOKENS : cellTokens;
        return new CacheGeometry(dimensions, elementType, blocks, cells, other);
    }

    /** Bytes of one stored element. */
    public int elementBytes() {
        return elementType.bytes();
    }

    private static List<LayerGroup> groups(ModelDimensions dimensions, Predicate<LayerDimensions> wanted) {
        List<LayerGroup> groups = new ArrayList<>();
        for (LayerGroup group : dimensions.groups()) {
            if (wanted.test(group.layer())) {
                groups.add(group);
            }
        }
        return groups;
    }

    /** Blocks hold all layers of their kind, one after the other. */
    private static void requireEqual(String kind, List<LayerGroup> groups) {
        for (LayerGroup group : groups) {
            LayerDimensions first = groups.getFirst().layer();
            LayerDimensions layer = group.layer();
            if (layer.keyValueWidth() != first.keyValueWidth()
                    || layer.window() != first.window()
                    || layer.source() != first.source()) {
                throw new IllegalArgumentException(
                        "%s differ: layer %d has K and V of %d elements, layer %d of %d, or another window or source"
                                .formatted(
                                        kind,
                                        groups.getFirst().layers().getFirst(),
                                        first.keyValueWidth(),
                                        group.layers().getFirst(),
                                        layer.keyValueWidth()));
            }
        }
    }

    /** The layers that see all tokens, ascending. */
    public List<Integer> cachedLayers() {
        return layers(groups(dimensions, layer -> !layer.hasWindow()));
    }

    /** The layers with a window, ascending. */
    public List<Integer> windowLayers() {
        return layers(groups(dimensions, LayerDimensions::hasWindow));
    }

    private static List<Integer> layers(List<LayerGroup> groups) {
        return groups.stream()
                .flatMap(group -> group.layers().stream())
                .sorted()
                .toList();
    }

    /** The number of layers that see all tokens. */
    public int cachedLayerCount() {
        int count = 0;
        for (LayerGroup group : dimensions.groups()) {
            count += group.layer().hasWindow() ? 0 : group.layers().size();
        }
        return count;
    }

    /** The number of layers with a window. */
    public int windowLayerCount() {
        return dimensions.layerCount() - cachedLayerCount();
    }

    /** The window of the layers that have one; {@link LayerDimensions#NO_WINDOW} if there are none. */
    public int window() {
        int window = LayerDimensions.NO_WINDOW;
        for (LayerGroup group : dimensions.groups()) {
            window = Math.min(window, group.layer().window());
        }
        return window;
    }

    /** Elements of one token's content in one cached layer; 0 without cached layers. */
    public int width(Content content) {
        Optional<LayerGroup> group = dimensions.cachedGroup();
        if (group.isEmpty()) {
            return 0;
        }
        LayerDimensions layer = group.get().layer();
        return switch (content) {
            case KEY_VALUE -> layer.keyValueWidth();
            case ACTIVATION -> layer.sourceWidth(dimensions.hiddenSize());
        };
    }

    /** Bytes of one token's content in one cached layer. */
    public long tokenLayerBytes(Content content) {
        return (long) width(content) * elementBytes();
    }

    /** Bytes of one token's content in all cached layers. */
    public long tokenBytes(Content content) {
        return cachedLayerCount() * tokenLayerBytes(content);
    }

    /** The encodings that blocks may have. */
    public List<Encoding> encodings() {
        return policy.encodings();
    }

    /**
     * The form of a block that would have {@code form} in an exact cache. Without cached layers blocks are empty: they
     * are where nothing moves them.
     */
    public CacheForm stored(CacheForm form) {
        return cachedLayerCount() == 0 ? CacheForm.DEVICE_KV : policy.stored(form);
    }

    /** Bytes of one block in one cached layer; 0 without cached layers. */
    public long blockLayerBytes(Encoding encoding) {
        if (!encoding.isCoded() || dimensions.cachedGroup().isEmpty()) {
            return blockLayerBytes(encoding.content());
        }
        return encoding.code().orElseThrow().bytes(blockValues(encoding.content()));
    }

    /** A block's content in one cached layer, as kernels that code and decode see it. There must be such a layer. */
    public BlockValues blockValues(Content content) {
        int headSize = dimensions.cachedGroup().orElseThrow().layer().headSize();
        return new BlockValues(elementType, blockTokens, width(content), headSize);
    }

    /** Bytes of one block's content in one cached layer as it is: (blockTokens, width), row-major. */
    public long blockLayerBytes(Content content) {
        return blockTokens * tokenLayerBytes(content);
    }

    /** Bytes of a full block with its content as it is. */
    public long blockBytes(Content content) {
        return cachedLayerCount() * blockLayerBytes(content);
    }

    /** Bytes of a full block, with its cached layers one after the other. */
    public long blockBytes(Encoding encoding) {
        return cachedLayerCount() * blockLayerBytes(encoding);
    }

    /** Bytes that one token takes of a full block, in all cached layers. */
    public double tokenBytes(Encoding encoding) {
        return (double) blockBytes(encoding) / blockTokens;
    }

    /**
     * Bytes of an open block in one layer: K and V (blockTokens, 2·KVH·HD), then, if a full block may hold it, their
     * source, then, aligned, room for the codes of either; under a lossy policy then, aligned, K and V as the codes
     * have them.
     */
    public long openLayerBytes() {
        if (policy.isLossy()) {
            return openDecodedOffset() + blockLayerBytes(Content.KEY_VALUE);
        }
        long codes = openCodeBytes();
        return codes == 0 ? openContentBytes() : openCodesOffset() + codes;
    }

    private long openCodeBytes() {
        long codes = 0;
        for (Encoding encoding : encodings()) {
            codes = Math.max(codes, encoding.isCoded() ? blockLayerBytes(encoding) : 0);
        }
        return codes;
    }

    /** Under a lossy policy, the offset, in a layer of an open block, of its K and V as its codes have them. */
    public long openDecodedOffset() {
        return BlockCode.aligned(openCodesOffset() + openCodeBytes());
    }

    /** The offset, in a layer of an open block, of what a full block of this encoding holds. */
    public long openOffset(Encoding encoding) {
        if (encoding.isCoded()) {
            return openCodesOffset();
        }
        return switch (encoding.content()) {
            case KEY_VALUE -> 0;
            case ACTIVATION -> blockLayerBytes(Content.KEY_VALUE);
        };
    }

    private long openContentBytes() {
        return blockLayerBytes(Content.KEY_VALUE) + (long) blockTokens * openSourceWidth() * elementBytes();
    }

    /** Elements of the source of one token's K and V that an open block keeps: none if no full block may hold it. */
    public int openSourceWidth() {
        boolean isKept = encodings().stream().anyMatch(encoding -> encoding.content() == Content.ACTIVATION);
        return isKept ? width(Content.ACTIVATION) : 0;
    }

    private long openCodesOffset() {
        return BlockCode.aligned(openContentBytes());
    }

    /** Bytes of an open block. */
    public long openBlockBytes() {
        return cachedLayerCount() * openLayerBytes();
    }

    /** Bytes of one token's K and V in one layer with a window; 0 without such layers. */
    public long windowTokenLayerBytes() {
        for (LayerGroup group : dimensions.groups()) {
            if (group.layer().hasWindow()) {
                return (long) group.layer().keyValueWidth() * elementBytes();
            }
        }
        return 0;
    }

    /** Bytes of one block's K and V in one layer with a window: (blockTokens, 2·KVH·HD). */
    public long windowBlockLayerBytes() {
        return blockTokens * windowTokenLayerBytes();
    }

    /** Bytes of a block of a ring, with its layers one after the other. */
    public long windowBlockBytes() {
        return windowLayerCount() * windowBlockLayerBytes();
    }

    /**
     * The blocks of a sequence's ring: with them, no row overwrites a token that a row of the same step sees.
     *
     * @param maxTokens tokens that the sequence may have
     * @param maxRows new tokens of a step
     */
    public int ringBlocks(int maxTokens, int maxRows) {
        if (windowLayerCount() == 0) {
            return 0;
        }
        long seen = (long) window() - 1 + maxRows;
        return (int) Math.min(blocks(maxTokens), Math.ceilDiv(seen, blockTokens) + 1);
    }

    /** Bytes of a sequence's ring. */
    public long ringBytes(int maxTokens, int maxRows) {
        return ringBlocks(maxTokens, maxRows) * windowBlockBytes();
    }

    /** What K and V of the cached layers are made of; what it stands for if there are none. */
    public KeyValueSource source() {
        return dimensions.cachedGroup().map(group -> group.layer().source()).orElse(KeyValueSource.ACTIVATION);
    }

    /** Floating-point operations that recompute one token's K and V in all cached layers. */
    public long recomputeFlopsPerToken() {
        return dimensions
                .cachedGroup()
                .map(group -> cachedLayerCount() * group.layer().recomputeFlopsPerToken(dimensions.hiddenSize()))
                .orElse(0L);
    }

    /** The number of blocks that hold {@code tokens} tokens, the last perhaps in part. */
    public int blocks(int tokens) {
        return Math.ceilDiv(tokens, blockTokens);
    }

    /** Whether the source of K and V is smaller than these; only then does recomputation save anything. */
    public boolean activationsAreSmaller() {
        return width(Content.ACTIVATION) < width(Content.KEY_VALUE);
    }

    /**
     * Whether it can pay to store blocks in this form. Where activations are not smaller than K and V, they take more
     * of every resource; so do codes that are not smaller than what they stand for. Without cached layers there is
     * nothing to store.
     */
    public boolean isUseful(CacheForm form) {
        if (cachedLayerCount() == 0) {
            return form.isReadInPlace();
        }
        Encoding encoding = form.encoding();
        if (policy.isLossy() || !encoding.isExact()) {
            return policy.encodings().contains(encoding);
        }
        boolean isSmallContent = form.content() == Content.KEY_VALUE || activationsAreSmaller();
        return isSmallContent && (!encoding.isCoded() || blockLayerBytes(encoding) < blockLayerBytes(encoding.raw()));
    }
}
