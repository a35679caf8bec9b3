package io.weft.plan;

import java.util.List;

/**
 * A step as the pipeline issues it and the simulator plays it.
 *
 * @param schedule how it was planned
 * @param shape what was planned
 * @param chunks the chunks of every layer, in the order of attention: a sequence's ranges ascend, and together cover
 *     its tokens once; each needs a slot, unless there is only one
 * @param staging how staging memory is divided
 * @param stages all stages in order of issue
 */
public record StepPlan(
        Schedule schedule, StepShape shape, List<Chunk> chunks, StagingLayout staging, List<PlannedStage> stages) {
    public StepPlan {
        chunks = List.copyOf(chunks);
        stages = List.copyOf(stages);
        if (chunks.size() > 1 && !chunks.stream().allMatch(Chunk::isStaged)) {
            throw new IllegalArgumentException(
                    "a chunk that needs no slot is one of " + chunks.size() + ", must be alone");
        }
    }

    /** The slot that a staged chunk uses in a layer: slots are taken in turn. */
    public int slot(int layer, int chunk) {
        return (layer * chunks.size() + chunk) % staging.slots();
    }

    /** Bytes that cross the link to the device in the whole step, without the index arrays. */
    public long linkInBytes() {
        return stages.stream()
                .map(PlannedStage::stage)
                .mapToLong(stage -> stage instanceof Stage.Transfer transfer ? transfer.bytes() : 0)
                .sum();
    }

    /** Bytes of blocks that are copied to the device for later steps. */
    public long takenUpBytes() {
        return stages.stream()
                .map(PlannedStage::stage)
                .mapToLong(stage -> stage instanceof Stage.TakeUp takeUp ? takeUp.bytes() : 0)
                .sum();
    }
}
