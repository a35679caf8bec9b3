package io.weft.plan.step;

import io.weft.model.CacheGeometry;
import java.util.List;

/**
 * Turns the shape of a step into its plan. Any mix of forms can be planned under any schedule; the schedule decides how
 * the contents of the host reach attention, never whether.
 *
 * <p>{@link Schedule#KVPR} takes a layer as one chunk in one slot, or as the fewest chunks that fit the staging memory.
 * The others cut a layer into chunks of {@code chunkTokens} and let the link run ahead through the slots; when memory
 * is short the chunks shrink first, and the slots only once a chunk is one cell.
 *
 * @param geometry of the cache
 * @param schedule how cached tokens reach attention
 * @param stagingBytes staging memory: slots and workspace together
 * @param chunkTokens the most staged tokens of a chunk; but a cell is never cut
 * @param slots the most staging slots
 */
public record StepPlanner(CacheGeometry geometry, Schedule schedule, long stagingBytes, int chunkTokens, int slots)
        implements Planner {
    public StepPlanner {
        if (stagingBytes < 0) {
            throw new IllegalArgumentException("stagingBytes is " + stagingBytes + ", must not be negative");
        }
        if (chunkTokens < 1) {
            throw new IllegalArgumentException("chunkTokens is " + chunkTokens + ", must be at least 1");
        }
        if (slots < 1) {
            throw new IllegalArgumentException("slots is " + slots + ", must be at least 1");
        }
    }

    @Override
    public StepPlan plan(StepShape shape) {
        shape.sequences().forEach(this::requireClosingOfFilledBlocks);
        BatchCells cells = new BatchCells(geometry, shape);
        StagedCells.Cut cut = cut(cells.staged());
        StagingLayout staging = new StagingLayout(slots(cut), cut.slotBytes(), cut.workspaceBytes());
        List<Chunk> chunks = cells.chunks(cut);
        return new StepPlan(
                schedule,
                shape,
                geometry.cachedLayers(),
                chunks,
                staging,
                new StageSequencer(geometry, shape, chunks, staging).stages());
    }

    private void requireClosingOfFilledBlocks(SequenceShape sequence) {
        int filled = sequence.closingBlocks(geometry.blockTokens());
        if (sequence.closing().size() != filled) {
            throw new IllegalArgumentException(
                    "closing has %d forms, but %d open and %d new tokens, %d drafted, fill %d blocks of %d tokens"
                            .formatted(
                                    sequence.closing().size(),
                                    sequence.openTokens(),
                                    sequence.newTokens(),
                                    sequence.drafted(),
                                    filled,
                                    geometry.blockTokens()));
        }
    }

    /** Cuts the cells of a step into chunks. */
    public StagedCells.Cut cut(StagedCells cells) {
        return evened(cells, largestCut(cells));
    }

    /**
     * The cut into the largest chunks, up to the wanted size, with which the wanted slots fit; if not even the smallest
     * chunks leave room for these, with the slots that do fit.
     */
    private StagedCells.Cut largestCut(StagedCells cells) {
        StagedCells.Cut largest = cells.cut(wantedChunkTokens());
        if (slots(largest) == usefulSlots(largest)) {
            return largest;
        }
        StagedCells.Cut best = cells.cut(1);
        int target = slots(best);
        if (target == 0) {
            throw new IllegalArgumentException(
                    "weft.staging-memory is %,d bytes, but a chunk of one cell of %d tokens needs at least %,d bytes"
                            .formatted(stagingBytes, geometry.cellTokens(), best.stagingBytes(1)));
        }
        long fitting = 1;
        long tooLarge = Math.min(wantedChunkTokens(), cells.stagedTokens() + 1);
        while (tooLarge - fitting > 1) {
            long middle = (fitting + tooLarge) / 2;
            StagedCells.Cut cut = cells.cut(middle);
            if (slots(cut) >= Math.min(target, usefulSlots(cut))) {
                fitting = middle;
                best = cut;
            } else {
                tooLarge = middle;
            }
        }
        return best;
    }

    /**
     * A cut into the same number of chunks of about equal size: a short last one would take a slot and a copy for
     * itself.
     */
    private StagedCells.Cut evened(StagedCells cells, StagedCells.Cut cut) {
        long chunks = Math.max(1, cut.stagedChunks());
        for (long tokens = Math.ceilDiv(cells.stagedTokens(), chunks);
                tokens < Math.min(cells.stagedTokens(), wantedChunkTokens());
                tokens += geometry.cellTokens()) {
            StagedCells.Cut even = cells.cut(tokens);
            if (even.stagedChunks() <= chunks
                    && even.slotBytes() <= cut.slotBytes()
                    && even.workspaceBytes() <= cut.workspaceBytes()) {
                return even;
            }
        }
        return cut;
    }

    /** The number of useful slots that fit. */
    private int slots(StagedCells.Cut cut) {
        int useful = usefulSlots(cut);
        if (useful == 0) {
            return 0;
        }
        long left = stagingBytes - cut.workspaceBytes();
        if (cut.slotBytes() == 0) {
            // What is decoded from where it is takes no memory of a slot.
            return left >= 0 ? useful : 0;
        }
        return (int) Math.min(useful, Math.max(0, left) / cut.slotBytes());
    }

    /** The number of wanted slots that would be used. */
    private int usefulSlots(StagedCells.Cut cut) {
        long uses = (long) geometry.cachedLayerCount() * cut.stagedChunks();
        return (int) Math.min(wantedSlots(), uses);
    }

    private int wantedSlots() {
        return switch (schedule) {
            case KVPR -> 1;
            case RESIDENT, FULL_TRANSFER, CHUNKED -> slots;
        };
    }

    private long wantedChunkTokens() {
        return switch (schedule) {
            case KVPR -> Integer.MAX_VALUE;
            case RESIDENT, FULL_TRANSFER, CHUNKED -> chunkTokens;
        };
    }
}
