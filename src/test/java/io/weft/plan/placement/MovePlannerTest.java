package io.weft.plan.placement;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
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

    /** Sequences in a cache with some memory left. */
    private record Case(MovePlanner planner, List<Running> sequences, long freeDeviceBytes) {
        CacheGeometry geometry() {
            return planner.costs().geometry();
        }

        List<BlockRun> promotions() {
            return planner.promotions(sequences, freeDeviceBytes);
        }

        /** The load after the copies. */
        Case with(List<BlockRun> promotions) {
            List<List<CacheForm>> forms = new ArrayList<>();
            sequences.forEach(sequence -> forms.add(new ArrayList<>(sequence.forms())));
            long deviceBytes = freeDeviceBytes;
            for (BlockRun run : promotions) {
                List<CacheForm> ofSequence = forms.get(run.sequence());
                for (int block = run.firstBlock(); block < run.firstBlock() + run.blocks(); block++) {
                    CacheForm form = ofSequence.get(block);
                    assertThat(form.place()).isEqualTo(Place.HOST);
                    ofSequence.set(block, form.at(Place.DEVICE));
                    deviceBytes -= geometry().blockBytes(form.encoding());
                }
                assertThat(deviceBytes).isNotNegative();
            }
            List<Running> after = IntStream.range(0, sequences.size())
                    .mapToObj(i -> new Running(
                            forms.get(i),
                            sequences.get(i).tokens(),
                            sequences.get(i).stepsLeft()))
                    .toList();
            return new Case(planner, after, deviceBytes);
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
            int blocks = random.nextInt(40);
            List<CacheForm> exact = CachePolicy.EXACT.forms();
            List<CacheForm> forms = IntStream.range(0, blocks)
                    .mapToObj(block -> exact.get(random.nextInt(exact.size())))
                    .toList();
            int tokens = blocks * geometry.blockTokens() + random.nextInt(geometry.blockTokens());
            sequences.add(new Running(forms, tokens, 1 + random.nextInt(500)));
        }
        long blockBytes = geometry.blockBytes(Content.KEY_VALUE);
        return new Case(
                new MovePlanner(new CostModel(profile, geometry), 256), sequences, random.nextInt(30) * blockBytes / 2);
    }

    /** {@link Case#with} asserts that memory is not exceeded, run by run. */
    @ParameterizedTest
    @MethodSource("cases")
    void copiesFitTheMemoryAndComeToAnEnd(Case c) {
        Case now = c;
        List<BlockRun> promotions = now.promotions();
        int rounds = 0;
        while (!promotions.isEmpty()) {
            now = now.with(promotions);
            promotions = now.promotions();
            // A block is copied once.
            assertThat(++rounds).isLessThanOrEqualTo(40 * 6);
        }
    }

    /** By the lanes of the step, summed up anew: what the copies of each sequence save, and what they take. */
    @ParameterizedTest
    @MethodSource("cases")
    void whatIsCopiedPaysAndTakesLittleOfTheStep(Case c) {
        List<BlockRun> promotions = c.promotions();
        double copyNanos = 0;
        int copies = 0;
        int mostStepsLeft = 0;
        for (BlockRun run : promotions) {
            for (int block = run.firstBlock(); block < run.firstBlock() + run.blocks(); block++) {
                Encoding encoding =
                        c.sequences().get(run.sequence()).forms().get(block).encoding();
                copyNanos += c.geometry().cachedLayerCount()
                        * c.planner()
                                .costs()
                                .profile()
                                .linkIn()
                                .nanos(c.geometry().blockLayerBytes(encoding));
                copies++;
            }
            mostStepsLeft =
                    Math.max(mostStepsLeft, c.sequences().get(run.sequence()).stepsLeft());
        }
        double before = stepNanos(c);
        double after = stepNanos(c.with(promotions));
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
            for (CacheForm form : c.sequences().get(i).forms()) {
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

    private static Running running(CacheForm form, int blocks, int stepsLeft) {
        return new Running(Collections.nCopies(blocks, form), blocks * MULTI_HEAD.blockTokens(), stepsLeft);
    }

    @Test
    void whatCrossesTheLinkIsCopiedToFreeMemoryFromTheFrontALittleInEachStep() {
        List<Running> sequences = List.of(running(CacheForm.HOST_KV, 32, 100));
        // An eighth of 32 blocks: on this machine a copy takes as long as a transfer.
        assertThat(linkBound().promotions(sequences, 100 * KV_BLOCK)).containsExactly(new BlockRun(0, 0, 4));
        assertThat(linkBound().promotions(sequences, 2 * KV_BLOCK)).containsExactly(new BlockRun(0, 0, 2));
        assertThat(linkBound().promotions(sequences, KV_BLOCK - 1)).isEmpty();
    }

    @Test
    void aCopyMustPayForItselfSeveralTimesBeforeTheSequenceEnds() {
        assertThat(linkBound()
                        .promotions(
                                List.of(running(CacheForm.HOST_KV, 32, MovePlanner.GAIN_FACTOR - 1)), 100 * KV_BLOCK))
                .isEmpty();
        assertThat(linkBound()
                        .promotions(
                                List.of(running(CacheForm.HOST_KV, 32, MovePlanner.GAIN_FACTOR + 1)), 100 * KV_BLOCK))
                .isNotEmpty();
    }

    @Test
    void nothingIsCopiedWhereTheLinkHasTimeToSpare() {
        MovePlanner computeBound = new MovePlanner(new CostModel(Profiles.machine(0.001, 1, 100), MULTI_HEAD), 256);
        assertThat(computeBound.promotions(List.of(running(CacheForm.HOST_KV, 32, 1000)), 100 * KV_BLOCK))
                .isEmpty();
    }

    @Test
    void whoHasLongestToGoComesFirst() {
        List<Running> sequences = List.of(running(CacheForm.HOST_KV, 16, 50), running(CacheForm.HOST_KV, 16, 500));
        assertThat(linkBound().promotions(sequences, KV_BLOCK)).containsExactly(new BlockRun(1, 0, 1));
    }
}
