package io.weft.pipeline;

import io.weft.device.AttentionWork;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.HostBuffer;
import io.weft.device.TokenChoices;
import io.weft.model.Architecture;
import io.weft.model.CacheGeometry;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import io.weft.model.ModelKernels.ExpertBuffers;
import java.util.Optional;

/**
 * Memory for the largest step: activations, index arrays, staging. Row-major in the device's element type where nothing
 * else is said.
 *
 * @param limits the largest step
 * @param hidden (rows, D): the residual stream
 * @param normed (rows, D): input of the attention; this is the activation that the cache may store
 * @param feedForwardNormed (rows, D): input of the feed-forward network
 * @param queries (rows, H·HD)
 * @param keyValues (rows, 2·KVH·HD): of the new tokens
 * @param attention (rows, H·HD)
 * @param state (rows, H, HD + 2) fp32: running attention
 * @param feedForwardIn (rows, F or 2F)
 * @param feedForwardInner (rows, F): after the gate; the same memory as {@code feedForwardIn} without a gate
 * @param experts for layers with experts; empty without such layers
 * @param headIn (logit rows, D)
 * @param logits (logit rows, V)
 * @param floatLogits (logit rows, V) fp32; the same memory as {@code logits} on an fp32 device
 * @param hostLogits (logit rows, V) fp32
 * @param scores (sequences, V) fp32: what tokens are chosen from
 * @param tokens (sequences) int32
 * @param hostTokens the same on the host
 * @param masks (sequences) of {@link TokenChoices#maskBytes}: the tokens that may be chosen
 * @param hostMasks the same on the host
 * @param index index arrays of a step, see {@link StepIndex}
 * @param hostIndex the same on the host
 * @param staging staging slots and recomputed K and V, divided anew by each plan
 */
public record Workspace(
        StepLimits limits,
        DeviceBuffer hidden,
        DeviceBuffer normed,
        DeviceBuffer feedForwardNormed,
        DeviceBuffer queries,
        DeviceBuffer keyValues,
        DeviceBuffer attention,
        DeviceBuffer state,
        DeviceBuffer feedForwardIn,
        DeviceBuffer feedForwardInner,
        Optional<ExpertBuffers> experts,
        DeviceBuffer headIn,
        DeviceBuffer logits,
        DeviceBuffer floatLogits,
        HostBuffer hostLogits,
        DeviceBuffer scores,
        DeviceBuffer tokens,
        HostBuffer hostTokens,
        DeviceBuffer masks,
        HostBuffer hostMasks,
        DeviceBuffer index,
        HostBuffer hostIndex,
        DeviceBuffer staging) {

    /**
     * Allocates it.
     *
     * @param stagingBytes memory for staging slots and recomputed K and V
     * @throws io.weft.device.OutOfMemoryBudgetException if it does not fit the device's budgets
     */
    public static Workspace allocate(
            Device device, Architecture architecture, CacheGeometry geometry, StepLimits limits, long stagingBytes) {
        ModelDimensions dimensions = architecture.dimensions();
        Rows rows = new Rows(device, limits.rows());
        Rows logitRows = new Rows(device, limits.logitRows());
        int feedForwardSize = dimensions.most(layer -> layer.feedForward().size());
        int feedForwardInWidth = dimensions.most(layer -> layer.feedForward().inWidth());
        int queryWidth = dimensions.most(LayerDimensions::queryWidth);
        DeviceBuffer feedForwardIn = rows.of("feed-forward", Math.max(1, feedForwardInWidth));
        DeviceBuffer logits = logitRows.of("logits", dimensions.vocabularySize());
        long floatLogitBytes = (long) limits.logitRows() * dimensions.vocabularySize() * Float.BYTES;
        long scoreBytes = (long) limits.sequences() * dimensions.vocabularySize() * Float.BYTES;
        long tokenBytes = (long) limits.sequences() * Integer.BYTES;
        long maskBytes = (long) limits.sequences() * TokenChoices.maskBytes(dimensions.vocabularySize());
        long indexBytes = indexBytes(geometry, limits);
        return new Workspace(
                limits,
                rows.of("hidden state", dimensions.hiddenSize()),
                rows.of("attention input", dimensions.hiddenSize()),
                rows.of("feed-forward input", dimensions.hiddenSize()),
                rows.of("queries", queryWidth),
                rows.of("new keys and values", dimensions.most(LayerDimensions::keyValueWidth)),
                rows.of("attention output", queryWidth),
                device.allocate(
                        "attention state",
                        (long) limits.rows() * dimensions.most(LayerDimensions::attentionStateBytes)),
                feedForwardIn,
                feedForwardSize == feedForwardInWidth ? feedForwardIn : rows.of("gated feed-forward", feedForwardSize),
                experts(device, dimensions, rows),
                logitRows.of("head input", dimensions.hiddenSize()),
                logits,
                device.elementType() == ElementType.F32 ? logits : device.allocate("fp32 logits", floatLogitBytes),
                device.allocateHost("logits", floatLogitBytes),
                device.allocate("scores", scoreBytes),
                device.allocate("tokens", tokenBytes),
                device.allocateHost("tokens", tokenBytes),
                device.allocate("token masks", maskBytes),
                device.allocateHost("token masks", maskBytes),
                device.allocate("step index", indexBytes),
                device.allocateHost("step index", indexBytes),
                device.allocate("staging", stagingBytes));
    }

    /**
     * The most that {@link StepIndex} writes: a chunk has at least one cell, so there are no more chunks than cells.
     */
    private static long indexBytes(CacheGeometry geometry, StepLimits limits) {
        int blocks = geometry.blocks(limits.contextTokens());
        long cells = Math.ceilDiv(limits.contextTokens(), geometry.cellTokens());
        long perRow = 3 * Integer.BYTES + 3 * Long.BYTES;
        long perCell = AttentionWork.SPAN_INTS * Integer.BYTES + 3 * StepIndex.ALIGNMENT_BYTES;
        long edits = limits.edits(geometry.dimensions().vocabularySize());
        int tables = geometry.windowLayerCount() == 0 ? 1 : 2;
        long perSequence = tables * ((long) StepIndex.tableBlocks(blocks) * Long.BYTES + perCell)
                + (long) blocks * (Integer.BYTES + Long.BYTES)
                + cells * perCell
                + TokenChoices.ROW_BYTES
                + edits * TokenChoices.EDIT_BYTES;
        long otherArrays = 13;
        return limits.rows() * perRow
                + (long) limits.logitRows() * Long.BYTES
                + limits.sequences() * perSequence
                + otherArrays * StepIndex.ALIGNMENT_BYTES;
    }

    private static Optional<ExpertBuffers> experts(Device device, ModelDimensions dimensions, Rows rows) {
        int experts = dimensions.most(layer -> layer.feedForward().experts());
        if (experts == 0) {
            return Optional.empty();
        }
        long chosenBytes = (long) rows.rows()
                * dimensions.most(layer -> layer.feedForward().chosenExperts())
                * Integer.BYTES;
        return Optional.of(new ExpertBuffers(
                rows.of("router logits", experts),
                device.allocate("chosen experts", chosenBytes),
                device.allocate("weights of experts", chosenBytes),
                device.allocate("experts", dimensions.expertScratchBytes(rows.rows()))));
    }

    private record Rows(Device device, int rows) {
        DeviceBuffer of(String purpose, int width) {
            return device.allocate(
                    purpose, (long) rows * width * device.elementType().bytes());
        }
    }
}
