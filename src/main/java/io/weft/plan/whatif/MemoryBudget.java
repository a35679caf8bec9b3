package io.weft.plan.whatif;

import io.weft.model.CacheGeometry;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import io.weft.model.WeightBits;

/**
 * The uses of memory. If the weights do not fit, as much of them as possible stays on the device, next to room for two
 * layers, and the rest would have to cross the link in every step.
 *
 * @param deviceBytes all device memory
 * @param weightsBytes of it: matrices and tables, or the part that fits
 * @param streamedWeightBytes weights that lie on the host and cross the link in every step
 * @param workspaceBytes of it: activations, index arrays, logits and scores of the largest step
 * @param stagingBytes of it: chunks in transfer
 * @param openBlockBytes of it: blocks that are not full yet
 * @param windowBytes of it: the newest tokens in layers with a window
 * @param hostBytes all host memory
 * @param hostWorkspaceBytes of it: index arrays, logits, tokens and their masks
 */
public record MemoryBudget(
        long deviceBytes,
        long weightsBytes,
        long streamedWeightBytes,
        long workspaceBytes,
        long stagingBytes,
        long openBlockBytes,
        long windowBytes,
        long hostBytes,
        long hostWorkspaceBytes) {

    /**
     * The largest step for which memory is reserved.
     *
     * @param sequences in a batch
     * @param rows new tokens of a batch
     * @param logitRows rows whose logits are needed, on the device or on the host
     * @param contextTokens tokens of a sequence
     */
    public record Limits(int sequences, int rows, int logitRows, int contextTokens) {
        private static final int ROWS_LEAST = 512;
        private static final int LOGIT_ROWS_LEAST = 64;

        /** The limits that the service reserves memory for, with batches of {@code sequences}. */
        public static Limits usual(int sequences, int contextTokens) {
            return new Limits(
                    sequences, Math.max(ROWS_LEAST, sequences), Math.max(LOGIT_ROWS_LEAST, sequences), contextTokens);
        }
    }

    /**
     * The budget of a model on a device.
     *
     * @param weights of the layers; embedding and head are taken as not quantised
     */
    public static MemoryBudget of(
            CacheGeometry geometry,
            WeightBits weights,
            Limits limits,
            long deviceBytes,
            long hostBytes,
            long stagingBytes) {
        long indexBytes = indexBytes(geometry, limits);
        long floatLogitBytes = (long) limits.logitRows() * geometry.dimensions().vocabularySize() * Float.BYTES;
        long tokenBytes = (long) limits.sequences() * Integer.BYTES;
        int openBlocks = 2 * limits.sequences() + Math.ceilDiv(limits.rows(), geometry.blockTokens());
        long weightsBytes = weightsBytes(geometry, weights);
        long workspaceBytes = workspaceBytes(geometry, limits, indexBytes, floatLogitBytes);
        long openBlockBytes = openBlocks * geometry.openBlockBytes();
        long windowBytes = limits.sequences() * geometry.ringBytes(limits.contextTokens(), limits.rows());
        long forWeights = deviceBytes - workspaceBytes - stagingBytes - openBlockBytes - windowBytes;
        long layersBytes = streamingRoomBytes(geometry, weights);
        long residentBytes = weightsBytes <= forWeights ? weightsBytes : Math.max(0, forWeights - layersBytes);
        return new MemoryBudget(
                deviceBytes,
                residentBytes == weightsBytes ? weightsBytes : residentBytes + layersBytes,
                weightsBytes - residentBytes,
                workspaceBytes,
                stagingBytes,
                openBlockBytes,
                windowBytes,
                hostBytes,
                indexBytes + floatLogitBytes + tokenBytes + maskBytes(geometry, limits));
    }

    /** A bit for each token that may be chosen, in units of 16 bytes. */
    private static long maskBytes(CacheGeometry geometry, Limits limits) {
        return 16L * limits.sequences() * Math.ceilDiv(geometry.dimensions().vocabularySize(), 128);
    }

    /** The room that streaming weights would take: one layer at work, and the next in transfer. */
    static long streamingRoomBytes(CacheGeometry geometry, WeightBits weights) {
        long largest = geometry.dimensions().groups().stream()
                .mapToLong(group -> group.layer().weights(geometry.dimensions().hiddenSize()))
                .max()
                .orElseThrow();
        return (long) weights.bytes(2.0 * largest, geometry.elementBytes());
    }

    /** All matrices, the embedding and the head, which has memory of its own even if it is tied. */
    private static long weightsBytes(CacheGeometry geometry, WeightBits weights) {
        ModelDimensions dimensions = geometry.dimensions();
        long layers = dimensions.sum(layer -> layer.weights(dimensions.hiddenSize()));
        return (long) weights.bytes((double) layers, geometry.elementBytes())
                + 2L * dimensions.vocabularySize() * dimensions.hiddenSize() * geometry.elementBytes();
    }

    private static long workspaceBytes(CacheGeometry geometry, Limits limits, long indexBytes, long floatLogitBytes) {
        ModelDimensions dimensions = geometry.dimensions();
        int feedForwardSize = dimensions.most(layer -> layer.feedForward().size());
        int feedForwardInWidth = dimensions.most(layer -> layer.feedForward().inWidth());
        // Residual stream and two norms; queries and attention; K and V; feed-forward, three times with a gate.
        long rowElements = 3L * dimensions.hiddenSize()
                + 2L * dimensions.most(LayerDimensions::queryWidth)
                + dimensions.most(LayerDimensions::keyValueWidth)
                + Math.max(1, feedForwardInWidth)
                + dimensions.most(layer -> layer.feedForward().experts())
                + (feedForwardSize == feedForwardInWidth ? 0 : feedForwardSize);
        long stateBytes = dimensions.most(LayerDimensions::attentionStateBytes);
        long logitRowElements = (long) dimensions.hiddenSize() + dimensions.vocabularySize();
        // The scores from which a token is chosen, and the token.
        long sequenceBytes = (dimensions.vocabularySize() + 1L) * Float.BYTES;
        long choiceBytes = 2L * dimensions.most(layer -> layer.feedForward().chosenExperts()) * Integer.BYTES;
        return limits.rows() * (rowElements * geometry.elementBytes() + stateBytes + choiceBytes)
                + dimensions.expertScratchBytes(limits.rows())
                + limits.logitRows() * logitRowElements * geometry.elementBytes()
                + (geometry.elementBytes() == Float.BYTES ? 0 : floatLogitBytes)
                + limits.sequences() * sequenceBytes
                + maskBytes(geometry, limits)
                + indexBytes;
    }

    /** Positions, offsets, block tables, spans, places of gathered activations, and how tokens are chosen. */
    private static long indexBytes(CacheGeometry geometry, Limits limits) {
        long alignment = 16;
        long blocks = geometry.blocks(limits.contextTokens());
        long tableBlocks = Math.ceilDiv(blocks, 64L) * 64;
        long cells = Math.ceilDiv(limits.contextTokens(), geometry.cellTokens());
        long perRow = 3 * Integer.BYTES + 3 * Long.BYTES;
        long perCell = 5 * Integer.BYTES + 3 * alignment;
        long biasedTokens = 1024;
        long barredTokens = 256;
        long edits =
                Math.min(geometry.dimensions().vocabularySize(), limits.contextTokens() + biasedTokens + barredTokens);
        long perChoice = 2 * Long.BYTES + 6 * Integer.BYTES;
        long perEdit = 4 * Integer.BYTES;
        int tables = geometry.windowLayerCount() == 0 ? 1 : 2;
        long perSequence = tables * (tableBlocks * Long.BYTES + perCell)
                + blocks * (Integer.BYTES + Long.BYTES)
                + cells * perCell
                + perChoice
                + edits * perEdit;
        return limits.rows() * perRow
                + (long) limits.logitRows() * Long.BYTES
                + limits.sequences() * perSequence
                + 13 * alignment;
    }

    /** The device memory left for full blocks; negative if the rest alone does not fit. */
    public long deviceCacheBytes() {
        return deviceBytes - weightsBytes - workspaceBytes - stagingBytes - openBlockBytes - windowBytes;
    }

    /** The host memory left for full blocks; negative if the rest alone does not fit. */
    public long hostCacheBytes() {
        return hostBytes - hostWorkspaceBytes - streamedWeightBytes;
    }
}
