package io.weft.plan.step;

import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;

/**
 * How a step divides the staging memory: {@code slots} slots of {@code slotBytes}, then a workspace for one chunk's
 * recomputed or decoded K and V.
 *
 * @param slots staging slots, used in turn by the staged chunks of all layers
 * @param slotBytes size of a slot, aligned
 * @param workspaceBytes size of the workspace
 */
public record StagingLayout(int slots, long slotBytes, long workspaceBytes) {
    /**
     * The usual number of slots: one for the arriving chunk, one for the chunk at work, and two for stages of unequal
     * length.
     */
    public static final int SLOTS_USUAL = 4;

    private static final long BYTES_USUAL_MOST = 1L << 30;

    /** Alignment of slots and of what they consist of. */
    public static final long ALIGNMENT_BYTES = 512;

    public StagingLayout {
        if (slots < 0 || slotBytes < 0 || workspaceBytes < 0 || slotBytes % ALIGNMENT_BYTES != 0) {
            throw new IllegalArgumentException("staging of %d slots of %d bytes and a workspace of %d bytes"
                    .formatted(slots, slotBytes, workspaceBytes));
        }
    }

    /**
     * The default staging memory: for every slot the K and V of a layer, so that no layer of a small load need be cut.
     * At most 1 GiB, since long contexts cross in more chunks, not in larger ones, and at most a quarter of the
     * device's memory.
     */
    public static long usualBytes(CacheGeometry geometry, int batch, int contextTokens, long deviceBytes) {
        long layerBytes = (long) SLOTS_USUAL * batch * contextTokens * geometry.tokenLayerBytes(Content.KEY_VALUE);
        return Math.min(Math.min(layerBytes, BYTES_USUAL_MOST), deviceBytes / 4);
    }

    /** The offset of a slot. */
    public long slotOffset(int slot) {
        return slot * slotBytes;
    }

    /** The offset of the workspace. */
    public long workspaceOffset() {
        return slots * slotBytes;
    }

    /** The size of the staging memory. */
    public long totalBytes() {
        return workspaceOffset() + workspaceBytes;
    }

    /** The next multiple of the alignment. */
    public static long align(long bytes) {
        return Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }
}
