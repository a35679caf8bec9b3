package io.weft.plan.step;

import io.weft.model.CacheGeometry;
import java.util.ArrayList;
import java.util.List;

/** A row of cells, with their parts that need a staging slot, and the ways to cut that row into chunks. */
public final class StagedCells {
    private final CacheGeometry geometry;
    private final int[] recomputedBlocks;
    private final int[] hostKeyValueBlocks;

    /**
     * @param geometry of the cache
     * @param recomputedBlocks by cell: closed blocks stored as activations
     * @param hostKeyValueBlocks by cell: closed blocks stored as K and V on the host
     */
    public StagedCells(CacheGeometry geometry, int[] recomputedBlocks, int[] hostKeyValueBlocks) {
        this.geometry = geometry;
        this.recomputedBlocks = recomputedBlocks;
        this.hostKeyValueBlocks = hostKeyValueBlocks;
    }

    /**
     * One way to cut the row.
     *
     * @param starts index of the first cell of each chunk
     * @param stagedChunks chunks that need a slot
     * @param slotBytes bytes of the largest slot
     * @param workspaceBytes bytes of the largest workspace
     */
    public record Cut(List<Integer> starts, int stagedChunks, long slotBytes, long workspaceBytes) {
        /** Staging memory with this many slots. */
        long stagingBytes(int slots) {
            return slots * slotBytes + workspaceBytes;
        }
    }

    private int cells() {
        return recomputedBlocks.length;
    }

    private int stagedBlocks(int cell) {
        return recomputedBlocks[cell] + hostKeyValueBlocks[cell];
    }

    /** The number of all tokens that need a slot. */
    long stagedTokens() {
        long blocks = 0;
        for (int cell = 0; cell < cells(); cell++) {
            blocks += stagedBlocks(cell);
        }
        return blocks * geometry.blockTokens();
    }

    /**
     * Cuts greedily.
     *
     * @param chunkTokens a chunk takes cells until it would hold more tokens that need staging, but at least one cell
     */
    Cut cut(long chunkTokens) {
        CutBuilder builder = new CutBuilder(chunkTokens);
        for (int cell = 0; cell < cells(); cell++) {
            builder.add(cell);
        }
        return builder.build();
    }

    private final class CutBuilder {
        private final long chunkTokens;
        private final List<Integer> starts = new ArrayList<>();
        private int stagedChunks;
        private long slotBytes;
        private long workspaceBytes;
        private int recomputed;
        private int hostKeyValues;

        CutBuilder(long chunkTokens) {
            this.chunkTokens = chunkTokens;
        }

        void add(int cell) {
            if (starts.isEmpty()) {
                starts.add(cell);
            } else if (isStaged() && isOverfullWith(cell)) {
                finishChunk();
                starts.add(cell);
            }
            recomputed += recomputedBlocks[cell];
            hostKeyValues += hostKeyValueBlocks[cell];
        }

        Cut build() {
            finishChunk();
            return new Cut(List.copyOf(starts), stagedChunks, slotBytes, workspaceBytes);
        }

        private boolean isStaged() {
            return recomputed + hostKeyValues > 0;
        }

        private boolean isOverfullWith(int cell) {
            long blocks = (long) recomputed + hostKeyValues + stagedBlocks(cell);
            return stagedBlocks(cell) > 0 && blocks * geometry.blockTokens() > chunkTokens;
        }

        private void finishChunk() {
            stagedChunks += isStaged() ? 1 : 0;
            slotBytes = Math.max(slotBytes, StagingLayout.slotBytes(geometry, recomputed, hostKeyValues));
            workspaceBytes = Math.max(workspaceBytes, StagingLayout.workspaceBytes(geometry, recomputed));
            recomputed = 0;
            hostKeyValues = 0;
        }
    }
}
