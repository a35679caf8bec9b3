package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import java.util.function.ToIntFunction;

/**
 * The memory of the largest step, besides weights, cache and staging: what a service allocates and a plan counts. Sizes
 * are in bytes, on the device where nothing else is said.
 *
 * @param sequences in a batch
 * @param rows new tokens of a batch
 * @param logitRows rows whose logits are needed, on the device or on the host
 * @param draftRows drafted rows of a batch: a token is chosen for each of them, and for one more row of each sequence
 * @param contextTokens tokens of a sequence
 */
public record StepMemory(
        CacheGeometry geometry, int sequences, int rows, int logitRows, int draftRows, int contextTokens) {
    /** The most tokens outside a sequence that edits of its logits may name. */
    public static final int BIASED_TOKENS = 1024;
    /** The most tokens that may be barred from a sequence in addition. */
    public static final int BARRED_TOKENS = 256;
    /** Index arrays begin at multiples of this. */
    public static final int INDEX_ALIGNMENT_BYTES = 16;

    private static final int DRAFT_ROWS_MOST = 64;
    private static final int DRAFT_ROWS_OF_SEQUENCE = 8;
    /** Drafted rows take at most this part of the device's memory for their logits, scores and edits. */
    private static final int DRAFT_MEMORY_PART = 64;

    // As the device lays them out.
    static final int SPAN_INTS = 5;
    static final int CHOICE_BYTES = 40;
    static final int EDIT_BYTES = 16;
    private static final int MASK_ALIGNMENT_BYTES = 16;

    /** The block table grows by this many blocks at a time, so that the arrays after it seldom move. */
    private static final int TABLE_BLOCKS = 64;
    /** Arrays of a step as a whole. */
    private static final int OTHER_ARRAYS = 13;

    /**
     * The drafted rows for which a service has memory.
     *
     * @param deviceBytes all device memory
     */
    public static int usualDraftRows(
            CacheGeometry geometry, int sequences, int rows, int contextTokens, long deviceBytes) {
        StepMemory without = new StepMemory(geometry, sequences, rows, sequences, 0, contextTokens);
        StepMemory withOne = new StepMemory(geometry, sequences, rows, sequences + 1, 1, contextTokens);
        long fitting = deviceBytes / DRAFT_MEMORY_PART / (withOne.deviceBytes() - without.deviceBytes());
        int wanted = Math.min(Math.min(DRAFT_ROWS_OF_SEQUENCE * sequences, DRAFT_ROWS_MOST), rows - sequences);
        return (int) Math.min(wanted, fitting);
    }

    /** (rows, D): the residual stream, and as much for each of two inputs. */
    public long hiddenBytes() {
        return rowBytes(dimensions().hiddenSize());
    }

    /** (rows, H·HD): queries, and as much for the output of attention. */
    public long queryBytes() {
        return rowBytes(dimensions().most(LayerDimensions::queryWidth));
    }

    /** (rows, 2·KVH·HD). */
    public long keyValueBytes() {
        return rowBytes(dimensions().most(LayerDimensions::keyValueWidth));
    }

    /** The running attention of the rows. */
    public long attentionStateBytes() {
        return (long) rows * dimensions().most(LayerDimensions::attentionStateBytes);
    }

    /** (rows, F), with a gate (rows, 2F). */
    public long feedForwardInBytes() {
        return rowBytes(Math.max(1, mostOf(FeedForwardDimensions::inWidth)));
    }

    /** (rows, F) after a gate; 0 without a gate, where it is the same memory. */
    public long feedForwardInnerBytes() {
        int size = mostOf(FeedForwardDimensions::size);
        return size == mostOf(FeedForwardDimensions::inWidth) ? 0 : rowBytes(size);
    }

    /** (rows, E). */
    public long routerBytes() {
        return rowBytes(mostOf(FeedForwardDimensions::experts));
    }

    /** (rows, k) int32: the ids of experts, and as much for their weights. */
    public long chosenExpertBytes() {
        return (long) rows * mostOf(FeedForwardDimensions::chosenExperts) * Integer.BYTES;
    }

    /** What experts compute with. */
    public long expertScratchBytes() {
        return dimensions().expertScratchBytes(rows);
    }

    /** (logit rows, D). */
    public long headInBytes() {
        return (long) logitRows * dimensions().hiddenSize() * geometry.elementBytes();
    }

    /** (logit rows, V). */
    public long logitBytes() {
        return (long) logitRows * dimensions().vocabularySize() * geometry.elementBytes();
    }

    /** (logit rows, V) fp32; on an fp32 device the same memory as the logits. */
    public long floatLogitBytes() {
        return (long) logitRows * dimensions().vocabularySize() * Float.BYTES;
    }

    /** The rows for which a token is chosen. */
    private int choosingRows() {
        return sequences + draftRows;
    }

    /** (choosing rows, V) fp32: what tokens are chosen from. */
    public long scoreBytes() {
        return (long) choosingRows() * dimensions().vocabularySize() * Float.BYTES;
    }

    /** (choosing rows) int32. */
    public long tokenBytes() {
        return (long) choosingRows() * Integer.BYTES;
    }

    /** (choosing rows, V) bits: the tokens that may be chosen. */
    public long maskBytes() {
        int units = Math.ceilDiv(dimensions().vocabularySize(), Byte.SIZE * MASK_ALIGNMENT_BYTES);
        return (long) choosingRows() * units * MASK_ALIGNMENT_BYTES;
    }

    /**
     * Positions, offsets, block tables, spans, places of gathered activations, and how tokens are chosen. A chunk has
     * at least one cell, so there are no more chunks than cells.
     */
    public long indexBytes() {
        int blocks = geometry.blocks(contextTokens);
        long cells = Math.ceilDiv(contextTokens, geometry.cellTokens());
        long perRow = 3 * Integer.BYTES + 3 * Long.BYTES;
        long codedForms = CacheForm.all().stream()
                .filter(form -> form.encoding().isCoded())
                .count();
        // Spans, positions, what is gathered; of each part that is coded, where from and where to.
        long perCell = SPAN_INTS * Integer.BYTES + (3 + 2 * codedForms) * INDEX_ALIGNMENT_BYTES;
        // A sequence fills a block more than its new tokens do.
        long filled = 2L * sequences + Math.ceilDiv(rows + draftRows, geometry.blockTokens());
        long tableBytes = (long) tableBlocks(blocks) * Long.BYTES;
        int tables = geometry.windowLayerCount() == 0 ? 1 : 2;
        long perSequence =
                tables * (tableBytes + perCell) + (long) blocks * (Integer.BYTES + 2 * Long.BYTES) + cells * perCell;
        // Beside the first of each sequence. These have their own row of the table, and their own spans.
        long moreGroups = geometry.policy().isLossy() ? Math.ceilDiv(rows, geometry.blockTokens()) + sequences : 0;
        long perGroup = tableBytes + cells * SPAN_INTS * Integer.BYTES;
        return rows * perRow
                + choosingRows() * (CHOICE_BYTES + (long) edits() * EDIT_BYTES)
                + (long) logitRows * Long.BYTES
                + sequences * perSequence
                + moreGroups * perGroup
                + filled * (Long.BYTES + Integer.BYTES)
                + 2 * codedForms * INDEX_ALIGNMENT_BYTES
                + (long) OTHER_ARRAYS * INDEX_ALIGNMENT_BYTES;
    }

    /** The columns of a table for {@code blocks} blocks. */
    public static int tableBlocks(int blocks) {
        return Math.ceilDiv(blocks, TABLE_BLOCKS) * TABLE_BLOCKS;
    }

    /** The most edits of a row's logits. */
    public int edits() {
        return Math.min(dimensions().vocabularySize(), contextTokens + BIASED_TOKENS + BARRED_TOKENS);
    }

    /** All of it on the device. */
    public long deviceBytes() {
        boolean isFp32 = geometry.elementBytes() == Float.BYTES;
        return 3 * hiddenBytes()
                + 2 * queryBytes()
                + keyValueBytes()
                + attentionStateBytes()
                + feedForwardInBytes()
                + feedForwardInnerBytes()
                + routerBytes()
                + 2 * chosenExpertBytes()
                + expertScratchBytes()
                + headInBytes()
                + logitBytes()
                + (isFp32 ? 0 : floatLogitBytes())
                + scoreBytes()
                + tokenBytes()
                + maskBytes()
                + indexBytes();
    }

    /** All of it on the host. */
    public long hostBytes() {
        return floatLogitBytes() + tokenBytes() + maskBytes() + indexBytes();
    }

    private ModelDimensions dimensions() {
        return geometry.dimensions();
    }

    private int mostOf(ToIntFunction<FeedForwardDimensions> size) {
        return dimensions().most(layer -> size.applyAsInt(layer.feedForward()));
    }

    private long rowBytes(int width) {
        return (long) rows * width * geometry.elementBytes();
    }
}
