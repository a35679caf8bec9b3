package io.weft.plan.step;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.Encoding;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Replays a step, and a second one that continues it, in a random order that lanes and waits allow, on a model of the
 * slots and the workspace that knows what lies in each, and fails when a stage finds something other than what it
 * needs. It takes a stage as two moments, begin and end: data is there when the writer has ended, and must stay until
 * the reader has ended.
 */
final class SlotRaces {
    private final StepPlan plan;
    private final Slot[] slots;
    private final Set<Piece> workspace = new HashSet<>();
    private final List<Step> steps;

    private SlotRaces(StepPlan plan) {
        this.plan = plan;
        this.slots = new Slot[plan.staging().slots()];
        Arrays.setAll(slots, slot -> new Slot());
        this.steps = List.of(new Step(0, 0), new Step(1, plan.ahead().isEmpty() ? 0 : plan.nextFirstSlot(0)));
    }

    /** A stage of one of the steps. */
    private record Work(int step, PlannedStage planned) {}

    /** What a slot or the workspace holds of a chunk. */
    private record Piece(int step, int layer, int chunk, String part) {}

    private static final class Slot {
        final Set<Piece> pieces = new HashSet<>();
        /** The stages that read the slot at this moment. */
        final List<Piece> readers = new ArrayList<>();
    }

    static void replay(StepPlan plan, RandomGenerator random) {
        new SlotRaces(plan).run(random);
    }

    private void run(RandomGenerator random) {
        Map<Lane, List<Work>> lanes = new EnumMap<>(Lane.class);
        for (Lane lane : Lane.values()) {
            lanes.put(lane, new ArrayList<>());
        }
        // In order of issue: the second step's first transfers come after the first step.
        plan.stages().forEach(planned -> lanes.get(planned.stage().lane()).add(new Work(0, planned)));
        List<PlannedStage> ahead =
                plan.ahead().stream().map(StepPlan.Ahead::transfer).toList();
        ahead.forEach(planned -> lanes.get(planned.stage().lane()).add(new Work(1, planned)));
        plan.stages().stream()
                .filter(planned -> !ahead.contains(planned))
                .forEach(planned -> lanes.get(planned.stage().lane()).add(new Work(1, planned)));
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
            Work work = lanes.get(lane).getFirst();
            Step step = steps.get(work.step());
            if (step.begun[work.planned().index()]) {
                step.end(work.planned().stage());
                step.ended[work.planned().index()] = true;
                lanes.get(lane).removeFirst();
            } else {
                step.begun[work.planned().index()] = true;
                step.begin(work.planned().stage());
            }
        }
        assertThat(lanes.values())
                .as("every stage can run")
                .allSatisfy(left -> assertThat(left).isEmpty());
        assertThat(steps)
                .allSatisfy(step -> assertThat(step.attended)
                        .isEqualTo(plan.cachedLayers().size() * plan.chunks().size()));
    }

    private int layers() {
        return (int) plan.stages().stream()
                .filter(planned -> planned.stage() instanceof Stage.Project)
                .count();
    }

    /** A step begins when the one before has ended, but for what is issued ahead. */
    private boolean mayAdvance(Work work) {
        Step step = steps.get(work.step());
        if (step.begun[work.planned().index()]) {
            return true;
        }
        if (work.step() == 0) {
            return work.planned().after().stream().allMatch(earlier -> step.ended[earlier]);
        }
        boolean[] before = steps.getFirst().ended;
        return plan.ahead().stream()
                .filter(ahead -> ahead.transfer().equals(work.planned()))
                .findFirst()
                .map(ahead -> before[ahead.slotFreeAfter()])
                .orElseGet(() -> IntStream.range(0, before.length).allMatch(i -> before[i])
                        && work.planned().after().stream().allMatch(earlier -> step.ended[earlier]));
    }

    private static String arrived(Encoding encoding) {
        return "host " + encoding;
    }

    /** The name of activations, or of K and V, that are as they are. */
    private static String ready(CacheForm form) {
        return form.equals(CacheForm.HOST_ACT) ? arrived(form.encoding()) : "ready " + form.label();
    }

    private List<CacheForm> closing(Place place) {
        return plan.shape().sequences().stream()
                .flatMap(sequence -> sequence.closing().stream())
                .filter(form -> form.place() == place)
                .toList();
    }

    /** The encodings, other than of contents as they are, of the blocks that an exact step fills. */
    private int codedEncodings() {
        return (int) plan.shape().sequences().stream()
                .flatMap(sequence -> sequence.closing().stream())
                .map(CacheForm::encoding)
                .filter(Encoding::isCoded)
                .distinct()
                .count();
    }

    private final class Step {
        private final int number;
        private final int firstSlot;
        private final boolean[] begun = new boolean[plan.stages().size()];
        private final boolean[] ended = new boolean[plan.stages().size()];
        private final Set<Integer> projectedLayers = new HashSet<>();
        /** Layers, and what was coded in them. */
        private final Set<List<Object>> coded = new HashSet<>();

        private boolean uploaded;
        private boolean embedded;
        private boolean headDone;
        private int attended;

        Step(int number, int firstSlot) {
            this.number = number;
            this.firstSlot = firstSlot;
        }

        private void begin(Stage stage) {
            switch (stage) {
                case Stage.Upload upload -> {}
                case Stage.Embed embed -> assertThat(uploaded).isTrue();
                case Stage.Transfer transfer -> claim(transfer.layer(), transfer.chunk());
                case Stage.Gather gather -> claim(gather.layer(), gather.chunk());
                case Stage.Decode decode -> {
                    if (decode.place() == Place.HOST) {
                        require(decode.layer(), decode.chunk(), arrived(decode.encoding()));
                    }
                    if (decode.encoding().content() == Content.ACTIVATION) {
                        claim(decode.layer(), decode.chunk());
                    } else {
                        leaveOnly(decode.layer(), decode.chunk());
                    }
                    beginReading(decode.layer(), decode.chunk());
                }
                case Stage.Encode encode -> assertThat(projectedLayers).contains(encode.layer());
                case Stage.Project project -> assertThat(embedded).isTrue();
                case Stage.Recompute recompute -> {
                    requireActivations(recompute.layer(), recompute.chunk());
                    beginReading(recompute.layer(), recompute.chunk());
                    leaveOnly(recompute.layer(), recompute.chunk());
                }
                case Stage.Attend attend -> requireAll(attend);
                case Stage.AttendWindow attend -> assertThat(projectedLayers).contains(attend.layer());
                case Stage.FeedForward feedForward ->
                    assertThat(projectedLayers).contains(feedForward.layer());
                case Stage.StoreOnDevice store -> {
                    assertThat(projectedLayers).hasSize(layers());
                    for (int layer : plan.cachedLayers()) {
                        closing(Place.DEVICE).forEach(form -> requireCoded(layer, form.encoding()));
                    }
                }
                case Stage.WriteOut writeOut -> {
                    assertThat(projectedLayers).contains(writeOut.layer());
                    for (CacheForm form : closing(Place.HOST)) {
                        requireCoded(writeOut.layer(), form.encoding());
                    }
                }
                case Stage.Promote promote -> {}
                case Stage.Head head -> assertThat(embedded).isTrue();
                case Stage.Download download -> {
                    assertThat(headDone).isEqualTo(plan.shape().head().rows() > 0);
                    assertThat(coded).hasSize(plan.cachedLayers().size() * codedEncodings());
                }
            }
        }

        private void end(Stage stage) {
            switch (stage) {
                case Stage.Upload upload -> uploaded = true;
                case Stage.Embed embed -> embedded = true;
                case Stage.Transfer transfer -> put(transfer.layer(), transfer.chunk(), arrived(transfer.encoding()));
                case Stage.Gather gather -> put(gather.layer(), gather.chunk(), ready(CacheForm.DEVICE_ACT));
                case Stage.Decode decode -> {
                    String ready = ready(new CacheForm(decode.encoding(), decode.place()));
                    if (decode.encoding().content() == Content.ACTIVATION) {
                        put(decode.layer(), decode.chunk(), ready);
                    } else {
                        workspace.add(new Piece(number, decode.layer(), decode.chunk(), ready));
                    }
                    slot(decode.layer(), decode.chunk()).readers.removeFirst();
                }
                case Stage.Encode encode -> coded.add(List.of(encode.layer(), encode.encoding()));
                case Stage.Project project -> projectedLayers.add(project.layer());
                case Stage.Recompute recompute -> {
                    workspace.add(new Piece(number, recompute.layer(), recompute.chunk(), "recomputed"));
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
                case Stage.AttendWindow attend -> {}
                case Stage.FeedForward feedForward -> {}
                case Stage.StoreOnDevice store -> {}
                case Stage.WriteOut writeOut -> {}
                case Stage.Promote promote -> {}
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
                    .allMatch(piece -> piece.step() == number && piece.layer() == layer && piece.chunk() == chunk);
            slot.pieces.add(new Piece(number, layer, chunk, "claimed"));
        }

        private void put(int layer, int chunk, String part) {
            assertThat(slot(layer, chunk).pieces.add(new Piece(number, layer, chunk, part)))
                    .as("%s of layer %d chunk %d comes once", part, layer, chunk)
                    .isTrue();
        }

        private void requireActivations(int layer, int chunk) {
            for (Chunk.Part part : plan.chunks().get(chunk).parts()) {
                if (part.isRecomputed()) {
                    require(layer, chunk, ready(part.form()));
                }
            }
        }

        private void requireCoded(int layer, Encoding encoding) {
            if (encoding.isCoded()) {
                assertThat(coded).contains(List.of(layer, encoding));
            }
        }

        /** Another use's content of the workspace goes; its attention has ended. */
        private void leaveOnly(int layer, int chunk) {
            workspace.removeIf(piece -> piece.step() != number || piece.layer() != layer || piece.chunk() != chunk);
        }

        private void requireAll(Stage.Attend attend) {
            Chunk work = plan.chunks().get(attend.chunk());
            assertThat(projectedLayers).contains(attend.layer());
            if (!work.isStaged()) {
                return;
            }
            requireActivations(attend.layer(), attend.chunk());
            if (work.recomputedBlocks() > 0) {
                assertThat(workspace).contains(new Piece(number, attend.layer(), attend.chunk(), "recomputed"));
            }
            for (Chunk.Part part : work.parts()) {
                if (part.form().equals(CacheForm.HOST_KV)) {
                    require(attend.layer(), attend.chunk(), arrived(Encoding.KEY_VALUE));
                } else if (!part.isRecomputed()) {
                    assertThat(workspace)
                            .contains(new Piece(number, attend.layer(), attend.chunk(), ready(part.form())));
                }
            }
            beginReading(attend.layer(), attend.chunk());
        }

        private void beginReading(int layer, int chunk) {
            slot(layer, chunk).readers.add(new Piece(number, layer, chunk, "read"));
        }

        private void require(int layer, int chunk, String part) {
            assertThat(slot(layer, chunk).pieces).contains(new Piece(number, layer, chunk, part));
        }

        private Slot slot(int layer, int chunk) {
            return slots[plan.slot(firstSlot, layer, chunk)];
        }
    }
}
