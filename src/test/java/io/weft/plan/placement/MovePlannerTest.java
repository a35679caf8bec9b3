package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.MovePlanner.Running;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.BlockRun;
import io.weft.plan.step.Lane;
import io.weft.plan.step.Shapes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class MovePlannerTest {
    private static final CacheGeometry MULTI_HEAD = Shapes.GEOMETRIES.getFirst();
    private static final long KV_BLOCK = MULTI_HEAD.blockBytes(Content.KEY_VALUE);
    private static final long ACT_BLOCK = MULTI_HEAD.blockBytes(Content.ACTIVATION);

    /** Sequences in a cache with some memory left. */
    private record Case(MovePlanner planner, List<Running> sequences, long freeDeviceBytes, long freeHostBytes) {
        CacheGeometry geometry() {
            return planner.costs().geometry();
        }

        List<Move> moves() {
            return planner.moves(sequences, freeDeviceBytes, freeHostBytes);
        }

        int fullBlocks(int sequence) {
            return sequences.get(sequence).tokens() / geometry().blockTokens();
        }

        /** The load after the moves. */
        Case moved(List<Move> moves) {
            List<List<CacheForm>> forms = new ArrayList<>();
            sequences.forEach(sequence -> forms.add(new ArrayList<>(sequence.forms())));
            long deviceBytes = freeDeviceBytes;
            long hostBytes = freeHostBytes;
            for (Move move : moves) {
                List<CacheForm> ofSequence = forms.get(move.sequence());
                switch (move) {
                    case Move.Promote(BlockRun run) -> {
                        for (int block = run.firstBlock(); block < run.firstBlock() + run.blocks(); block++) {
                            assertThat(block).isLessThan(fullBlocks(run.sequence()));
                            Content content = ofSequence.get(block).content();
                            assertThat(ofSequence
                                            .set(block, CacheForm.of(content, Place.DEVICE))
                                            .place())
                                    .isEqualTo(Place.HOST);
                            deviceBytes -= geometry().blockBytes(content);
                        }
                    }
                    case Move.Rehome(int sequence, List<Integer> blocks, CacheForm form) -> {
                        assertThat(blocks).isSorted();
                        for (int block : blocks) {
                            assertThat(block).isGreaterThanOrEqualTo(fullBlocks(sequence));
                            CacheForm before = ofSequence.set(block, form);
                            assertThat(before.place()).isEqualTo(Place.DEVICE);
                            deviceBytes += geometry().blockBytes(before.content());
                            switch (form.place()) {
                                case DEVICE -> deviceBytes -= geometry().blockBytes(form.content());
                                case HOST -> hostBytes -= geometry().blockBytes(form.content());
                            }
                        }
                    }
                }
                assertThat(deviceBytes).isNotNegative();
                assertThat(hostBytes).isNotNegative();
            }
            List<Running> after = IntStream.range(0, sequences.size())
                    .mapToObj(i -> new Running(
                            forms.get(i),
                            sequences.get(i).tokens(),
                            sequences.get(i).stepsLeft()))
                    .toList();
            return new Case(planner, after, deviceBytes, hostBytes);
        }
    }

    private static List<Case> cases() {
        return IntStream.range(0, 300)
                .mapToObj(seed -> random(new Random(seed)))
                .toList();
    }

    private static Case random(Random random) {
        CacheGeometry geometry = Shapes.geometry(random);
        HardwareProfile profile = random.nextBoolean()
                ? Profiles.random(random)
                : Profiles.machine(random.nextDouble(), random.nextDouble() * 500, random.nextDouble() * 10);
        List<Running> sequences = new ArrayList<>();
        for (int i = random.nextInt(6); i >= 0; i--) {
            int blocks = 1 + random.nextInt(40);
            List<CacheForm> forms = IntStream.range(0, blocks)
                    .mapToObj(block -> CacheForm.values()[random.nextInt(4)])
                    .toList();
            int tokens = random.nextInt(blocks * geometry.blockTokens());
            sequences.add(new Running(forms, tokens, 1 + random.nextInt(500)));
        }
        long blockBytes = geometry.blockBytes(Content.KEY_VALUE);
        return new Case(
                new MovePlanner(new CostModel(profile, geometry), 256),
                sequences,
                random.nextInt(30) * blockBytes / 2,
                random.nextInt(30) * blockBytes / 2);
    }

    /** {@link Case#moved} asserts that no budget is exceeded, move by move. */
    @ParameterizedTest
    @MethodSource("cases")
    void movesFitTheMemoryAndComeToAnEnd(Case c) {
        Case now = c;
        List<Move> moves = now.moves();
        int rounds = 0;
        while (!moves.isEmpty()) {
            now = now.moved(moves);
            moves = now.moves();
            // A block is copied once and a home given up once.
            assertThat(++rounds).isLessThanOrEqualTo(2 * 40 * 6);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void homesAreOnlyGivenUpForCopies(Case c) {
        assertThat(c.moves())
                .satisfiesAnyOf(
                        moves -> assertThat(moves).isEmpty(),
                        moves -> assertThat(moves).anyMatch(Move.Promote.class::isInstance));
    }

    /** By the lanes of the step, summed up anew: what the copies of each sequence save, and what they take. */
    @ParameterizedTest
    @MethodSource("cases")
    void whatIsCopiedPaysAndTakesLittleOfTheStep(Case c) {
        List<Move> moves = c.moves();
        double copyNanos = 0;
        int copies = 0;
        int mostStepsLeft = 0;
        for (Move move : moves) {
            if (move instanceof Move.Promote(BlockRun run)) {
                for (int block = run.firstBlock(); block < run.firstBlock() + run.blocks(); block++) {
                    Content content =
                            c.sequences().get(run.sequence()).forms().get(block).content();
                    copyNanos += c.geometry().cachedLayerCount()
                            * c.planner()
                                    .costs()
                                    .profile()
                                    .linkIn()
                                    .nanos(c.geometry().blockLayerBytes(content));
                    copies++;
                }
                mostStepsLeft = Math.max(
                        mostStepsLeft, c.sequences().get(run.sequence()).stepsLeft());
            }
        }
        double before = stepNanos(c);
        double after = stepNanos(c.moved(moves));
        assertThat((before - after) * mostStepsLeft)
                .isGreaterThanOrEqualTo(MovePlanner.GAIN_FACTOR * copyNanos * (1 - 1e-9));
        assertThat(copies <= 1 || copyNanos <= MovePlanner.STEP_SHARE * before * (1 + 1e-9))
                .isTrue();
    }

    private static double stepNanos(Case c) {
        CostModel costs = c.planner().costs();
        long tokens = c.sequences().stream().mapToLong(Running::tokens).sum();
        long copyTokens = Math.clamp(tokens / c.sequences().size(), 1, 256);
        double link = 0;
        double compute = costs.baseNanosBesideLink(c.sequences().size(), tokens);
        for (int i = 0; i < c.sequences().size(); i++) {
            for (CacheForm form : c.sequences().get(i).forms().subList(0, c.fullBlocks(i))) {
                Route route = Route.of(form, costs, copyTokens, Math.clamp(tokens, 1, 256));
                link += c.geometry().blockTokens() * route.nanos(Lane.LINK_IN);
                compute += c.geometry().blockTokens() * route.nanos(Lane.COMPUTE);
            }
        }
        return Math.max(link, compute);
    }

    private static MovePlanner linkBound() {
        return new MovePlanner(new CostModel(Profiles.machine(1, 1, 0.001), MULTI_HEAD), 256);
    }

    private static Running running(CacheForm form, int fullBlocks, int blocks, int stepsLeft) {
        return new Running(Collections.nCopies(blocks, form), fullBlocks * MULTI_HEAD.blockTokens(), stepsLeft);
    }

    @Test
    void whatCrossesTheLinkIsCopiedToFreeMemoryFromTheFrontALittleInEachStep() {
        List<Running> sequences = List.of(running(CacheForm.HOST_KV, 32, 40, 100));
        // An eighth of 32 blocks: on this machine a copy takes as long as a transfer.
        assertThat(linkBound().moves(sequences, 100 * KV_BLOCK, 0))
                .containsExactly(new Move.Promote(new BlockRun(0, 0, 4)));
        assertThat(linkBound().moves(sequences, 2 * KV_BLOCK, 0))
                .containsExactly(new Move.Promote(new BlockRun(0, 0, 2)));
        assertThat(linkBound().moves(sequences, KV_BLOCK - 1, 0)).isEmpty();
    }

    @Test
    void aCopyMustPayForItselfSeveralTimesBeforeTheSequenceEnds() {
        assertThat(linkBound()
                        .moves(
                                List.of(running(CacheForm.HOST_KV, 32, 40, MovePlanner.GAIN_FACTOR - 1)),
                                100 * KV_BLOCK,
                                0))
                .isEmpty();
        assertThat(linkBound()
                        .moves(
                                List.of(running(CacheForm.HOST_KV, 32, 40, MovePlanner.GAIN_FACTOR + 1)),
                                100 * KV_BLOCK,
                                0))
                .isNotEmpty();
    }

    @Test
    void nothingIsCopiedWhereTheLinkHasTimeToSpare() {
        MovePlanner computeBound = new MovePlanner(new CostModel(Profiles.machine(0.001, 1, 100), MULTI_HEAD), 256);
        assertThat(computeBound.moves(List.of(running(CacheForm.HOST_KV, 32, 40, 1000)), 100 * KV_BLOCK, 0))
                .isEmpty();
    }

    @Test
    void whoHasLongestToGoComesFirst() {
        List<Running> sequences =
                List.of(running(CacheForm.HOST_KV, 16, 20, 50), running(CacheForm.HOST_KV, 16, 20, 500));
        assertThat(linkBound().moves(sequences, KV_BLOCK, 0)).containsExactly(new Move.Promote(new BlockRun(1, 0, 1)));
    }

    @Test
    void homesThatWillBeEmptyForLongAreGivenUpForBlocksThatCrossTheLink() {
        // The first has 30 blocks to fill on the device, the nearest of them soon; the second crosses the link.
        List<Running> sequences =
                List.of(running(CacheForm.DEVICE_KV, 2, 32, 480), running(CacheForm.HOST_KV, 16, 20, 60));
        List<Move> moves = linkBound().moves(sequences, 0, 100 * KV_BLOCK);
        assertThat(moves.getLast()).isEqualTo(new Move.Promote(new BlockRun(1, 0, 2)));
        List<Integer> homes = moves.stream()
                .filter(Move.Rehome.class::isInstance)
                .flatMap(move -> ((Move.Rehome) move).blocks().stream())
                .sorted()
                .toList();
        // As many as the second could use.
        assertThat(homes).isEqualTo(IntStream.range(16, 32).boxed().toList());
        assertThat(linkBound().moves(sequences, 0, 0)).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void roomIsMadeByWholeOrNotAtAllAndNoMoreThanIsMissing(Case c) {
        long each = c.geometry().blockBytes(Content.KEY_VALUE) - c.geometry().blockBytes(Content.ACTIVATION);
        long most = 0;
        for (int i = 0; i < c.sequences().size(); i++) {
            List<CacheForm> forms = c.sequences().get(i).forms();
            most += Math.max(0, each)
                    * forms.subList(c.fullBlocks(i), forms.size()).stream()
                            .filter(form -> form == CacheForm.DEVICE_KV)
                            .count();
        }
        for (long missing : new long[] {1, most / 2, most, most + 1}) {
            if (missing > 0) {
                List<Move> moves = c.planner().makeRoom(c.sequences(), missing);
                long freed = c.moved(moves).freeDeviceBytes() - c.freeDeviceBytes();
                if (missing > most) {
                    assertThat(moves).isEmpty();
                } else {
                    assertThat(freed).isBetween(missing, missing + each - 1);
                }
            }
        }
    }

    @Test
    void homesForKeysAndValuesBecomeHomesForActivationsFromTheBack() {
        assertThat(linkBound().makeRoom(List.of(running(CacheForm.DEVICE_KV, 2, 10, 100)), 3 * (KV_BLOCK - ACT_BLOCK)))
                .containsExactly(new Move.Rehome(0, List.of(7, 8, 9), CacheForm.DEVICE_ACT));
    }
}
