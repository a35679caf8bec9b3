package io.weft.plan.step;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What every plan promises, for random batches, geometries, forms and staging sizes. */
class StepPlannerTest {
    private static final CacheGeometry GEOMETRY = Shapes.GEOMETRIES.getFirst();
    private static final long AMPLE = 1L << 40;

    /** A random plan, with enough staging memory for its smallest chunks, mostly for little more. */
    private record Case(StepPlanner planner, StepShape shape, StepPlan plan) {
        static Case of(long seed) {
            Random random = new Random(seed);
            CacheGeometry geometry = Shapes.geometry(random);
            StepShape shape = Shapes.step(random, geometry);
            Schedule schedule = Schedule.values()[random.nextInt(Schedule.values().length)];
            // Everything of all blocks of a cell, as they are and in all codes, and K and V in the workspace.
            long blockBytes = geometry.blockLayerBytes(Content.KEY_VALUE);
            for (Encoding encoding : geometry.encodings()) {
                blockBytes += geometry.blockLayerBytes(encoding);
            }
            long cellBytes = CacheForm.all().size() * StagingLayout.ALIGNMENT_BYTES
                    + geometry.blocks(geometry.cellTokens()) * blockBytes;
            long staging = random.nextInt(5) == 0 ? AMPLE : cellBytes + random.nextLong(20 * cellBytes);
            StepPlanner planner = new StepPlanner(
                    geometry, schedule, staging, 1 + random.nextInt(6 * geometry.cellTokens()), 1 + random.nextInt(6));
            return new Case(planner, shape, planner.plan(shape));
        }

        CacheGeometry geometry() {
            return planner.geometry();
        }

        List<BlockRun> runs(CacheForm form, Chunk chunk) {
            return chunk.parts().stream()
                    .filter(part -> part.form().equals(form))
                    .flatMap(part -> part.runs().stream())
                    .toList();
        }

        <S extends Stage> List<S> stages(Class<S> type) {
            return plan.stages().stream()
                    .map(PlannedStage::stage)
                    .filter(type::isInstance)
                    .map(type::cast)
                    .toList();
        }
    }

    static Stream<Case> cases() {
        return IntStream.range(0, 400).mapToObj(Case::of);
    }

    /**
     * Schedules differ in where blocks are placed; what is placed is brought in the same way, except by the paper's.
     */
    @ParameterizedTest
    @MethodSource("cases")
    void schedulesPlanTheSameStagesForTheSameForms(Case c) {
        StepPlanner planner = c.planner();
        List<List<PlannedStage>> stages = Stream.of(Schedule.RESIDENT, Schedule.FULL_TRANSFER, Schedule.CHUNKED)
                .map(schedule -> new StepPlanner(
                        planner.geometry(), schedule, planner.stagingBytes(), planner.chunkTokens(), planner.slots()))
                .map(other -> other.plan(c.shape()).stages())
                .toList();
        assertThat(stages).allMatch(stages.getFirst()::equals);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void rangesCoverEverySequenceOnceInOrderAndNeverCutACell(Case c) {
        Map<Integer, Integer> covered = new HashMap<>();
        for (Chunk chunk : c.plan().chunks()) {
            assertThat(chunk.ranges()).isNotEmpty();
            assertThat(chunk.ranges()).extracting(TokenRange::sequence).doesNotHaveDuplicates();
            for (TokenRange range : chunk.ranges()) {
                assertThat(range.fromToken()).isEqualTo(covered.getOrDefault(range.sequence(), 0));
                assertThat(range.fromToken() % c.geometry().cellTokens()).isZero();
                int total = total(c, range.sequence());
                assertThat(range.toToken())
                        .satisfies(to -> assertThat(
                                        to == total || to % c.geometry().cellTokens() == 0)
                                .isTrue());
                covered.put(range.sequence(), range.toToken());
            }
        }
        for (int sequence = 0; sequence < c.shape().sequences().size(); sequence++) {
            assertThat(covered).containsEntry(sequence, total(c, sequence));
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void everyBlockIsInOneChunkInItsFormWithinTheRangesOfTheChunk(Case c) {
        for (CacheForm form : CacheForm.all()) {
            List<List<Integer>> planned = new ArrayList<>();
            for (Chunk chunk : c.plan().chunks()) {
                BlockRun previous = new BlockRun(-1, 0, 0);
                for (BlockRun run : c.runs(form, chunk)) {
                    assertThat(run.blocks()).isPositive();
                    assertThat(run.sequence() != previous.sequence()
                                    || run.firstBlock() > previous.firstBlock() + previous.blocks())
                            .as("%s is merged with %s", previous, run)
                            .isTrue();
                    assertThat(chunk.ranges()).anyMatch(range -> contains(c, range, run));
                    IntStream.range(run.firstBlock(), run.firstBlock() + run.blocks())
                            .forEach(block -> planned.add(List.of(run.sequence(), block)));
                    previous = run;
                }
            }
            List<List<Integer>> expected = new ArrayList<>();
            for (int sequence = 0; sequence < c.shape().sequences().size(); sequence++) {
                List<CacheForm> closed = c.shape().sequences().get(sequence).closed();
                for (int block = 0; block < closed.size(); block++) {
                    if (closed.get(block).equals(form) && !form.equals(CacheForm.DEVICE_KV)) {
                        expected.add(List.of(sequence, block));
                    }
                }
            }
            assertThat(planned).as(form.label()).isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void slotsAndWorkspaceHoldEveryChunkAndFitStagingMemory(Case c) {
        StagingLayout staging = c.plan().staging();
        assertThat(staging.totalBytes()).isLessThanOrEqualTo(c.planner().stagingBytes());
        assertThat(staging.slots()).isLessThanOrEqualTo(c.planner().slots());
        for (Chunk chunk : c.plan().chunks()) {
            ChunkLayout layout = new ChunkLayout(c.geometry(), chunk);
            assertThat(layout.slotBytes()).isLessThanOrEqualTo(staging.slotBytes());
            assertThat(layout.workspaceBytes()).isLessThanOrEqualTo(staging.workspaceBytes());
            assertThat(chunk.parts()).isSortedAccordingTo(Comparator.comparing(Chunk.Part::form, Chunk.ORDER));
            requireDisjoint(c.geometry(), chunk, layout);
        }
        assertThat(staging.slots() > 0).isEqualTo(c.plan().chunks().getFirst().isStaged());
    }

    /** What arrives, is gathered, decoded or recomputed has a place of its own, within slot and workspace. */
    private static void requireDisjoint(CacheGeometry geometry, Chunk chunk, ChunkLayout layout) {
        NavigableMap<Long, Long> slot = new TreeMap<>();
        NavigableMap<Long, Long> workspace = new TreeMap<>();
        long recomputedFrom = 0;
        for (int i = 0; i < chunk.parts().size(); i++) {
            Chunk.Part part = chunk.parts().get(i);
            Encoding encoding = part.form().encoding();
            if (part.isOnHost()) {
                claim(slot, layout.arrivalOffset(i), part.blocks() * geometry.blockLayerBytes(encoding));
            }
            if (part.isRecomputed()) {
                long bytes = part.blocks() * geometry.blockLayerBytes(Content.ACTIVATION);
                // One kernel reads all activations.
                assertThat(layout.activationOffset(i)).isEqualTo(recomputedFrom);
                recomputedFrom += bytes;
                if (encoding.isCoded() || !part.isOnHost()) {
                    claim(slot, layout.activationOffset(i), bytes);
                }
            }
            boolean crossesAsItIs = part.form().equals(CacheForm.HOST_KV);
            assertThat(layout.isInWorkspace(i)).isEqualTo(!crossesAsItIs);
            if (!crossesAsItIs) {
                claim(workspace, layout.keyValueOffset(i), part.blocks() * geometry.blockLayerBytes(Content.KEY_VALUE));
            } else {
                assertThat(layout.keyValueOffset(i)).isEqualTo(layout.arrivalOffset(i));
            }
        }
        assertThat(slot.isEmpty() ? 0 : slot.lastEntry().getValue()).isLessThanOrEqualTo(layout.slotBytes());
        assertThat(workspace.isEmpty() ? 0 : workspace.lastEntry().getValue())
                .isLessThanOrEqualTo(layout.workspaceBytes());
    }

    private static void claim(NavigableMap<Long, Long> claimed, long from, long bytes) {
        Map.Entry<Long, Long> before = claimed.lowerEntry(from + bytes);
        assertThat(before == null ? 0 : before.getValue()).isLessThanOrEqualTo(from);
        claimed.put(from, from + bytes);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void aChunkHoldsNoMoreThanTheWantedTokensUnlessACellDoes(Case c) {
        if (c.planner().schedule() == Schedule.KVPR) {
            return;
        }
        for (Chunk chunk : c.plan().chunks()) {
            int tokens = stagedBlocks(chunk) * c.geometry().blockTokens();
            long stagedCells = chunk.parts().stream()
                    .flatMap(part -> part.runs().stream())
                    .flatMap(run -> IntStream.range(run.firstBlock(), run.firstBlock() + run.blocks())
                            .mapToObj(block -> List.of(
                                    run.sequence(),
                                    block
                                            * c.geometry().blockTokens()
                                            / c.geometry().cellTokens())))
                    .distinct()
                    .count();
            assertThat(tokens <= c.planner().chunkTokens() || stagedCells == 1).isTrue();
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void aChunkWithoutASlotIsAloneInItsLayer(Case c) {
        if (c.plan().chunks().size() > 1) {
            assertThat(c.plan().chunks()).allMatch(Chunk::isStaged);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void noOrderThatTheLanesAllowOverwritesOrReadsTooEarly(Case c) {
        Random random = new Random(c.hashCode());
        for (int i = 0; i < 12; i++) {
            SlotRaces.replay(c.plan(), random);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void waitsAreForOtherLanesOnly(Case c) {
        for (PlannedStage planned : c.plan().stages()) {
            assertThat(planned.after())
                    .noneMatch(earlier -> c.plan().stages().get(earlier).stage().lane()
                            == planned.stage().lane());
            assertThat(c.plan().stages().get(planned.index())).isSameAs(planned);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void linkBytesAreThoseOfTheForms(Case c) {
        int layers = c.geometry().cachedLayerCount();
        long inBytes = 0;
        long gatherBytes = 0;
        long outBytes = 0;
        long keepBytes = 0;
        for (SequenceShape sequence : c.shape().sequences()) {
            for (CacheForm form : sequence.closed()) {
                long bytes = c.geometry().blockLayerBytes(form.encoding());
                inBytes += form.place() == CacheForm.Place.HOST ? bytes : 0;
                gatherBytes += form.equals(CacheForm.DEVICE_ACT) ? bytes : 0;
            }
            for (CacheForm form : sequence.closing()) {
                long bytes = c.geometry().blockLayerBytes(form.encoding());
                outBytes += form.place() == CacheForm.Place.HOST ? bytes : 0;
                keepBytes += form.place() == CacheForm.Place.DEVICE ? bytes : 0;
            }
        }
        assertThat(c.plan().linkInBytes()).isEqualTo(layers * inBytes);
        assertThat(c.stages(Stage.Gather.class).stream()
                        .mapToLong(Stage.Gather::bytes)
                        .sum())
                .isEqualTo(layers * gatherBytes);
        assertThat(c.stages(Stage.WriteOut.class).stream()
                        .mapToLong(Stage.WriteOut::bytes)
                        .sum())
                .isEqualTo(layers * outBytes);
        assertThat(c.stages(Stage.StoreOnDevice.class).stream()
                        .mapToLong(Stage.StoreOnDevice::bytes)
                        .sum())
                .isEqualTo(layers * keepBytes);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void attentionCountsWhatEachRowSees(Case c) {
        long pairsOfALayer = 0;
        long tokensOfALayer = 0;
        for (SequenceShape sequence : c.shape().sequences()) {
            int cached = sequence.cachedTokens(c.geometry().blockTokens());
            int total = sequence.totalTokens(c.geometry().blockTokens());
            pairsOfALayer += IntStream.range(cached, total)
                    .mapToLong(position -> position + 1)
                    .sum();
            tokensOfALayer += total;
        }
        List<Stage.Attend> attends = c.stages(Stage.Attend.class);
        int layers = c.geometry().cachedLayerCount();
        assertThat(attends.stream().mapToLong(Stage.Attend::rowTokens).sum()).isEqualTo(layers * pairsOfALayer);
        assertThat(attends.stream().mapToLong(Stage.Attend::tokens).sum()).isEqualTo(layers * tokensOfALayer);
        for (Stage.Attend attend : attends) {
            assertThat(attend.rowTokens())
                    .isEqualTo(c.plan().chunks().get(attend.chunk()).ranges().stream()
                            .mapToLong(range -> bruteForceRowTokens(c, range))
                            .sum());
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void rowsOfLayersWithAWindowSeeIt(Case c) {
        int window = c.geometry().window();
        long rowTokens = 0;
        long tokens = 0;
        for (SequenceShape sequence : c.shape().sequences()) {
            int cached = sequence.cachedTokens(c.geometry().blockTokens());
            int total = cached + sequence.newTokens();
            for (int position = cached; position < total; position++) {
                rowTokens += Math.min(position + 1, window);
            }
            tokens += total - Math.max(0, cached + 1L - window);
        }
        List<Stage.AttendWindow> attends = c.stages(Stage.AttendWindow.class);
        assertThat(attends.stream().map(Stage.AttendWindow::layer))
                .containsExactlyElementsOf(c.geometry().windowLayers());
        for (Stage.AttendWindow attend : attends) {
            assertThat(attend.rowTokens()).isEqualTo(rowTokens);
            assertThat(attend.tokens()).isEqualTo(tokens);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void tokensAndLogitsComeLastAndOnlyIfWanted(Case c) {
        List<Stage> stages = c.plan().stages().stream()
                .map(PlannedStage::stage)
                .filter(stage -> !(stage instanceof Stage.StoreOnDevice || stage instanceof Stage.Promote))
                .toList();
        HeadShape head = c.shape().head();
        long coded = c.shape().sequences().stream()
                .flatMap(sequence -> sequence.closing().stream())
                .filter(form -> form.encoding().isCoded())
                .count();
        List<Stage> expected = new ArrayList<>();
        if (head.rows() > 0) {
            expected.add(new Stage.Head(head.rows()));
        }
        if (head.rows() > 0 || coded > 0) {
            long logitBytes = (long) head.logits() * c.geometry().dimensions().vocabularySize() * 4;
            expected.add(new Stage.Download(4L * head.tokens(), logitBytes, 4 * coded));
        }
        assertThat(stages.subList(stages.size() - expected.size(), stages.size()))
                .isEqualTo(expected);
        assertThat(stages.subList(0, stages.size() - expected.size()))
                .noneMatch(stage -> stage instanceof Stage.Head || stage instanceof Stage.Download);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void copiesForLaterStepsCrossBehindWhatTheStepNeeds(Case c) {
        long bytes = 0;
        int blocks = 0;
        for (SequenceShape sequence : c.shape().sequences()) {
            for (CacheForm form : sequence.promoted()) {
                bytes += c.geometry().blockBytes(form.encoding());
                blocks++;
            }
        }
        assertThat(c.plan().promotedBytes()).isEqualTo(bytes);
        if (blocks > 0) {
            int layers = c.geometry().cachedLayerCount();
            assertThat(c.plan().stages().getLast().stage()).isEqualTo(new Stage.Promote(bytes, blocks * layers));
        }
    }

    @ParameterizedTest
    @EnumSource(Schedule.class)
    void aResidentBatchIsOneChunkWithoutStagingMemory(Schedule schedule) {
        StepShape shape = Shapes.decode(GEOMETRY, 5, 30, CacheForm.DEVICE_KV);
        StepPlan plan = new StepPlanner(GEOMETRY, schedule, 0, 64, 3).plan(shape);
        assertThat(plan.chunks()).hasSize(1);
        assertThat(plan.chunks().getFirst().ranges()).hasSize(5);
        assertThat(plan.staging()).isEqualTo(new StagingLayout(0, 0, 0));
        assertThat(plan.linkInBytes()).isZero();
    }

    @Test
    void kvprTakesALayerAsOneChunkInOneSlotActivationsFirst() {
        List<CacheForm> closed = new ArrayList<>(Collections.nCopies(11, CacheForm.HOST_ACT));
        closed.addAll(Collections.nCopies(13, CacheForm.HOST_KV));
        StepShape shape =
                new StepShape(Collections.nCopies(3, new SequenceShape(closed, 3, 1, List.of())), HeadShape.tokens(3));
        StepPlan plan = new StepPlanner(GEOMETRY, Schedule.KVPR, AMPLE, 64, 4).plan(shape);
        assertThat(plan.chunks()).hasSize(1);
        assertThat(plan.staging().slots()).isEqualTo(1);
        assertThat(plan.stages())
                .filteredOn(planned -> planned.stage() instanceof Stage.Transfer)
                .extracting(planned -> ((Stage.Transfer) planned.stage()).encoding())
                .containsExactly(
                        Encoding.ACTIVATION,
                        Encoding.KEY_VALUE,
                        Encoding.ACTIVATION,
                        Encoding.KEY_VALUE,
                        Encoding.ACTIVATION,
                        Encoding.KEY_VALUE);
        assertThat(plan.stages())
                .filteredOn(planned -> planned.stage() instanceof Stage.Recompute)
                .allSatisfy(planned -> assertThat(planned.after())
                        .singleElement()
                        .satisfies(earlier -> assertThat(((Stage.Transfer)
                                                plan.stages().get(earlier).stage())
                                        .encoding())
                                .isEqualTo(Encoding.ACTIVATION)));
    }

    @Test
    void kvprCutsALayerThatDoesNotFitIntoNoMoreChunksThanItMust() {
        // 20 blocks of K and V in cells of 4: five cells of 4 * 16 * 128 * 4 bytes.
        StepShape shape = Shapes.decode(GEOMETRY, 1, 20, CacheForm.HOST_KV);
        long cellBytes = 4 * GEOMETRY.blockLayerBytes(Content.KEY_VALUE);
        for (int cells = 1; cells <= 6; cells++) {
            StepPlan plan = new StepPlanner(GEOMETRY, Schedule.KVPR, cells * cellBytes + 17, 64, 4).plan(shape);
            assertThat(plan.chunks()).hasSize(Math.ceilDiv(5, Math.min(cells, 5)));
            assertThat(plan.staging().slots()).isEqualTo(1);
        }
    }

    @Test
    void chunksShrinkBeforeSlotsAreGivenUp() {
        StepShape shape = Shapes.decode(GEOMETRY, 1, 32, CacheForm.HOST_KV);
        long cellBytes = 4 * GEOMETRY.blockLayerBytes(Content.KEY_VALUE);
        assertThat(plan(Schedule.CHUNKED, 12 * cellBytes, shape).staging())
                .isEqualTo(new StagingLayout(3, 4 * cellBytes, 0));
        assertThat(plan(Schedule.CHUNKED, 7 * cellBytes, shape).staging())
                .isEqualTo(new StagingLayout(3, 2 * cellBytes, 0));
        assertThat(plan(Schedule.CHUNKED, 2 * cellBytes, shape).staging())
                .isEqualTo(new StagingLayout(2, cellBytes, 0));
    }

    @Test
    void theLinkRunsAheadThroughTheSlots() {
        StepShape shape = Shapes.decode(GEOMETRY, 1, 32, CacheForm.HOST_KV);
        long cellBytes = 4 * GEOMETRY.blockLayerBytes(Content.KEY_VALUE);
        StepPlan plan = plan(Schedule.CHUNKED, 12 * cellBytes, shape);
        List<PlannedStage> transfers = plan.stages().stream()
                .filter(planned -> planned.stage() instanceof Stage.Transfer)
                .toList();
        List<PlannedStage> attends = plan.stages().stream()
                .filter(planned -> planned.stage() instanceof Stage.Attend)
                .toList();
        // Two chunks a layer, three layers, three slots.
        assertThat(transfers).hasSize(6);
        for (int use = 0; use < 6; use++) {
            assertThat(transfers.get(use).after())
                    .isEqualTo(
                            use < 3 ? List.of() : List.of(attends.get(use - 3).index()));
        }
    }

    @Test
    void tooLittleStagingMemoryNamesTheSettingAndTheBytes() {
        StepShape shape = Shapes.decode(GEOMETRY, 2, 9, CacheForm.HOST_ACT);
        // A cell of 64 tokens: 64 * 64 * 4 bytes of activations, and K and V twice that.
        assertThatThrownBy(() -> plan(Schedule.CHUNKED, 49_151, shape))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("weft.staging-memory", "49,151", "49,152");
        assertThat(plan(Schedule.CHUNKED, 49_152, shape).staging().slots()).isEqualTo(1);
    }

    @Test
    void closingMustNameTheFormOfEveryBlockThatIsFilled() {
        StepShape shape = new StepShape(
                List.of(new SequenceShape(List.of(), 15, 17, List.of(CacheForm.HOST_KV))), HeadShape.tokens(0));
        assertThatThrownBy(() -> plan(Schedule.CHUNKED, AMPLE, shape))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("closing has 1", "fill 2 blocks");
    }

    private static StepPlan plan(Schedule schedule, long stagingBytes, StepShape shape) {
        return new StepPlanner(GEOMETRY, schedule, stagingBytes, 256, 3).plan(shape);
    }

    private static int total(Case c, int sequence) {
        return c.shape().sequences().get(sequence).totalTokens(c.geometry().blockTokens());
    }

    private static boolean contains(Case c, TokenRange range, BlockRun run) {
        int blockTokens = c.geometry().blockTokens();
        return range.sequence() == run.sequence()
                && range.fromToken() <= run.firstBlock() * blockTokens
                && (run.firstBlock() + run.blocks()) * blockTokens <= range.toToken();
    }

    private static int stagedBlocks(Chunk chunk) {
        return chunk.parts().stream().mapToInt(Chunk.Part::blocks).sum();
    }

    private static long bruteForceRowTokens(Case c, TokenRange range) {
        SequenceShape sequence = c.shape().sequences().get(range.sequence());
        int cached = sequence.cachedTokens(c.geometry().blockTokens());
        int total = sequence.totalTokens(c.geometry().blockTokens());
        long pairs = 0;
        for (int position = cached; position < total; position++) {
            pairs += Math.max(0, Math.min(range.toToken(), position + 1) - range.fromToken());
        }
        return pairs;
    }
}
