package io.weft.plan.whatif;

import io.weft.model.CacheGeometry;
import io.weft.model.ModelDimensions;
import io.weft.model.WeightBits;
import io.weft.plan.step.StepMemory;

/**
 * The uses of memory. If the weights do not fit, as much of them as possible stays on the device, next to room for two
 * layers, and the rest would have to cross the link in every step.
 *
 * @param deviceBytes all device memory
 * @param weightsBytes of it: matrices and tables, or the part that fits
 * @param streamedWeightBytes weights that lie on the host and cross the link in every step
 * @param workspaceBytes of it: activations, index arrays, logits and scores of the largest step, and a quantised
 *     matrix's elements
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
     * @param draftRows drafted rows of a batch
     * @param contextTokens tokens of a sequence
     */
    public record Limits(int sequences, int rows, int logitRows, int draftRows, int contextTokens) {
        private static final int ROWS_LEAST = 512;
        private static final int LOGIT_ROWS_LEAST = 64;

        /** The limits that the service reserves memory for, with batches of {@code sequences}. */
        public static Limits usual(CacheGeometry geometry, int sequences, int contextTokens, long deviceBytes) {
            int rows = usualRows(sequences);
            int draftRows = StepMemory.usualDraftRows(geometry, sequences, rows, contextTokens, deviceBytes);
            return new Limits(
                    sequences, rows, Math.max(LOGIT_ROWS_LEAST, sequences + draftRows), draftRows, contextTokens);
        }

        /** The rows of such a step. */
        public static int usualRows(int sequences) {
            return Math.max(ROWS_LEAST, sequences);
        }

        /** As the pipeline counts them. */
        private int openBlocks(int blockTokens) {
            return 2 * sequences + Math.ceilDiv(rows + draftRows, blockTokens);
        }

        StepMemory memory(CacheGeometry geometry) {
            return new StepMemory(geometry, sequences, rows, logitRows, draftRows, contextTokens);
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
        StepMemory step = limits.memory(geometry);
        long weightsBytes = weightsBytes(geometry, weights);
        long workspaceBytes = step.deviceBytes() + unpackedBytes(geometry, weights);
        long openBlockBytes = limits.openBlocks(geometry.blockTokens()) * geometry.openBlockBytes();
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
                step.hostBytes());
    }

    /**
     * The elements of the largest quantised matrix, which products of many rows read. A device that computes in fp32
     * makes them a few rows at a time, and experts as a kernel needs them.
     */
    private static long unpackedBytes(CacheGeometry geometry, WeightBits weights) {
        if (weights.quantisedShare() == 0 || geometry.elementBytes() == Float.BYTES) {
            return 0;
        }
        ModelDimensions dimensions = geometry.dimensions();
        int widest = dimensions.most(layer -> Math.max(
                Math.max(layer.queryWidth(), layer.keyValueWidth()),
                layer.feedForward().inWidth()));
        return (long) widest * dimensions.hiddenSize() * geometry.elementBytes();
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

    /** The device memory left for full blocks; negative if the rest alone does not fit. */
    public long deviceCacheBytes() {
        return deviceBytes - weightsBytes - workspaceBytes - stagingBytes - openBlockBytes - windowBytes;
    }

    /** The host memory left for full blocks; negative if the rest alone does not fit. */
    public long hostCacheBytes() {
        return hostBytes - hostWorkspaceBytes - streamedWeightBytes;
    }
}
