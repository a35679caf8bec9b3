package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.BlockHome;
import io.weft.cache.CacheSequence;
import io.weft.cache.WindowRing;
import io.weft.device.DeviceBuffer;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.pipeline.TokenChoice.LogitEdit;
import io.weft.plan.step.Schedule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Texts are generated token by token first. Then steps are fed drafts that are right up to a chosen token: tokens,
 * logits and what is cached must be the same, bit for bit.
 */
class DraftedStepsTest {
    private static final int VOCABULARY = 384;
    private static final int DRAFTS_MOST = 8;
    private static final int SEQUENCES = 5;

    @SuppressWarnings("unused")
    private static final List<String> GOLDENS = Stream.concat(
                    Golden.UNIFORM.stream(), Stream.of("mistral-window", "gemma3", "gpt-oss", "phi3-longrope"))
            .toList();

    /** Each model with an exact cache, and some with lossy ones. */
    @SuppressWarnings("unused")
    private static Stream<Arguments> cases() {
        List<CachePolicy> lossy = List.of(CachePolicy.FP8, CachePolicy.INT8, CachePolicy.INT4);
        return Stream.concat(
                GOLDENS.stream().map(name -> Arguments.of(name, CachePolicy.EXACT)),
                IntStream.range(0, GOLDENS.size())
                        .mapToObj(i -> Arguments.of(GOLDENS.get(i), lossy.get(i % lossy.size()))));
    }

    /** So narrow that rings are far shorter than texts. */
    private static final StepLimits NARROW = new StepLimits(1, 12, 12, DRAFTS_MOST, ModelRun.CONTEXT_TOKENS);

    private static final StepLimits WIDE =
            new StepLimits(SEQUENCES, 64, 64, SEQUENCES * DRAFTS_MOST, ModelRun.CONTEXT_TOKENS);

    /**
     * How the tokens of a text are chosen, which depends on all tokens before.
     *
     * @param seed decides on what is random, and on what is not
     */
    private record Author(long seed) {
        TokenChoice choice(List<Integer> before) {
            if (seed % 3 == 0) {
                return TokenChoice.likeliest();
            }
            Random random = new Random(seed + 31L * before.size());
            List<LogitEdit> edits =
                    before.subList(Math.max(0, before.size() - random.nextInt(12)), before.size()).stream()
                            .distinct()
                            .map(token -> new LogitEdit(token, 0.1f, 1.3f, 0.5f))
                            .toList();
            Optional<TokenMask> mask = random.nextInt(3) > 0 ? Optional.empty() : Optional.of(mask(before.getLast()));
            return new TokenChoice(edits, mask, 0.9, 40, 0.95, 0, random.nextLong(Long.MAX_VALUE));
        }

        /** The tokens of a residue class that depends on the token before. */
        private static TokenMask mask(int last) {
            BitSet tokens = IntStream.range(0, VOCABULARY)
                    .filter(token -> token % 7 != last % 7)
                    .collect(BitSet::new, BitSet::set, BitSet::or);
            return bits -> {
                long[] words = tokens.toLongArray();
                for (int i = 0; i < words.length; i++) {
                    bits.setAtIndex(ValueLayout.JAVA_LONG, i, words[i]);
                }
            };
        }
    }

    /**
     * What plain decoding gives.
     *
     * @param tokens of the prompt and the answer
     * @param logits of the rows that choose, by position
     * @param cached what is cached in the end: all tokens but the last
     * @param hits blocks with which others begin after it, see {@link #findings}
     */
    private record Text(
            Author author,
            List<Integer> tokens,
            TreeMap<Integer, float[]> logits,
            List<byte[]> cached,
            List<Integer> hits) {
        static Text plain(ModelRun run, Author author, List<Integer> prompt, int tokens, IntFunction<CacheForm> forms) {
            List<Integer> all = new ArrayList<>(prompt);
            TreeMap<Integer, float[]> logits = new TreeMap<>();
            List<byte[]> cached;
            try (CacheSequence sequence = run.admit(prompt, tokens, forms)) {
                prefill(run, sequence, prompt);
                while (all.size() < tokens) {
                    int position = sequence.tokens();
                    assertThat(sequence.open(1)).isTrue();
                    StepSequence part = new StepSequence(
                            sequence, List.of(all.getLast()), 0, LogitRows.CHOOSING, List.of(author.choice(all)));
                    StepResult result = run.result(Way.of(Schedule.CHUNKED), List.of(part));
                    all.add(result.token(0, 0).orElseThrow());
                    logits.put(position, result.logits(0, 0));
                }
                cached = snapshot(sequence);
            }
            Text text = new Text(author, all, logits, cached, findings(run, all));
            run.cache().forget(any -> true);
            SameBitsTest.assertPoolsAreEmpty(run);
            return text;
        }
    }

    /** Caches all tokens of a prompt but the last, as far as they are not cached. */
    private static void prefill(ModelRun run, CacheSequence sequence, List<Integer> prompt) {
        while (sequence.tokens() < prompt.size() - 1) {
            int from = sequence.tokens();
            int to = Math.min(prompt.size() - 1, from + 12);
            run.step(
                    Way.of(Schedule.CHUNKED),
                    List.of(ModelRun.part(sequence, prompt.subList(from, to), LogitRows.NONE)));
        }
    }

    /** The tokens that are known of some beginnings of a text, and of some that go on differently. */
    private static List<Integer> findings(ModelRun run, List<Integer> tokens) {
        List<Integer> hits = new ArrayList<>();
        for (int length = 1; length < tokens.size(); length += 1 + length / 4) {
            for (int other : List.of(0, 1, 40)) {
                List<Integer> prompt = new ArrayList<>(tokens.subList(0, length));
                prompt.addAll(Collections.nCopies(other, 1));
                try (CacheSequence sequence =
                        run.admit(prompt, ModelRun.CONTEXT_TOKENS, block -> CacheForm.DEVICE_KV)) {
                    hits.add(sequence.cachedTokens());
                }
            }
        }
        try (CacheSequence sequence = run.admit(tokens, ModelRun.CONTEXT_TOKENS, block -> CacheForm.DEVICE_KV)) {
            hits.add(sequence.cachedTokens());
        }
        return hits;
    }

    /** What a sequence has of its tokens: full blocks, tokens in open blocks, and what rows still see in rings. */
    private static List<byte[]> snapshot(CacheSequence sequence) {
        CacheGeometry geometry = sequence.ring().geometry();
        List<byte[]> all = new ArrayList<>();
        for (int block = 0; block < sequence.closedBlocks(); block++) {
            switch (sequence.home(block)) {
                case BlockHome.OnDevice onDevice -> all.add(bytes(onDevice.memory()));
                case BlockHome.OnHost onHost -> {
                    for (int place = 0; place < geometry.cachedLayerCount(); place++) {
                        all.add(onHost.layer(place, 1).segment().toArray(ValueLayout.JAVA_BYTE));
                    }
                }
            }
        }
        for (int token = 0; token < sequence.openTokens(); token++) {
            DeviceBuffer block = sequence.openBlocks().get(token / geometry.blockTokens());
            long slot = token % geometry.blockTokens();
            for (int place = 0; place < geometry.cachedLayerCount(); place++) {
                long layer = place * geometry.openLayerBytes();
                long bytes = geometry.tokenLayerBytes(Content.KEY_VALUE);
                all.add(bytes(block.slice(layer + slot * bytes, bytes)));
                long sourceBytes = (long) geometry.openSourceWidth() * geometry.elementBytes();
                all.add(bytes(block.slice(
                        layer + geometry.openOffset(Encoding.ACTIVATION) + slot * sourceBytes, sourceBytes)));
            }
        }
        WindowRing ring = sequence.ring();
        for (int token = Math.max(0, sequence.tokens() + 1 - geometry.window());
                token < sequence.tokens() && ring.blocks() > 0;
                token++) {
            for (int place = 0; place < geometry.windowLayerCount(); place++) {
                long at = ring.tokenAddress(token) + place * geometry.windowBlockLayerBytes();
                all.add(bytes(at, geometry.windowTokenLayerBytes()));
            }
        }
        return all;
    }

    private static byte[] bytes(DeviceBuffer buffer) {
        return bytes(buffer.address(), buffer.bytes());
    }

    private static byte[] bytes(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes).toArray(ValueLayout.JAVA_BYTE);
    }

    /** A sequence that is to say a text, and what it has said of it. */
    private static final class Speaker {
        private final Text text;
        private final CacheSequence cache;

        Speaker(Text text, CacheSequence cache) {
            this.text = text;
            this.cache = cache;
        }

        boolean isDone() {
            return cache.tokens() == text.tokens.size() - 1;
        }

        /** The last token runs without drafts, so that all blocks are full that can be. */
        int draftedMost() {
            return Math.max(0, Math.min(DRAFTS_MOST, text.tokens.size() - 3 - cache.tokens()));
        }

        /** @param right of the drafts */
        StepSequence next(int drafted, int right) {
            int position = cache.tokens();
            assertThat(cache.open(1 + drafted, drafted)).isTrue();
            List<Integer> tokens = new ArrayList<>(text.tokens.subList(0, position + 1));
            List<TokenChoice> choices = new ArrayList<>();
            choices.add(text.author.choice(tokens));
            for (int i = 0; i < drafted; i++) {
                int token = text.tokens.get(position + 1 + i);
                tokens.add(i < right ? token : (token + 1 + i) % VOCABULARY);
                choices.add(text.author.choice(tokens));
            }
            return new StepSequence(
                    cache, tokens.subList(position, position + 1 + drafted), drafted, LogitRows.CHOOSING, choices);
        }

        /** Checks the rows whose tokens are right; returns how many of the tokens of a step are accepted. */
        int accept(StepSequence part, StepResult result, int sequence) {
            int position = cache.tokens();
            int row = 0;
            while (true) {
                String what = "row " + row + " at " + position;
                int chosen = result.token(sequence, row).orElseThrow();
                assertThat(result.logits(sequence, row)).as(what).containsExactly(text.logits.get(position + row));
                assertThat(chosen).as(what).isEqualTo(text.tokens.get(position + row + 1));
                row++;
                if (row == part.newTokens().size() || part.newTokens().get(row) != chosen) {
                    return row;
                }
            }
        }

        void assertCachedAsByPlainDecoding() {
            List<byte[]> cached = snapshot(cache);
            assertThat(cached).hasSameSizeAs(text.cached);
            for (int i = 0; i < cached.size(); i++) {
                assertThat(cached.get(i)).as("part %d of %d", i, cached.size()).containsExactly(text.cached.get(i));
            }
        }
    }

    /** Every number of drafts, of which every number is right. */
    private static List<int[]> patterns(Random random) {
        List<int[]> patterns = new ArrayList<>();
        for (int drafted = 0; drafted <= DRAFTS_MOST; drafted++) {
            for (int right = 0; right <= drafted; right++) {
                patterns.add(new int[] {drafted, right});
            }
        }
        Collections.shuffle(patterns, random);
        return patterns;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void everyPatternOfAcceptanceGivesWhatPlainDecodingGives(String name, CachePolicy policy) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(31);
        int blockTokens = List.of(1, 4, 16).get(GOLDENS.indexOf(name) % 3);
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), blockTokens, 32, NARROW, policy)) {
            IntFunction<CacheForm> forms = ModelRun.mixedForms(random);
            List<int[]> patterns = patterns(random);
            int said = patterns.stream().mapToInt(pattern -> 1 + pattern[1]).sum();
            List<Integer> begin = prompt.subList(0, Math.min(prompt.size(), 60));
            Text text = Text.plain(
                    run, new Author(blockTokens + name.length()), begin, begin.size() + said + DRAFTS_MOST + 3, forms);
            Way way = Way.random(random);
            Speaker speaker = new Speaker(text, run.admit(begin, text.tokens().size(), forms));
            prefill(run, speaker.cache, begin);
            while (!speaker.isDone()) {
                // Transfers that a step begins are of use if the next one is planned in the same way.
                way = random.nextInt(4) == 0 ? Way.random(random) : way;
                int[] pattern = patterns.isEmpty() ? new int[2] : patterns.removeLast();
                assertThat(pattern[0]).isLessThanOrEqualTo(speaker.draftedMost());
                StepSequence part = speaker.next(pattern[0], pattern[1]);
                StepResult result = run.uncommitted(way, List.of(part));
                int accepted = speaker.accept(part, result, 0);
                assertThat(accepted).isEqualTo(1 + pattern[1]);
                speaker.cache.commit(part.newTokens().subList(0, accepted));
            }
            speaker.assertCachedAsByPlainDecoding();
            speaker.cache.close();
            assertThat(findings(run, text.tokens())).isEqualTo(text.hits());
            run.cache().forget(any -> true);
            SameBitsTest.assertPoolsAreEmpty(run);
        }
    }

    /** Texts that begin alike, in one batch; some of them end early and begin again with what is known of them. */
    @ParameterizedTest
    @MethodSource("cases")
    void inBatchesWithHitsAndCancelsTheBitsAreThoseOfPlainDecodingAlone(String name, CachePolicy policy) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        Random random = new Random(37);
        try (ModelRun run = new ModelRun(Golden.model(name), GoldenTest.device(), 4, 32, WIDE, policy)) {
            IntFunction<CacheForm> forms = ModelRun.mixedForms(random);
            List<Text> texts = new ArrayList<>();
            for (int i = 0; i < SEQUENCES; i++) {
                List<Integer> begin = new ArrayList<>(prompt.subList(0, prompt.size() / (1 + i % 3)));
                begin.addAll(random.ints(1 + random.nextInt(9), 3, VOCABULARY)
                        .boxed()
                        .toList());
                texts.add(Text.plain(run, new Author(name.length() + i), begin, begin.size() + 24 + 7 * i, forms));
            }
            Speaker[] speakers = new Speaker[SEQUENCES];
            int cancels = 0;
            int done = 0;
            for (int i = 0; i < SEQUENCES; i++) {
                speakers[i] = begin(run, texts.get(i), forms);
            }
            while (done < 2 * SEQUENCES) {
                List<StepSequence> parts = new ArrayList<>();
                for (int i = 0; i < SEQUENCES; i++) {
                    int drafted = random.nextInt(3) == 0 ? 0 : random.nextInt(speakers[i].draftedMost() + 1);
                    parts.add(speakers[i].next(drafted, random.nextInt(drafted + 1)));
                }
                StepResult result = run.uncommitted(Way.random(random), parts);
                List<Integer> accepted = new ArrayList<>();
                for (int i = 0; i < SEQUENCES; i++) {
                    accepted.add(speakers[i].accept(parts.get(i), result, i));
                }
                for (int i = 0; i < SEQUENCES; i++) {
                    boolean isCancelled = random.nextInt(30) == 0;
                    if (!isCancelled) {
                        speakers[i].cache.commit(parts.get(i).newTokens().subList(0, accepted.get(i)));
                    }
                    if (isCancelled || speakers[i].isDone()) {
                        if (!isCancelled) {
                            speakers[i].assertCachedAsByPlainDecoding();
                            done++;
                        }
                        cancels += isCancelled ? 1 : 0;
                        speakers[i].cache.close();
                        speakers[i] = begin(run, texts.get(i), forms);
                    }
                }
            }
            assertThat(cancels).isPositive();
            for (Speaker speaker : speakers) {
                speaker.cache.close();
            }
            run.cache().forget(any -> true);
            SameBitsTest.assertPoolsAreEmpty(run);
        }
    }

    /** A prompt may be known to the end of its answer: then it begins where plain decoding was. */
    private static Speaker begin(ModelRun run, Text text, IntFunction<CacheForm> forms) {
        List<Integer> prompt = text.tokens().subList(0, text.logits().firstKey() + 1);
        CacheSequence sequence = run.admit(prompt, text.tokens().size(), forms);
        prefill(run, sequence, prompt);
        return new Speaker(text, sequence);
    }
}
