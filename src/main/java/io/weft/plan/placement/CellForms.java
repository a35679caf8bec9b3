package io.weft.plan.placement;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.BatchCells;
import io.weft.plan.step.Stage;
import io.weft.plan.step.StagedCells;
import java.util.Arrays;

/**
 * The cells of a decode step of equal sequences, one sequence after the other, in the order of {@link BatchCells}, and
 * the cost of a run of them as a chunk of one layer, without planning the step.
 */
final class CellForms {
    private final CacheGeometry geometry;
    /** All cached layers cost the same. */
    private final int layer;
    /** The tokens of a sequence, with the new one. */
    private final int tokens;

    private final int cellsPerSequence;
    /** By cell: blocks of that form. */
    private final int[] hostActivations;
    /** By cell: blocks of that form. */
    private final int[] deviceActivations;
    /** By cell: blocks of that form. */
    private final int[] hostKeyValues;

    /**
     * @param sequences of equal length
     * @param row the forms of all blocks, one sequence after the other
     */
    CellForms(CacheGeometry geometry, int sequences, CacheForm[] row) {
        this.geometry = geometry;
        this.layer = geometry.cachedLayers().stream().findFirst().orElse(0);
        int blocksPerSequence = row.length / sequences;
        this.tokens = blocksPerSequence * geometry.blockTokens() + 1;
        this.cellsPerSequence = Math.ceilDiv(tokens, geometry.cellTokens());
        this.hostActivations = new int[sequences * cellsPerSequence];
        this.deviceActivations = new int[sequences * cellsPerSequence];
        this.hostKeyValues = new int[sequences * cellsPerSequence];
        int cellBlocks = geometry.cellTokens() / geometry.blockTokens();
        for (int block = 0; block < row.length; block++) {
            int cell = block / blocksPerSequence * cellsPerSequence + block % blocksPerSequence / cellBlocks;
            switch (row[block]) {
                case HOST_ACT -> hostActivations[cell]++;
                case DEVICE_ACT -> deviceActivations[cell]++;
                case HOST_KV -> hostKeyValues[cell]++;
                case DEVICE_KV -> {}
            }
        }
    }

    int cells() {
        return hostKeyValues.length;
    }

    /** The parts of the cells that need a slot. */
    StagedCells staged() {
        int[] recomputed = new int[cells()];
        Arrays.setAll(recomputed, cell -> hostActivations[cell] + deviceActivations[cell]);
        return new StagedCells(geometry, recomputed, hostKeyValues);
    }

    /** The link time of some cells in one layer. */
    double linkNanos(CostModel costs, int from, int to) {
        return transferNanos(costs, Content.ACTIVATION, hostActivations, from, to)
                + transferNanos(costs, Content.KEY_VALUE, hostKeyValues, from, to);
    }

    private double transferNanos(CostModel costs, Content content, int[] blocks, int from, int to) {
        int copies = 0;
        int sequence = -1;
        for (int cell = from; cell < to; cell++) {
            if (blocks[cell] > 0 && cell / cellsPerSequence != sequence) {
                sequence = cell / cellsPerSequence;
                copies++;
            }
        }
        long bytes = sum(blocks, from, to) * geometry.blockLayerBytes(content);
        return costs.nanos(new Stage.Transfer(0, 0, content, bytes, copies));
    }

    /**
     * The compute time to attend to some cells in one layer, with recomputation.
     *
     * @param linkContentionFactor see {@link CostModel#issuedNanos}
     */
    double computeNanos(CostModel costs, double linkContentionFactor, int from, int to) {
        long gathered = sum(deviceActivations, from, to);
        long recomputed = gathered + sum(hostActivations, from, to);
        long attended = 0;
        for (int cell = from; cell < to; cell++) {
            int fromToken = cell % cellsPerSequence * geometry.cellTokens();
            attended += Math.min(geometry.cellTokens(), tokens - fromToken);
        }
        int sequences = (to - 1) / cellsPerSequence - from / cellsPerSequence + 1;
        double nanos =
                costs.issuedNanos(new Stage.Attend(layer, 0, attended, attended, sequences), linkContentionFactor);
        if (gathered > 0) {
            long bytes = gathered * geometry.blockLayerBytes(Content.ACTIVATION);
            nanos += costs.issuedNanos(new Stage.Gather(0, 0, bytes), linkContentionFactor);
        }
        if (recomputed > 0) {
            int recomputedTokens = Math.toIntExact(recomputed * geometry.blockTokens());
            nanos += costs.issuedNanos(new Stage.Recompute(0, 0, recomputedTokens), linkContentionFactor);
        }
        return nanos;
    }

    private static long sum(int[] blocks, int from, int to) {
        long sum = 0;
        for (int cell = from; cell < to; cell++) {
            sum += blocks[cell];
        }
        return sum;
    }
}
