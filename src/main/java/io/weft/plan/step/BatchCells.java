package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

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
     */
    private record Cell(int sequence, int fromToken, int toToken) {}

    /** The parts of the cells that need a slot. */
    StagedCells staged() {
        StagedCells staged = new StagedCells(geometry, cells.size());
        for (int i = 0; i < cells.size(); i++) {
            Cell cell = cells.get(i);
            for (CacheForm form : closedForms(cell.sequence(), cell.fromToken(), cell.toToken())) {
                staged.add(form, i);
            }
        }
        return staged;
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
                all.add(new Cell(sequence, from, Math.min(from + geometry.cellTokens(), totalTokens)));
            }
        }
        return List.copyOf(all);
    }

    /** The forms of the closed blocks in a range; tokens after them are on the device as K and V. */
    private List<CacheForm> closedForms(int sequence, int fromToken, int toToken) {
        List<CacheForm> forms = shape.sequences().get(sequence).closed();
        int closed = forms.size();
        int from = Math.min(fromToken / geometry.blockTokens(), closed);
        return forms.subList(from, Math.min(geometry.blocks(toToken), closed));
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
        Map<CacheForm, List<BlockRun>> runs = new TreeMap<>(Chunk.ORDER);
        for (TokenRange range : ranges) {
            addRuns(range, runs);
        }
        List<Chunk.Part> parts = new ArrayList<>(runs.size());
        runs.forEach((form, ofForm) -> parts.add(new Chunk.Part(form, ofForm)));
        return new Chunk(parts, ranges);
    }

    private void addRuns(TokenRange range, Map<CacheForm, List<BlockRun>> runs) {
        List<CacheForm> forms = closedForms(range.sequence(), range.fromToken(), range.toToken());
        int firstBlock = range.fromToken() / geometry.blockTokens();
        int from = 0;
        for (int block = 1; block <= forms.size(); block++) {
            CacheForm form = forms.get(from);
            if (block < forms.size() && form.equals(forms.get(block))) {
                continue;
            }
            if (!form.isReadInPlace()) {
                runs.computeIfAbsent(form, first -> new ArrayList<>())
                        .add(new BlockRun(range.sequence(), firstBlock + from, block - from));
            }
            from = block;
        }
    }
}
