package io.weft.plan;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm.Content;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;

/**
 * Replays a plan in a random order that lanes and waits allow, on a model of the slots and the workspace that knows
 * what lies in each, and fails when a stage finds something other than what it needs. It takes a stage as two moments,
 * begin and end: data is there when the writer has ended, and must stay until the reader has ended.
 */
final class SlotRaces {
    private final StepPlan plan;
    private final boolean[] begun;
    private final boolean[] ended;
    private final Slot[] slots;
    private final Set<Piece> workspace = new HashSet<>();
    private final Set<Integer> projectedLayers = new HashSet<>();
    private boolean uploaded;
    private boolean embedded;
    private boolean headDone;
    private int attended;

    private SlotRaces(StepPlan plan) {
        this.plan = plan;
        this.begun = new boolean[plan.stages().size()];
        this.ended = new boolean[plan.stages().size()];
        this.slots = new Slot[plan.staging().slots()];
        Arrays.setAll(slots, slot -> new Slot());
    }

    /** What a slot or the workspace holds of a chunk. */
    private record Piece(int layer, int chunk, String part) {}

    private static final class Slot {
        final Set<Piece> pieces = new HashSet<>();
        /** The stages that read the slot at this moment. */
        final List<Piece> readers = new ArrayList<>();
    }

    static void replay(StepPlan plan, RandomGenerator random) {
        new SlotRaces(plan).run(random);
    }

    private void run(RandomGenerator random) {
        Map<Lane, List<PlannedStage>> lanes = new EnumMap<>(Lane.class);
        for (Lane lane : Lane.values()) {
            lanes.put(
                    lane,
                    new ArrayList<>(plan.stages().stream()
                            .filter(planned -> planned.stage().lane() == lane)
                            .toList()));
        }
        int preferred = random.nextInt(Lane.values().length + 1);
        while (true) {
            List<Lane> ready = Arrays.stream(Lane.values())
                    .filter(lane -> !lanes.get(lane).isEmpty()
                            && mayAdvance(lanes.get(lane).getFirst()))
                    .toList();
            if (ready.isEmpty()) {
                break;
            }
            // Some replays let one lane run as far ahead as it can: that is where races show.
            Lane lane = ready.get(random.nextInt(ready.size()));
            if (preferred < Lane.values().length && ready.contains(Lane.values()[preferred])) {
                lane = Lane.values()[preferred];
            }
            PlannedStage planned = lanes.get(lane).getFirst();
            if (begun[planned.index()]) {
                end(planned.stage());
                ended[planned.index()] = true;
                lanes.get(lane).removeFirst();
            } else {
                begun[planned.index()] = true;
                begin(planned.stage());
            }
        }
        assertThat(lanes.values())
                .as("every stage can run")
                .allSatisfy(left -> assertThat(left).isEmpty());
        assertThat(attended).isEqualTo(layers() * plan.chunks().size());
    }

    private int layers() {
        return (int) plan.stages().stream()
                .filter(planned -> planned.stage() instanceof Stage.Project)
                .count();
    }

    private boolean mayAdvance(PlannedStage planned) {
        return begun[planned.index()] || planned.after().stream().allMatch(earlier -> ended[earlier]);
    }

    private void begin(Stage stage) {
        switch (stage) {
            case Stage.Upload upload -> {}
            case Stage.Embed embed -> assertThat(uploaded).isTrue();
            case Stage.Transfer transfer -> claim(transfer.layer(), transfer.chunk());
            case Stage.Gather gather -> claim(gather.layer(), gather.chunk());
            case Stage.Project project -> assertThat(embedded).isTrue();
            case Stage.Recompute recompute -> {
                requireActivations(recompute.layer(), recompute.chunk());
                beginReading(recompute.layer(), recompute.chunk());
                workspace.clear();
            }
            case Stage.Attend attend -> requireAll(attend);
            case Stage.Complete complete -> assertThat(projectedLayers).contains(complete.layer());
            case Stage.Keep keep -> assertThat(projectedLayers).hasSize(layers());
            case Stage.WriteOut writeOut -> assertThat(projectedLayers).contains(writeOut.layer());
            case Stage.TakeUp takeUp -> {}
            case Stage.Head head -> assertThat(embedded).isTrue();
            case Stage.Download download -> assertThat(headDone).isTrue();
        }
    }

    private void end(Stage stage) {
        switch (stage) {
            case Stage.Upload upload -> uploaded = true;
            case Stage.Embed embed -> embedded = true;
            case Stage.Transfer transfer -> put(transfer.layer(), transfer.chunk(), "host " + transfer.content());
            case Stage.Gather gather -> put(gather.layer(), gather.chunk(), "device activations");
            case Stage.Project project -> projectedLayers.add(project.layer());
            case Stage.Recompute recompute -> {
                workspace.add(new Piece(recompute.layer(), recompute.chunk(), "recomputed"));
                slot(recompute.layer(), recompute.chunk()).readers.removeFirst();
            }
            case Stage.Attend attend -> {
                attended++;
                if (plan.chunks().get(attend.chunk()).isStaged()) {
                    // Its content is used up: whoever comes next must bring its own.
                    Slot slot = slot(attend.layer(), attend.chunk());
                    slot.readers.removeFirst();
                    slot.pieces.clear();
                }
            }
            case Stage.Complete complete -> {}
            case Stage.Keep keep -> {}
            case Stage.WriteOut writeOut -> {}
            case Stage.TakeUp takeUp -> {}
            case Stage.Head head -> headDone = true;
            case Stage.Download download -> {}
        }
    }

    /**
     * A writer begins: nobody of another use may be reading, and nothing of another use may still be waiting to be
     * read.
     */
    private void claim(int layer, int chunk) {
        Slot slot = slot(layer, chunk);
        assertThat(Stream.concat(slot.readers.stream(), slot.pieces.stream()))
                .as("what else is in the slot of layer %d chunk %d", layer, chunk)
                .allMatch(piece -> piece.layer() == layer && piece.chunk() == chunk);
        slot.pieces.add(new Piece(layer, chunk, "claimed"));
    }

    private void put(int layer, int chunk, String part) {
        assertThat(slot(layer, chunk).pieces.add(new Piece(layer, chunk, part)))
                .as("%s of layer %d chunk %d comes once", part, layer, chunk)
                .isTrue();
    }

    private void requireActivations(int layer, int chunk) {
        Chunk work = plan.chunks().get(chunk);
        requireIf(!work.hostActivations().isEmpty(), layer, chunk, "host " + Content.ACTIVATION);
        requireIf(!work.deviceActivations().isEmpty(), layer, chunk, "device activations");
    }

    private void requireAll(Stage.Attend attend) {
        Chunk work = plan.chunks().get(attend.chunk());
        assertThat(projectedLayers).contains(attend.layer());
        if (!work.isStaged()) {
            return;
        }
        requireActivations(attend.layer(), attend.chunk());
        requireIf(!work.hostKeyValues().isEmpty(), attend.layer(), attend.chunk(), "host " + Content.KEY_VALUE);
        if (work.recomputedBlocks() > 0) {
            assertThat(workspace).containsExactly(new Piece(attend.layer(), attend.chunk(), "recomputed"));
        }
        beginReading(attend.layer(), attend.chunk());
    }

    private void beginReading(int layer, int chunk) {
        slot(layer, chunk).readers.add(new Piece(layer, chunk, "read"));
    }

    private void requireIf(boolean needed, int layer, int chunk, String part) {
        if (needed) {
            assertThat(slot(layer, chunk).pieces).contains(new Piece(layer, chunk, part));
        }
    }

    private Slot slot(int layer, int chunk) {
        return slots[plan.slot(layer, chunk)];
    }
}
