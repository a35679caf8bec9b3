package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.model.CacheForm;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** A request that begins with known blocks gets the bits of one that computes them. */
class HitsTest {
    private static final int DECODED = 3;
    private static final int BLOCK_TOKENS = 4;

    @SuppressWarnings("unused")
    private static final List<String> GOLDENS = Stream.concat(
                    Golden.UNIFORM.stream(), Stream.of("gemma3", "gpt-oss", "phi3-longrope"))
            .toList();

    /** The logits after the prompt and some fixed tokens; what the sequence knows of it is not computed again. */
    private static List<float[]> logits(ModelRun run, CacheSequence sequence, List<Integer> prompt, Random random) {
        List<float[]> all = new ArrayList<>();
        while (sequence.tokens() < prompt.size()) {
            int from = sequence.tokens();
            int to = Math.min(prompt.size(), from + 1 + random.nextInt(40));
            LogitRows rows = to < prompt.size() ? LogitRows.NONE : LogitRows.CHOOSING;
            all.addAll(run.step(Way.random(random), List.of(ModelRun.part(sequence, prompt.subList(from, to), rows))));
        }
        for (int i = 0; i < DECODED; i++) {
            all.add(run.decode(Way.random(random), sequence, 5 + i));
        }
        return all;
    }

    private static void assertSameBits(List<float[]> actual, List<float[]> expected, String what) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < actual.size(); i++) {
            assertThat(actual.get(i)).as(what).containsExactly(expected.get(i));
        }
    }

    /**
     * One request computes a beginning of every length; the next one begins with it, while the first still runs or has
     * ended, after somebody wanted all of the device, and after copies were made.
     */
    @ParameterizedTest
    @FieldSource("GOLDENS")
    void aHitOfAnyLengthGivesTheBitsOfAColdRun(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(23);
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), BLOCK_TOKENS, 32)) {
            List<float[]> cold;
            try (CacheSequence sequence = run.admit(prompt.size() + DECODED, block -> CacheForm.DEVICE_KV)) {
                cold = logits(run, sequence, prompt, random);
            }
            for (int length : lengths(prompt.size() + DECODED)) {
                List<Integer> before = new ArrayList<>(prompt);
                before.addAll(List.of(5, 6, 7));
                List<Integer> beginning = before.subList(0, length);
                CacheSequence first = run.admit(beginning, prompt.size() + DECODED, ModelRun.mixedForms(random));
                run.prefill(Way.random(random), first, beginning, 1 + random.nextInt(length), LogitRows.NONE);
                boolean ended = random.nextBoolean();
                if (ended) {
                    first.close();
                }
                if (random.nextBoolean()) {
                    run.fillDevice().close();
                }
                try (CacheSequence second = run.admit(prompt, prompt.size() + DECODED, ModelRun.mixedForms(random))) {
                    int known = Math.min(length, prompt.size() - 1) / BLOCK_TOKENS * BLOCK_TOKENS;
                    assertThat(second.cachedTokens()).isEqualTo(known);
                    for (int block = 0; block < second.closedBlocks(); block++) {
                        if (second.forms(block, block + 1).getFirst().place() == CacheForm.Place.HOST
                                && random.nextInt(4) == 0) {
                            second.promote(block, 1);
                        }
                    }
                    assertSameBits(logits(run, second, prompt, random), cold, "after " + length + " tokens");
                }
                first.close();
                run.cache().forget(any -> true);
                SameBitsTest.assertPoolsAreEmpty(run);
            }
        }
    }

    /** Each place within a block, then one in each of the other blocks, here and there; and the last. */
    private static List<Integer> lengths(int most) {
        return IntStream.rangeClosed(1, most)
                .filter(length -> length <= 2 * BLOCK_TOKENS || length % (BLOCK_TOKENS - 1) == 0 || length == most)
                .boxed()
                .toList();
    }

    /**
     * Where two prompts part is not known before: the second computes what rings do not have, and the third need not.
     */
    @Test
    void aRingIsKeptWherePromptsPart() {
        Random random = new Random(31);
        List<Integer> shared = random.ints(50, 3, 384).boxed().toList();
        try (ModelRun run = new ModelRun(Golden.model("gemma3"), GoldenTest.device(), BLOCK_TOKENS, 32)) {
            List<Integer> known = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                List<Integer> prompt = new ArrayList<>(shared);
                prompt.addAll(random.ints(60, 3, 384).boxed().toList());
                List<float[]> cold;
                try (CacheSequence sequence = run.admit(prompt.size() + DECODED, ModelRun.mixedForms(random))) {
                    cold = logits(run, sequence, prompt, random);
                }
                try (CacheSequence sequence = run.admit(prompt, prompt.size() + DECODED, ModelRun.mixedForms(random))) {
                    known.add(sequence.cachedTokens());
                    assertSameBits(logits(run, sequence, prompt, random), cold, "prompt " + i);
                }
            }
            assertThat(known).containsExactly(0, 0, 48);
        }
    }

    /** Long sequences of some models have other positions, and so another K. */
    @Test
    void longSequencesShareNothingWithShortOnes() {
        List<Integer> prompt = Golden.read("phi3-longrope").longest().inputIds().subList(0, 40);
        try (ModelRun run = new ModelRun(Golden.model("phi3-longrope"), GoldenTest.device(), BLOCK_TOKENS, 32)) {
            List<Integer> cached = new ArrayList<>();
            for (int maxTokens : List.of(48, ModelRun.CONTEXT_TOKENS, ModelRun.CONTEXT_TOKENS, 48)) {
                try (CacheSequence sequence = run.admit(prompt, maxTokens, block -> CacheForm.HOST_KV)) {
                    cached.add(sequence.cachedTokens());
                    logits(run, sequence, prompt, new Random(1));
                }
            }
            int known = (prompt.size() - 1) / BLOCK_TOKENS * BLOCK_TOKENS;
            assertThat(cached).containsExactly(0, 0, known, known);
        }
    }

    /** Several that begin alike run in one batch, and share what the first of them had computed. */
    @ParameterizedTest
    @FieldSource("GOLDENS")
    void thoseThatShareBlocksInOneBatchGetTheBitsOfColdRuns(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(29);
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), BLOCK_TOKENS, 32)) {
            List<List<Integer>> prompts = new ArrayList<>();
            List<List<float[]>> cold = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                List<Integer> other = new ArrayList<>(prompt.subList(0, prompt.size() / (1 + i % 3)));
                other.addAll(random.ints(1 + random.nextInt(9), 3, 384).boxed().toList());
                prompts.add(other);
                try (CacheSequence alone = run.admit(other.size() + DECODED, ModelRun.mixedForms(random))) {
                    cold.add(logits(run, alone, other, random));
                }
            }
            try (CacheSequence before = run.admit(prompt, prompt.size(), ModelRun.mixedForms(random))) {
                run.prefill(Way.random(random), before, prompt, 64, LogitRows.NONE);
            }
            List<CacheSequence> members = prompts.stream()
                    .map(one -> run.admit(one, one.size() + DECODED, ModelRun.mixedForms(random)))
                    .toList();
            for (int i = 0; i < members.size(); i++) {
                // In layers with a window, what comes before the end of the first is known to no ring.
                boolean isKept = run.cache().geometry().windowLayerCount() == 0 || i % 3 == 0;
                assertThat(members.get(i).cachedTokens())
                        .isEqualTo(isKept ? prompt.size() / (1 + i % 3) / BLOCK_TOKENS * BLOCK_TOKENS : 0);
            }
            List<List<float[]>> actual = new ArrayList<>();
            members.forEach(member -> actual.add(new ArrayList<>()));
            while (actual.stream().anyMatch(rows -> rows.size() <= DECODED)) {
                List<StepSequence> parts = new ArrayList<>();
                List<Integer> withLogits = new ArrayList<>();
                for (int i = 0; i < members.size(); i++) {
                    int cached = members.get(i).tokens();
                    List<Integer> wanted = prompts.get(i);
                    if (cached < wanted.size()) {
                        int to = Math.min(wanted.size(), cached + 1 + random.nextInt(7));
                        LogitRows rows = to == wanted.size() ? LogitRows.CHOOSING : LogitRows.NONE;
                        parts.add(ModelRun.part(members.get(i), wanted.subList(cached, to), rows));
                        if (rows == LogitRows.CHOOSING) {
                            withLogits.add(i);
                        }
                    } else if (actual.get(i).size() <= DECODED) {
                        parts.add(
                                ModelRun.part(members.get(i), List.of(5 + cached - wanted.size()), LogitRows.CHOOSING));
                        withLogits.add(i);
                    }
                }
                List<float[]> rows = run.step(Way.random(random), parts);
                for (int i = 0; i < withLogits.size(); i++) {
                    actual.get(withLogits.get(i)).add(rows.get(i));
                }
            }
            for (int i = 0; i < members.size(); i++) {
                assertSameBits(actual.get(i), cold.get(i), "request " + i);
                members.get(i).close();
            }
            run.cache().forget(any -> true);
            SameBitsTest.assertPoolsAreEmpty(run);
        }
    }
}
