package io.weft.plan;

import java.util.List;

/**
 * A step as the pipeline issues it and the simulator plays it.
 *
 * @param schedule how it was planned
 * @param shape what was planned
 * @param chunks the chunks of every layer, in the order of attention: a sequence's ranges ascend, and together cover
 *     its tokens once
 * @param staging how staging memory is divided
 * @param stages all stages in order of issue
 */
public record StepPlan(
        Schedule schedule, StepShape shape, List<Chunk> chunks, StagingLayout staging, List<PlannedStage> stages) {
    public StepPlan {
        chunks = List.copyOf(chunks);
        stages = List.copyOf(stages);
    }

    /** Chunks of a layer that need a slot. */
    public int stagedChunks() {
        return (int) chunks.stream().filter(Chunk::isStaged).count();
    }

    /** The slot that a staged chunk uses in a layer: slots are taken in turn. */
    public int slot(int layer, int chunk) {
        int stagedBefore =
                (int) chunks.stream().limit(chunk).filter(Chunk::isStaged).count();
        return (layer * stagedChunks() + stagedBefore) % staging.slots();
    }

    /** Bytes that cross the link to the device in the whole step, without the index arrays. */
    public long linkInBytes() {
        return stages.stream()
                .map(PlannedStage::stage)
                .mapToLong(stage -> stage instanceof Stage.Transfer transfer ? transfer.bytes() : 0)
                .sum();
    }
}
