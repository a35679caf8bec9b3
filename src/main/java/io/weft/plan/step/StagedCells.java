package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A row of cells, with their parts that need a staging slot, and the ways to cut that row into chunks. */
public final class StagedCells {
    private static final int FORMS = CacheForm.all().size();

    private final CacheGeometry geometry;
    /** By index of the form; null if no block has it. */
    private final @Nullable StagedForm[] forms = new StagedForm[FORMS];
    /** By index of the form, then by cell; null if no block has it. */
    private final int[][] blocks = new int[FORMS][];
    /** By cell: of all forms. */
    private final int[] stagedBlocks;

    /**
     * A row that needs no slot yet.
     *
     * @param geometry of the cache
     * @param cells number of cells
     */
    public StagedCells(CacheGeometry geometry, int cells) {
        this.geometry = geometry;
        this.stagedBlocks = new int[cells];
    }

    /** Adds a closed block to a cell; it takes a slot unless it is read in place. */
    public void add(CacheForm form, int cell) {
        if (form.isReadInPlace()) {
            return;
        }
        int index = form.index();
        if (forms[index] == null) {
            forms[index] = StagedForm.of(geometry, form);
            blocks[index] = new int[cells()];
        }
        blocks[index][cell]++;
        stagedBlocks[cell]++;
    }

    /** The blocks of a form in some cells, of those that need a slot. */
    public int blocks(CacheForm form, int fromCell, int toCell) {
        int[] ofForm = blocks[form.index()];
        int sum = 0;
        for (int cell = fromCell; ofForm != null && cell < toCell; cell++) {
            sum += ofForm[cell];
        }
        return sum;
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

    /** The number of cells. */
    public int cells() {
        return stagedBlocks.length;
    }

    /** The number of all tokens that need a slot. */
    long stagedTokens() {
        long staged = 0;
        for (int ofCell : stagedBlocks) {
            staged += ofCell;
        }
        return staged * geometry.blockTokens();
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
        /** Of the current chunk, by form. */
        private final int[] counts = new int[FORMS];

        private int staged;

        CutBuilder(long chunkTokens) {
            this.chunkTokens = chunkTokens;
        }

        void add(int cell) {
            if (starts.isEmpty()) {
                starts.add(cell);
            } else if (staged > 0 && isOverfullWith(cell)) {
                finishChunk();
                starts.add(cell);
            }
            if (stagedBlocks[cell] > 0) {
                staged += stagedBlocks[cell];
                for (int i = 0; i < FORMS; i++) {
                    counts[i] += forms[i] == null ? 0 : blocks[i][cell];
                }
            }
        }

        Cut build() {
            finishChunk();
            return new Cut(List.copyOf(starts), stagedChunks, slotBytes, workspaceBytes);
        }

        private boolean isOverfullWith(int cell) {
            return stagedBlocks[cell] > 0
                    && ((long) staged + stagedBlocks[cell]) * geometry.blockTokens() > chunkTokens;
        }

        /** The bytes are those of {@link ChunkLayout}. */
        private void finishChunk() {
            stagedChunks += staged > 0 ? 1 : 0;
            long activations = 0;
            long others = 0;
            long workspace = 0;
            for (int i = 0; i < FORMS; i++) {
                StagedForm form = forms[i];
                if (form == null) {
                    continue;
                }
                activations += counts[i] * form.activationBytes();
                others += StagingLayout.align(counts[i] * form.keyValueBytes())
                        + StagingLayout.align(counts[i] * form.codeBytes());
                workspace += counts[i] * form.workspaceBytes();
                counts[i] = 0;
            }
            slotBytes = Math.max(slotBytes, StagingLayout.align(activations) + others);
            workspaceBytes = Math.max(workspaceBytes, StagingLayout.align(workspace));
            staged = 0;
        }
    }
}
