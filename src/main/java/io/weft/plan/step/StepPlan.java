package io.weft.plan.step;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A planned step, which the pipeline issues and the simulator plays.
 *
 * @param schedule schedule of the plan
 * @param shape shape of the step
 * @param cachedLayers the layers that see all tokens, ascending: they have chunks
 * @param chunks the chunks of every cached layer, in the order of attention: a sequence's ranges ascend, and together
 *     cover its tokens once; each needs a slot, unless there is only one
 * @param staging how staging memory is divided
 * @param stages all stages in order of issue
 */
public record StepPlan(
        Schedule schedule,
        StepShape shape,
        List<Integer> cachedLayers,
        List<Chunk> chunks,
        StagingLayout staging,
        List<PlannedStage> stages) {
    public StepPlan {
        cachedLayers = List.copyOf(cachedLayers);
        chunks = List.copyOf(chunks);
        stages = List.copyOf(stages);
        if (chunks.size() > 1 && !chunks.stream().allMatch(Chunk::isStaged)) {
            throw new IllegalArgumentException(
                    "a chunk that needs no slot is one of " + chunks.size() + ", must be alone");
        }
    }

    /**
     * A transfer for the next step.
     *
     * @param transfer the transfer, whose place is the same in the next step's plan
     * @param slotFreeAfter index of the last stage of this step that reads the slot
     */
    public record Ahead(PlannedStage transfer, int slotFreeAfter) {}

    /**
     * The slot that a staged chunk uses in a layer: slots are taken in turn.
     *
     * @param firstSlot the slot of the step's first use
     */
    public int slot(int firstSlot, int layer, int chunk) {
        return (firstSlot + use(layer, chunk)) % staging.slots();
    }

    private int use(int layer, int chunk) {
        return Collections.binarySearch(cachedLayers, layer) * chunks.size() + chunk;
    }

    /** The first slot of a next step that {@linkplain #continues continues} this one: the ring goes on. */
    public int nextFirstSlot(int firstSlot) {
        return (firstSlot + attends().size()) % staging.slots();
    }

    /** Indices of the stages that end the uses, in order. */
    private List<Integer> attends() {
        return stages.stream()
                .filter(planned -> planned.stage() instanceof Stage.Attend)
                .map(PlannedStage::index)
                .toList();
    }

    /** Whether a stage is a transfer into a slot that nothing else of the step has used before. */
    public boolean isFirstOfSlot(Stage stage) {
        return stage instanceof Stage.Transfer transfer && use(transfer.layer(), transfer.chunk()) < staging.slots();
    }

    /**
     * The first transfers of the next step, in order, if it runs the same sequences. They need not wait until this step
     * has ended and the next is planned. None if this step changes the blocks to transfer, because it fills or promotes
     * some.
     */
    public List<Ahead> ahead() {
        boolean sameBlocks = shape.sequences().stream()
                .allMatch(sequence ->
                        sequence.closing().isEmpty() && sequence.promoted().isEmpty());
        if (!sameBlocks) {
            return List.of();
        }
        List<Integer> attends = attends();
        List<Ahead> ahead = new ArrayList<>();
        for (PlannedStage planned : stages) {
            if (planned.stage() instanceof Stage.Transfer transfer && isFirstOfSlot(transfer)) {
                int lastUse = attends.size() - staging.slots() + use(transfer.layer(), transfer.chunk());
                ahead.add(new Ahead(planned, attends.get(lastUse)));
            }
        }
        return ahead;
    }

    /**
     * Whether a step of this plan, over the sequences of the step before, begins with the transfers that are
     * {@link #ahead} in {@code before}.
     */
    public boolean continues(StepPlan before) {
        if (!staging.equals(before.staging) || chunks.size() != before.chunks.size()) {
            return false;
        }
        for (int i = 0; i < chunks.size(); i++) {
            if (!chunks.get(i).isStagedLike(before.chunks.get(i))) {
                return false;
            }
        }
        return true;
    }

    /** Whether the step decodes one row per sequence, with nothing to transfer, recompute or write out. */
    public boolean isResidentDecode() {
        return shape.rows() == shape.sequences().size()
                && stages.stream().noneMatch(planned -> switch (planned.stage()) {
                    case Stage.Transfer _,
                            Stage.Gather _,
                            Stage.Decode _,
                            Stage.Recompute _,
                            Stage.Encode _,
                            Stage.WriteOut _ -> true;
                    case Stage.Upload _,
                            Stage.Embed _,
                            Stage.Project _,
                            Stage.Attend _,
                            Stage.AttendWindow _,
                            Stage.FeedForward _,
                            Stage.Head _,
                            Stage.Download _,
                            Stage.StoreOnDevice _,
                            Stage.Promote _ -> false;
                });
    }

    /** Bytes that cross the link to the device in the whole step, without the index arrays. */
    public long linkInBytes() {
        return stages.stream()
                .map(PlannedStage::stage)
                .mapToLong(stage -> stage instanceof Stage.Transfer transfer ? transfer.bytes() : 0)
                .sum();
    }

    /** Bytes of blocks that are copied to the device for later steps. */
    public long promotedBytes() {
        return stages.stream()
                .map(PlannedStage::stage)
                .mapToLong(stage -> stage instanceof Stage.Promote promote ? promote.bytes() : 0)
                .sum();
    }
}
