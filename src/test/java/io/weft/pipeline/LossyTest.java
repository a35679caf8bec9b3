package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.BlockHome;
import io.weft.cache.CacheSequence;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Under a lossy policy the text is another one, but still the same for every plan, piece, batch, place and hit: bit for
 * bit.
 */
class LossyTest {
    private static final List<String> GOLDENS = List.of("opt", "llama3-gqa", "gemma3", "gpt-oss");
    private static final List<CachePolicy> LOSSY = List.of(CachePolicy.FP8, CachePolicy.INT8, CachePolicy.INT4);
    private static final int VOCABULARY = 384;
    private static final int PROMPT = 61;
    private static final int DECODED = 11;
    private static final StepLimits LIMITS = new StepLimits(4, 80, 80, 0, ModelRun.CONTEXT_TOKENS);

    @SuppressWarnings("unused")
    private static java.util.stream.Stream<Arguments> cases() {
        java.util.stream.Stream.Builder<Arguments> cases = java.util.stream.Stream.builder();
        for (CachePolicy policy : LOSSY) {
            GOLDENS.forEach(name -> cases.add(Arguments.of(name, policy)));
        }
        return cases.build();
    }

    private static ModelRun run(String name, CachePolicy policy, int blockTokens) {
        return new ModelRun(Golden.model(name), GoldenTest.device(), blockTokens, blockTokens, LIMITS, policy);
    }

    /**
     * What a sequence gets.
     *
     * @param logits of the rows that choose: the prompt's last, and those of all tokens after it
     * @param stored the full blocks
     */
    private record Outcome(List<float[]> logits, List<byte[]> stored) {}

    private static List<Integer> tokens(Random random, int count) {
        return random.ints(count, 3, VOCABULARY).boxed().toList();
    }

    private static byte[] stored(CacheSequence sequence, CacheGeometry geometry, int block) {
        byte[] all = new byte
                [Math.toIntExact(geometry.blockBytes(geometry.encodings().getFirst()))];
        int layers = geometry.cachedLayerCount();
        int bytes = all.length / layers;
        for (int place = 0; place < layers; place++) {
            byte[] layer = switch (sequence.home(block)) {
                case BlockHome.OnDevice home ->
                    MemorySegment.ofAddress(home.memory().address() + (long) place * bytes)
                            .reinterpret(bytes)
                            .toArray(ValueLayout.JAVA_BYTE);
                case BlockHome.OnHost home -> home.layer(place, 1).segment().toArray(ValueLayout.JAVA_BYTE);
            };
            System.arraycopy(layer, 0, all, place * bytes, bytes);
        }
        return all;
    }

    private static Outcome outcome(ModelRun run, CacheSequence sequence, List<float[]> logits) {
        List<byte[]> stored = new ArrayList<>();
        for (int block = 0; block < sequence.closedBlocks(); block++) {
            assertThat(run.cache().geometry().encodings())
                    .contains(sequence.home(block).form().encoding());
            stored.add(stored(sequence, run.cache().geometry(), block));
        }
        return new Outcome(logits, stored);
    }

    /** All in one step, with everything on the device; then token by token. */
    private static Outcome plain(ModelRun run, List<Integer> tokens) {
        try (CacheSequence sequence = run.admit(tokens.size(), block -> CacheForm.DEVICE_KV)) {
            Way way = Way.of(Schedule.RESIDENT);
            List<float[]> logits =
                    new ArrayList<>(run.prefill(way, sequence, tokens.subList(0, PROMPT), PROMPT, LogitRows.CHOOSING));
            for (int token : tokens.subList(PROMPT, tokens.size())) {
                logits.add(run.decode(way, sequence, token));
            }
            return outcome(run, sequence, logits);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void everyPlanPieceBatchPlaceAndHitGivesTheSameBits(String name, CachePolicy policy) {
        Random random = new Random(name.hashCode() + policy.ordinal());
        for (int blockTokens : List.of(4, 16)) {
            try (ModelRun run = run(name, policy, blockTokens)) {
                List<Integer> text = tokens(random, PROMPT + DECODED);
                Outcome plain = plain(run, text);
                assertThat(plain.stored()).hasSize((PROMPT + DECODED) / blockTokens);
                for (int round = 0; round < 5; round++) {
                    // Some rounds begin with the blocks that the ones before have left.
                    if (round % 2 == 0) {
                        run.cache().forget(any -> true);
                    }
                    assertThat(amongOthers(run, text, random))
                            .as("round %d, blocks of %d", round, blockTokens)
                            .usingRecursiveComparison()
                            .isEqualTo(plain);
                }
                run.cache().forget(any -> true);
                SameBitsTest.assertPoolsAreEmpty(run);
            }
        }
    }

    /** In pieces of any size, with two others in the batch, and with promotions. */
    private static Outcome amongOthers(ModelRun run, List<Integer> text, Random random) {
        CacheSequence sequence = run.admit(text.subList(0, PROMPT), text.size(), ModelRun.mixedForms(random));
        List<CacheSequence> others = List.of(
                run.admit(ModelRun.CONTEXT_TOKENS, ModelRun.mixedForms(random)),
                run.admit(ModelRun.CONTEXT_TOKENS, ModelRun.mixedForms(random)));
        List<float[]> logits = new ArrayList<>();
        while (sequence.tokens() < text.size()) {
            int from = sequence.tokens();
            int to = from < PROMPT ? Math.min(PROMPT, from + 1 + random.nextInt(30)) : from + 1;
            List<StepSequence> parts = new ArrayList<>();
            int mine = random.nextInt(3);
            for (CacheSequence other : others) {
                if (random.nextBoolean() && other.tokens() < 250) {
                    parts.add(ModelRun.part(other, tokens(random, 1 + random.nextInt(20)), LogitRows.NONE));
                }
            }
            mine = Math.min(mine, parts.size());
            LogitRows wanted = to >= PROMPT ? LogitRows.CHOOSING : LogitRows.NONE;
            int last = sequence.closedBlocks();
            if (last > 0 && sequence.place(last - 1) instanceof BlockHome.OnHost) {
                sequence.promote(last - 1, 1);
            }
            parts.add(mine, ModelRun.part(sequence, text.subList(from, to), wanted));
            StepResult result = run.result(Way.random(random), parts);
            if (to >= PROMPT) {
                logits.add(result.logits(mine, 0));
            }
        }
        Outcome outcome = outcome(run, sequence, logits);
        sequence.close();
        others.forEach(CacheSequence::close);
        return outcome;
    }

    /** K and V of the first layer depend on tokens and positions alone, so the exact ones are known. */
    @ParameterizedTest
    @MethodSource("cases")
    void blocksAreStoredInTheBytesOfTheirCodeAndDecodedWithinItsError(String name, CachePolicy policy) {
        List<Integer> text = tokens(new Random(3), PROMPT + DECODED);
        int blockTokens = 16;
        Encoding encoding = policy.encodings().getFirst();
        try (ModelRun exactRun = run(name, CachePolicy.EXACT, blockTokens);
                ModelRun lossyRun = run(name, policy, blockTokens);
                Device device = GoldenTest.device()) {
            CacheGeometry geometry = lossyRun.cache().geometry();
            long exactBytes = geometry.blockBytes(Content.KEY_VALUE);
            assertThat(geometry.blockBytes(encoding)).isLessThan(exactBytes * 3 / 4);
            Outcome exact = plain(exactRun, text);
            Outcome lossy = plain(lossyRun, text);
            assertThat(lossy.logits()).usingRecursiveComparison().isNotEqualTo(exact.logits());
            if (geometry.cachedLayers().getFirst() > 0) {
                return;
            }
            for (int block = 0; block < lossy.stored().size(); block++) {
                float[] computed = floats(exact.stored().get(block), geometry.blockLayerBytes(Content.KEY_VALUE));
                float[] decoded =
                        decoded(device, geometry, encoding, lossy.stored().get(block));
                assertWithin(policy, decoded, computed);
            }
        }
    }

    private static float[] floats(byte[] bytes, long count) {
        return MemorySegment.ofArray(bytes).asSlice(0, count).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    }

    private static float[] decoded(Device device, CacheGeometry geometry, Encoding encoding, byte[] stored) {
        long codeBytes = geometry.blockLayerBytes(encoding);
        BlockValues values = geometry.blockValues(Content.KEY_VALUE);
        long valueBytes = geometry.blockLayerBytes(Content.KEY_VALUE);
        HostBuffer in = device.allocateHost("codes", codeBytes);
        HostBuffer out = device.allocateHost("values", valueBytes);
        DeviceBuffer codes = device.allocate("codes", codeBytes);
        DeviceBuffer decoded = device.allocate("values", valueBytes);
        DeviceBuffer offsets = device.allocate("offsets", Long.BYTES);
        HostBuffer zero = device.allocateHost("offsets", Long.BYTES);
        zero.segment().fill((byte) 0);
        in.segment().copyFrom(MemorySegment.ofArray(stored).asSlice(0, codeBytes));
        Stream stream = device.stream("decode");
        stream.copyToDevice(in, codes);
        stream.copyToDevice(zero, offsets);
        device.kernels()
                .decodeBlocks(
                        stream,
                        encoding.code().orElseThrow(),
                        values,
                        new BlockPlaces(codes, offsets),
                        new BlockPlaces(decoded, offsets),
                        1);
        stream.copyToHost(decoded, out);
        Event end = device.event(Event.Timing.UNTIMED);
        stream.record(end);
        CompletableFuture<Void> reached = new CompletableFuture<>();
        end.onReached(error -> reached.complete(null));
        reached.join();
        return out.segment().toArray(ValueLayout.JAVA_FLOAT);
    }

    private static void assertWithin(CachePolicy policy, float[] decoded, float[] computed) {
        assertThat(decoded).hasSameSizeAs(computed);
        float largest = 0;
        for (float value : computed) {
            largest = Math.max(largest, Math.abs(value));
        }
        // Half a step of the code, for the largest value of the block.
        float bound = largest
                * switch (policy) {
                    case FP8 -> 1f / 16;
                    case INT8 -> 1f / 254;
                    case INT4 -> 2f / 30;
                    case EXACT -> 0;
                }
                * 1.01f;
        int different = 0;
        for (int i = 0; i < computed.length; i++) {
            assertThat(Math.abs(decoded[i] - computed[i])).isLessThanOrEqualTo(bound);
            different += decoded[i] == computed[i] ? 0 : 1;
        }
        assertThat(different).isGreaterThan(computed.length / 2);
    }
}
