package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.model.CacheForm;
import io.weft.model.CachePolicy;
import io.weft.pipeline.ModelRun.Execution;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.pipeline.TokenChoice.LogitEdit;
import io.weft.plan.step.Schedule;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** What a request gets does not depend on the plan, nor on who else is in the batch: bit for bit. */
class SameBitsTest {
    private static final int DECODED = 3;

    @SuppressWarnings("unused")
    private static final List<String> GOLDENS = Golden.UNIFORM;

    @SuppressWarnings("unused")
    private static final List<String> OTHERS = Golden.OTHERS;

    @ParameterizedTest
    @FieldSource("GOLDENS")
    void everyScheduleAndEverySplitOfThePromptGivesTheBitsOfTheResidentRun(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        // Blocks of one token, so that a split may stand between any two tokens.
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), 1, 16)) {
            List<float[]> resident = logits(run, Way.of(Schedule.RESIDENT), prompt, block -> CacheForm.DEVICE_KV);
            List<Schedule> chunked = List.of(Schedule.RESIDENT, Schedule.FULL_TRANSFER, Schedule.CHUNKED);
            for (int split = 0; split <= prompt.size(); split++) {
                int recomputed = split;
                // The others plan the same steps for the same forms, and take turns.
                for (Schedule schedule : List.of(Schedule.KVPR, chunked.get(split % chunked.size()))) {
                    assertSameBits(
                            logits(
                                    run,
                                    Way.of(schedule),
                                    prompt,
                                    block -> block < recomputed ? CacheForm.HOST_ACT : CacheForm.HOST_KV),
                            resident,
                            schedule + " with activations of the first " + split + " tokens");
                }
            }
            assertPoolsAreEmpty(run);
        }
    }

    @ParameterizedTest
    @FieldSource("GOLDENS")
    void everyMixOfFormsAndEveryCutOfTheWorkGivesTheBitsOfTheResidentRun(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(7);
        for (int blockTokens : List.of(1, 3, 16)) {
            int cellTokens = blockTokens == 3 ? 48 : 16;
            try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), blockTokens, cellTokens)) {
                List<float[]> resident = logits(run, Way.of(Schedule.RESIDENT), prompt, block -> CacheForm.DEVICE_KV);
                for (int round = 0; round < 40; round++) {
                    Way way = new Way(
                            Schedule.values()[random.nextInt(Schedule.values().length)],
                            1 + random.nextInt(100),
                            1 + random.nextInt(6),
                            ModelRun.STAGING_BYTES >> random.nextInt(4),
                            Execution.values()[random.nextInt(Execution.values().length)]);
                    List<CacheForm> forms = IntStream.range(0, prompt.size() + DECODED)
                            .mapToObj(block -> CachePolicy.EXACT
                                    .forms()
                                    .get(random.nextInt(
                                            CachePolicy.EXACT.forms().size())))
                            .toList();
                    assertSameBits(
                            logits(run, way, prompt, forms::get),
                            resident,
                            way + ", blocks of " + blockTokens + ", " + forms);
                }
                assertPoolsAreEmpty(run);
            }
        }
    }

    @ParameterizedTest
    @FieldSource("GOLDENS")
    void aSequenceGetsTheSameBitsAloneAndAmongOthers(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(11);
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), 4, 32)) {
            for (Schedule schedule : Schedule.values()) {
                Way way = Way.of(schedule);
                IntFunction<CacheForm> forms = block -> CachePolicy.EXACT
                        .forms()
                        .get(block % CachePolicy.EXACT.forms().size());
                List<float[]> alone = logits(run, way, prompt, forms);
                List<Member> members = new ArrayList<>();
                members.add(new Member(run.admit(prompt.size() + DECODED, forms), prompt));
                for (int other = 0; other < 8; other++) {
                    List<Integer> otherPrompt =
                            random.ints(1 + 17 * other, 3, 384).boxed().toList();
                    members.add(new Member(run.admit(otherPrompt.size() + DECODED, forms), otherPrompt));
                }
                Member wanted = members.getFirst();
                Collections.shuffle(members, random);
                int mine = members.indexOf(wanted);
                assertSameBits(together(run, way, members, mine), alone, schedule + " among others");
                members.forEach(member -> member.cache.close());
            }
            assertPoolsAreEmpty(run);
        }
    }

    /** Full blocks get copies on the device, and lose them again. */
    @ParameterizedTest
    @FieldSource("GOLDENS")
    void copyingBlocksBetweenStepsGivesTheBitsOfTheResidentRun(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(13);
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), 4, 32)) {
            List<float[]> resident = logits(run, Way.of(Schedule.RESIDENT), prompt, block -> CacheForm.DEVICE_KV);
            int blocks = (prompt.size() + DECODED) / 4;
            for (int round = 0; round < 12; round++) {
                List<CacheForm> forms = IntStream.range(0, blocks)
                        .mapToObj(block -> CachePolicy.EXACT
                                .forms()
                                .get(random.nextInt(CachePolicy.EXACT.forms().size())))
                        .toList();
                Way way = Way.of(Schedule.values()[random.nextInt(Schedule.values().length)]);
                List<float[]> moved = new ArrayList<>();
                try (CacheSequence sequence = run.admit(prompt.size() + DECODED, forms::get)) {
                    for (int from = 0; from < prompt.size() + DECODED; ) {
                        promoteSome(sequence, random);
                        int to = from < prompt.size()
                                ? Math.min(prompt.size(), from + 1 + random.nextInt(24))
                                : from + 1;
                        List<Integer> tokens =
                                from < prompt.size() ? prompt.subList(from, to) : List.of(5 + from - prompt.size());
                        LogitRows rows = to < prompt.size() ? LogitRows.NONE : LogitRows.CHOOSING;
                        moved.addAll(run.step(way, List.of(ModelRun.part(sequence, tokens, rows))));
                        if (random.nextInt(3) == 0) {
                            // Somebody who wants all of the device: copies are given back.
                            run.fillDevice().close();
                        }
                        from = to;
                    }
                }
                assertSameBits(moved, resident, way + ", " + forms);
            }
            assertPoolsAreEmpty(run);
        }
    }

    /**
     * A batch grows, goes on, and shrinks; its longest sequence crosses the edges of blocks, of the block table and of
     * the attention's launches.
     */
    @ParameterizedTest
    @FieldSource("GOLDENS")
    void stepsThatRunAsGraphsGiveTheBitsOfThoseThatAreIssuedStageByStage(String name) {
        for (int blockTokens : List.of(1, 16)) {
            try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), blockTokens, 32)) {
                List<float[]> stageByStage = grownAndShrunk(run, Execution.OBSERVED);
                assertThat(run.graphs()).isZero();
                List<float[]> graphs = grownAndShrunk(run, Execution.OVERLAPPED);
                assertThat(run.graphs()).as("more were captured than are kept").isEqualTo(8);
                assertSameBits(graphs, stageByStage, "blocks of " + blockTokens);
                assertPoolsAreEmpty(run);
            }
        }
    }

    /** Logits and chosen tokens of all decode steps. */
    private static List<float[]> grownAndShrunk(ModelRun run, Execution execution) {
        Random random = new Random(17);
        Way way = new Way(Schedule.RESIDENT, 32, 3, ModelRun.STAGING_BYTES, execution);
        List<float[]> all = new ArrayList<>();
        List<CacheSequence> members = new ArrayList<>();
        for (int size = 1; size <= 10; size++) {
            int tokens = size == 1 ? 235 : 1 + random.nextInt(60);
            CacheSequence joining = run.admit(tokens + 60, block -> CacheForm.DEVICE_KV);
            List<Integer> prompt = random.ints(tokens, 3, 384).boxed().toList();
            run.prefill(way, joining, prompt, 64, LogitRows.NONE);
            members.add(joining);
            for (int step = 0; step < 4; step++) {
                all.addAll(decoded(run, way, members, random));
            }
        }
        while (members.size() > 1) {
            members.remove(members.size() / 2).close();
            all.addAll(decoded(run, way, members, random));
        }
        for (int step = 0; step < 4; step++) {
            all.addAll(decoded(run, way, members, random));
        }
        members.forEach(CacheSequence::close);
        return all;
    }

    /** One step: how many edits a choice has, and what it draws, is different every time. */
    private static List<float[]> decoded(ModelRun run, Way way, List<CacheSequence> members, Random random) {
        List<StepSequence> parts = new ArrayList<>();
        for (CacheSequence member : members) {
            member.open(1);
            List<LogitEdit> edits = IntStream.range(0, random.nextInt(5))
                    .mapToObj(token -> new LogitEdit(token, random.nextFloat(), 1.2f, 0.5f))
                    .toList();
            Optional<TokenMask> mask = random.nextInt(3) > 0 ? Optional.empty() : Optional.of(late(random.nextInt(9)));
            TokenChoice choice = new TokenChoice(edits, mask, 0.8, 20, 0.9, 0, random.nextLong(Long.MAX_VALUE));
            parts.add(
                    new StepSequence(member, List.of(3 + random.nextInt(380)), 0, LogitRows.CHOOSING, List.of(choice)));
        }
        StepResult result = run.result(way, parts);
        List<float[]> all = new ArrayList<>();
        for (int i = 0; i < members.size(); i++) {
            all.add(result.logits(i, 0));
            all.add(new float[] {result.token(i, 0).orElseThrow()});
        }
        return all;
    }

    /** Every ninth token from {@code first} on, known after the device has begun. */
    private static TokenMask late(int first) {
        CompletableFuture<BitSet> tokens = CompletableFuture.supplyAsync(() -> IntStream.range(0, 384)
                .filter(token -> token % 9 == first)
                .collect(BitSet::new, BitSet::set, BitSet::or));
        return bits -> tokens.join().stream()
                .forEach(token -> bits.setAtIndex(
                        ValueLayout.JAVA_LONG,
                        token / Long.SIZE,
                        bits.getAtIndex(ValueLayout.JAVA_LONG, token / Long.SIZE) | 1L << token));
    }

    private static void promoteSome(CacheSequence sequence, Random random) {
        for (int block = 0; block < sequence.closedBlocks(); block++) {
            CacheForm form = sequence.forms(block, block + 1).getFirst();
            if (form.place() == CacheForm.Place.HOST && random.nextInt(4) == 0) {
                sequence.promote(block, 1);
            }
        }
    }

    @ParameterizedTest
    @FieldSource("GOLDENS")
    void thePiecesOfAPromptDoNotMatter(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), 4, 32)) {
            IntFunction<CacheForm> forms = block -> CachePolicy.EXACT
                    .forms()
                    .get(block % CachePolicy.EXACT.forms().size());
            Way way = Way.of(Schedule.CHUNKED);
            List<float[]> whole = prefilled(run, way, prompt, forms, prompt.size());
            for (int pieceTokens : List.of(1, 2, 7, 31, 32, 33, 96)) {
                assertSameBits(prefilled(run, way, prompt, forms, pieceTokens), whole, "in pieces of " + pieceTokens);
            }
        }
    }

    /** Some cuts and mixes for each schedule, and a batch, whose pieces end elsewhere. */
    @ParameterizedTest
    @FieldSource("OTHERS")
    void whateverIsInALayerItHasTheBitsOfTheResidentRun(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(19);
        // The edges of windows, which have 16 tokens, are not those of blocks.
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), 3, 48)) {
            List<float[]> resident = logits(run, Way.of(Schedule.RESIDENT), prompt, block -> CacheForm.DEVICE_KV);
            for (int round = 0; round < 3 * Schedule.values().length; round++) {
                Way way = new Way(
                        Schedule.values()[round % Schedule.values().length],
                        1 + random.nextInt(100),
                        1 + random.nextInt(6),
                        ModelRun.STAGING_BYTES >> random.nextInt(4),
                        Execution.values()[random.nextInt(Execution.values().length)]);
                int first = random.nextInt(CachePolicy.EXACT.forms().size());
                assertSameBits(
                        logits(run, way, prompt, block -> mixed(first + block)),
                        resident,
                        way + ", from form " + first);
            }
            List<Member> members = new ArrayList<>();
            for (int tokens : List.of(40, prompt.size(), 1)) {
                List<Integer> tokenIds = tokens == prompt.size()
                        ? prompt
                        : random.ints(tokens, 3, 384).boxed().toList();
                members.add(new Member(run.admit(tokens + DECODED, SameBitsTest::mixed), tokenIds));
            }
            assertSameBits(together(run, Way.of(Schedule.CHUNKED), members, 1), resident, "among others");
            members.forEach(member -> member.cache.close());
            assertPoolsAreEmpty(run);
        }
    }

    private static CacheForm mixed(int block) {
        return CachePolicy.EXACT.forms().get(block % CachePolicy.EXACT.forms().size());
    }

    private record Member(CacheSequence cache, List<Integer> prompt) {}

    private static List<float[]> prefilled(
            ModelRun run, Way way, List<Integer> prompt, IntFunction<CacheForm> forms, int pieceTokens) {
        try (CacheSequence sequence = run.admit(prompt.size(), forms)) {
            return run.prefill(way, sequence, prompt, pieceTokens, LogitRows.ALL);
        }
    }

    /** The logits after the prompt and after some more fixed tokens. */
    private static List<float[]> logits(ModelRun run, Way way, List<Integer> prompt, IntFunction<CacheForm> forms) {
        try (CacheSequence sequence = run.admit(prompt.size() + DECODED, forms)) {
            List<float[]> all = new ArrayList<>(run.prefill(way, sequence, prompt, 64, LogitRows.CHOOSING));
            for (int i = 0; i < DECODED; i++) {
                all.add(run.decode(way, sequence, 5 + i));
            }
            return all;
        }
    }

    /** The same for member {@code mine} of a batch whose prompts are cached in unequal pieces. */
    private static List<float[]> together(ModelRun run, Way way, List<Member> members, int mine) {
        List<float[]> all = new ArrayList<>();
        int longest = members.get(mine).prompt.size();
        for (int tokens = 0; tokens < longest + DECODED; ) {
            List<StepSequence> parts = new ArrayList<>();
            int mineAt = -1;
            for (int i = 0; i < members.size(); i++) {
                Member member = members.get(i);
                int cached = member.cache.tokens();
                if (cached < member.prompt.size()) {
                    int to = Math.min(member.prompt.size(), cached + 19);
                    LogitRows rows = to == member.prompt.size() ? LogitRows.CHOOSING : LogitRows.NONE;
                    if (i == mine && rows == LogitRows.CHOOSING) {
                        mineAt = logitRows(parts);
                    }
                    parts.add(ModelRun.part(member.cache, member.prompt.subList(cached, to), rows));
                } else if (cached < member.prompt.size() + DECODED) {
                    if (i == mine) {
                        mineAt = logitRows(parts);
                    }
                    parts.add(ModelRun.part(
                            member.cache, List.of(5 + cached - member.prompt.size()), LogitRows.CHOOSING));
                }
            }
            List<float[]> logits = run.step(way, parts);
            if (mineAt >= 0) {
                all.add(logits.get(mineAt));
            }
            tokens = members.get(mine).cache.tokens();
        }
        return all;
    }

    private static int logitRows(List<StepSequence> parts) {
        return parts.stream().mapToInt(StepSequence::logitRows).sum();
    }

    private static void assertSameBits(List<float[]> actual, List<float[]> expected, String what) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < actual.size(); i++) {
            assertThat(actual.get(i)).as(what).containsExactly(expected.get(i));
        }
    }

    static void assertPoolsAreEmpty(ModelRun run) {
        assertThat(run.cache().usage().open().usedBytes()).isZero();
        assertThat(run.cache().usage().device().usedBytes()).isZero();
        assertThat(run.cache().usage().host().usedBytes()).isZero();
    }
}
