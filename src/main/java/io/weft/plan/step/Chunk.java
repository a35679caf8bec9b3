package io.weft.plan.step;

import java.util.List;

/**
 * The unit of one transfer, its recomputation and the attention over it; the same in every layer. In a staging slot the
 * rows lie in this order: host activations, device activations, then (aligned) K and V.
 *
 * @param hostActivations blocks whose activations cross the link
 * @param deviceActivations blocks whose activations are gathered from device memory
 * @param hostKeyValues blocks whose K and V cross the link
 * @param ranges tokens to which the step's rows attend once the chunk has arrived, including blocks that lie on the
 *     device as K and V
 */
public record Chunk(
        List<BlockRun> hostActivations,
        List<BlockRun> deviceActivations,
        List<BlockRun> hostKeyValues,
        List<TokenRange> ranges) {
    public Chunk {
        hostActivations = List.copyOf(hostActivations);
        deviceActivations = List.copyOf(deviceActivations);
        hostKeyValues = List.copyOf(hostKeyValues);
        ranges = List.copyOf(ranges);
    }

    /** Whether the chunk needs a staging slot. */
    public boolean isStaged() {
        return !(hostActivations.isEmpty() && deviceActivations.isEmpty() && hostKeyValues.isEmpty());
    }

    /**
     * Whether its slot holds the same blocks in the same places as that of {@code other}; new tokens lie in no slot.
     */
    boolean isStagedLike(Chunk other) {
        return hostActivations.equals(other.hostActivations)
                && deviceActivations.equals(other.deviceActivations)
                && hostKeyValues.equals(other.hostKeyValues);
    }

    /** The number of blocks to recompute. */
    public int recomputedBlocks() {
        return blocks(hostActivations) + blocks(deviceActivations);
    }

    /** The number of blocks in some runs. */
    public static int blocks(List<BlockRun> runs) {
        int blocks = 0;
        for (BlockRun run : runs) {
            blocks += run.blocks();
        }
        return blocks;
    }
}
