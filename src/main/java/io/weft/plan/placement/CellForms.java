package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.BatchCells;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StagedCells;
import java.util.List;

/**
 * The cells of a decode step of equal sequences, one sequence after the other, in the order of {@link BatchCells}, and
 * the cost of a run of them as a chunk of one layer, without planning the step.
 */
final class CellForms {
    private static final List<CacheForm> FORMS = CacheForm.all();

    private final CacheGeometry geometry;
    /** All cached layers cost the same. */
    private final int layer;
    /** The tokens of a sequence, with the new one. */
    private final int tokens;

    private final int cellsPerSequence;
    private final StagedCells staged;

    /**
     * @param sequences of equal length
     * @param row the forms of all blocks, one sequence after the other
     */
    CellForms(CacheGeometry geometry, int sequences, CacheForm[] row) {
        this.geometry = geometry;
        this.layer = geometry.dimensions()
                .cachedGroup()
                .map(group -> group.layers().getFirst())
                .orElse(0);
        int blocksPerSequence = row.length / sequences;
        this.tokens = blocksPerSequence * geometry.blockTokens() + 1;
        this.cellsPerSequence = Math.ceilDiv(tokens, geometry.cellTokens());
        this.staged = new StagedCells(geometry, sequences * cellsPerSequence);
        int cellBlocks = geometry.cellTokens() / geometry.blockTokens();
        for (int block = 0; block < row.length; block++) {
            staged.add(
                    row[block], block / blocksPerSequence * cellsPerSequence + block % blocksPerSequence / cellBlocks);
        }
    }

    int cells() {
        return staged.cells();
    }

    /** The parts of the cells that need a slot. */
    StagedCells staged() {
        return staged;
    }

    /** The link time of some cells in one layer. */
    double linkNanos(CostModel costs, int from, int to) {
        double nanos = 0;
        for (int i = 0; i < FORMS.size(); i++) {
            int blocks = FORMS.get(i).place() == Place.HOST ? staged.blocks(FORMS.get(i), from, to) : 0;
            if (blocks > 0) {
                Encoding encoding = FORMS.get(i).encoding();
                long bytes = blocks * geometry.blockLayerBytes(encoding);
                nanos += costs.nanos(new Stage.Transfer(0, 0, encoding, bytes, copies(FORMS.get(i), from, to)));
            }
        }
        return nanos;
    }

    /** One for each sequence that has blocks of the form. */
    private int copies(CacheForm form, int from, int to) {
        int copies = 0;
        int sequence = -1;
        for (int cell = from; cell < to; cell++) {
            if (cell / cellsPerSequence != sequence && staged.blocks(form, cell, cell + 1) > 0) {
                sequence = cell / cellsPerSequence;
                copies++;
            }
        }
        return copies;
    }

    /**
     * The compute time to attend to some cells in one layer, with recomputation.
     *
     * @param linkContentionFactor see {@link CostModel#issuedNanos}
     */
    double computeNanos(CostModel costs, double linkContentionFactor, int from, int to) {
        long attended = 0;
        for (int cell = from; cell < to; cell++) {
            int fromToken = cell % cellsPerSequence * geometry.cellTokens();
            attended += Math.min(geometry.cellTokens(), tokens - fromToken);
        }
        int sequences = (to - 1) / cellsPerSequence - from / cellsPerSequence + 1;
        double nanos =
                costs.issuedNanos(new Stage.Attend(layer, 0, attended, attended, sequences), linkContentionFactor);
        long recomputed = 0;
        for (int i = 0; i < FORMS.size(); i++) {
            CacheForm form = FORMS.get(i);
            long blocks = staged.blocks(form, from, to);
            recomputed += form.content() == Content.ACTIVATION ? blocks : 0;
            if (blocks > 0 && form.encoding().isCoded()) {
                int decoded = Math.toIntExact(blocks * geometry.blockTokens());
                nanos += costs.issuedNanos(
                        new Stage.Decode(0, 0, form.encoding(), form.place(), decoded), linkContentionFactor);
            } else if (blocks > 0 && form.isGathered()) {
                long bytes = blocks * geometry.blockLayerBytes(form.encoding());
                nanos += costs.issuedNanos(new Stage.Gather(0, 0, bytes), linkContentionFactor);
            }
        }
        if (recomputed > 0) {
            int recomputedTokens = Math.toIntExact(recomputed * geometry.blockTokens());
            nanos += costs.issuedNanos(new Stage.Recompute(0, 0, recomputedTokens), linkContentionFactor);
        }
        return nanos;
    }
}
