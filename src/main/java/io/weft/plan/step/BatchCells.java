package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * The cells of a batch, one sequence after the other, and the ways to cut that row of cells into chunks. A chunk is
 * always a run of neighbouring cells, so a sequence has one range within a chunk, its ranges ascend from chunk to
 * chunk, and no cell is ever divided. A cell that is wholly on the device as K and V needs no slot and therefore never
 * starts a chunk: it joins the current one.
 */
public final class BatchCells {
    private final CacheGeometry geometry;
    private final StepShape shape;
    private final List<Cell> cells;

    BatchCells(CacheGeometry geometry, StepShape shape) {
        this.geometry = geometry;
        this.shape = shape;
        this.cells = cells();
    }

    /**
     * A cell of the token grid, of one sequence.
     *
     * @param toToken index after its last token; the last cell of a sequence may be short
     * @param recomputedBlocks closed blocks stored as activations
     * @param hostKeyValueBlocks closed blocks stored as K and V on the host
     */
    private record Cell(int sequence, int fromToken, int toToken, int recomputedBlocks, int hostKeyValueBlocks) {}

    /** The parts of the cells that need a slot. */
    StagedCells staged() {
        return new StagedCells(
                geometry,
                cells.stream().mapToInt(Cell::recomputedBlocks).toArray(),
                cells.stream().mapToInt(Cell::hostKeyValueBlocks).toArray());
    }

    /** The chunks of a cut. */
    List<Chunk> chunks(StagedCells.Cut cut) {
        List<Chunk> chunks = new ArrayList<>(cut.starts().size());
        for (int i = 0; i < cut.starts().size(); i++) {
            int end = i + 1 < cut.starts().size() ? cut.starts().get(i + 1) : cells.size();
            chunks.add(chunk(ranges(cells.subList(cut.starts().get(i), end))));
        }
        return chunks;
    }

    private List<Cell> cells() {
        List<Cell> all = new ArrayList<>();
        for (int sequence = 0; sequence < shape.sequences().size(); sequence++) {
            SequenceShape sequenceShape = shape.sequences().get(sequence);
            int totalTokens = sequenceShape.totalTokens(geometry.blockTokens());
            for (int from = 0; from < totalTokens; from += geometry.cellTokens()) {
                all.add(cell(sequence, sequenceShape, from, Math.min(from + geometry.cellTokens(), totalTokens)));
            }
        }
        return List.copyOf(all);
    }

    private Cell cell(int sequence, SequenceShape sequenceShape, int fromToken, int toToken) {
        int recomputed = 0;
        int hostKeyValue = 0;
        for (CacheForm form : closedForms(sequenceShape, fromToken, toToken)) {
            switch (form) {
                case HOST_ACT, DEVICE_ACT -> recomputed++;
                case HOST_KV -> hostKeyValue++;
                case DEVICE_KV -> {}
            }
        }
        return new Cell(sequence, fromToken, toToken, recomputed, hostKeyValue);
    }

    /** The forms of the closed blocks in a range; tokens after them are on the device as K and V. */
    private List<CacheForm> closedForms(SequenceShape sequenceShape, int fromToken, int toToken) {
        int closed = sequenceShape.closed().size();
        int from = Math.min(fromToken / geometry.blockTokens(), closed);
        return sequenceShape.closed().subList(from, Math.min(geometry.blocks(toToken), closed));
    }

    private static List<TokenRange> ranges(List<Cell> cells) {
        List<TokenRange> ranges = new ArrayList<>();
        for (Cell cell : cells) {
            if (!ranges.isEmpty() && ranges.getLast().sequence() == cell.sequence()) {
                int fromToken = ranges.removeLast().fromToken();
                ranges.add(new TokenRange(cell.sequence(), fromToken, cell.toToken()));
            } else {
                ranges.add(new TokenRange(cell.sequence(), cell.fromToken(), cell.toToken()));
            }
        }
        return ranges;
    }

    private Chunk chunk(List<TokenRange> ranges) {
        return new Chunk(
                runs(ranges, form -> form == CacheForm.HOST_ACT),
                runs(ranges, form -> form == CacheForm.DEVICE_ACT),
                runs(ranges, form -> form == CacheForm.HOST_KV),
                ranges);
    }

    private List<BlockRun> runs(List<TokenRange> ranges, Predicate<CacheForm> wanted) {
        List<BlockRun> runs = new ArrayList<>();
        for (TokenRange range : ranges) {
            List<CacheForm> forms =
                    closedForms(shape.sequences().get(range.sequence()), range.fromToken(), range.toToken());
            int firstBlock = range.fromToken() / geometry.blockTokens();
            int from = 0;
            for (int block = 0; block <= forms.size(); block++) {
                if (block < forms.size() && wanted.test(forms.get(block))) {
                    continue;
                }
                if (block > from) {
                    runs.add(new BlockRun(range.sequence(), firstBlock + from, block - from));
                }
                from = block + 1;
            }
        }
        return runs;
    }
}
