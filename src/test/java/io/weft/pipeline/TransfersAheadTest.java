package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.device.Device;
import io.weft.device.Stream;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheForm;
import io.weft.model.CachePolicy;
import io.weft.pipeline.ModelRun.Execution;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a step begins for the next one: it is brought once if the next one wants it, and does no harm if not. */
class TransfersAheadTest {
    /** Of the model {@code llama-mha}. */
    private static final int LAYERS = 3;

    private static final int SLOTS = 3;
    private static final Way WAY = new Way(Schedule.CHUNKED, 32, SLOTS, ModelRun.STAGING_BYTES, Execution.OVERLAPPED);

    private int copiesToDevice;

    /** A CPU device whose copies over the link are counted. */
    private Device countingDevice() {
        Device device = GoldenTest.device();
        return proxy(Device.class, device, (method, result) -> {
            if (result instanceof Stream stream && stream.name().equals("link-in")) {
                return proxy(Stream.class, stream, (called, nothing) -> {
                    copiesToDevice += called.getName().equals("copyToDevice") ? 1 : 0;
                    return nothing;
                });
            }
            return result;
        });
    }

    private interface Returned {
        Object change(Method method, Object result);
    }

    private static <T> T proxy(Class<T> type, T target, Returned returned) {
        InvocationHandler handler = (proxy, method, arguments) -> {
            try {
                return returned.change(method, method.invoke(target, arguments));
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        };
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    private static ModelRun run(Device device) {
        return new ModelRun(Golden.model("llama-mha"), device, 16, 32);
    }

    /** A sequence with {@code tokens} cached tokens. */
    private static CacheSequence cached(ModelRun run, int tokens, CacheForm form) {
        return cached(run, Collections.nCopies(tokens, 7), form);
    }

    private static CacheSequence cached(ModelRun run, List<Integer> prompt, CacheForm form) {
        CacheSequence sequence = run.admit(prompt.size() + 64, block -> form);
        run.prefill(Way.of(Schedule.CHUNKED), sequence, prompt, prompt.size(), LogitRows.NONE);
        return sequence;
    }

    private static List<float[]> decode(ModelRun run, Way way, List<CacheSequence> sequences) {
        return run.step(
                way,
                sequences.stream()
                        .map(sequence -> ModelRun.part(sequence, List.of(9), LogitRows.CHOOSING))
                        .toList());
    }

    @ParameterizedTest
    @ValueSource(ints = {32, 64, 96, 128})
    void stepsOverTheSameBlocksBringEachOnceAndOneRoundOfSlotsIsLeft(int tokens) {
        try (ModelRun run = run(countingDevice())) {
            List<CacheSequence> batch = List.of(cached(run, tokens, CacheForm.HOST_KV));
            copiesToDevice = 0;
            int steps = 10;
            for (int i = 0; i < steps; i++) {
                decode(run, WAY, batch);
            }
            assertThat(copiesToDevice).isEqualTo(steps * LAYERS * tokens / 32 + SLOTS);
        }
    }

    /** Whatever is accepted: the full blocks stay the same, even where accepted tokens go past the next block's end. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3})
    void stepsWithDraftsBeginTheTransfersOfTheNext(int accepted) {
        int tokens = 96;
        try (ModelRun run = run(countingDevice())) {
            CacheSequence sequence = cached(run, tokens, CacheForm.HOST_KV);
            copiesToDevice = 0;
            int steps = 0;
            while (sequence.openTokens() < 15) {
                run.drafted(WAY, sequence, Collections.nCopies(4, 9), 3, accepted);
                steps++;
            }
            assertThat(sequence.closedBlocks()).isEqualTo(tokens / 16);
            assertThat(copiesToDevice).isEqualTo(steps * LAYERS * tokens / 32 + SLOTS);
            // The block is filled now, if it was not before.
            decode(run, WAY, List.of(sequence));
            assertThat(sequence.closedBlocks()).isEqualTo(tokens / 16 + 1);
            assertThat(copiesToDevice).isEqualTo((steps + 1) * LAYERS * tokens / 32);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Execution.class,
            names = {"OVERLAPPED", "OBSERVED"})
    void nothingIsBegunBehindAStepThatFillsABlock(Execution execution) {
        try (ModelRun run = run(countingDevice())) {
            Way way = new Way(Schedule.CHUNKED, 32, SLOTS, ModelRun.STAGING_BYTES, execution);
            CacheSequence sequence = cached(run, 64 + 15, CacheForm.HOST_KV);
            copiesToDevice = 0;
            decode(run, way, List.of(sequence));
            assertThat(copiesToDevice).isEqualTo(LAYERS * 2);
            assertThat(sequence.openTokens()).isZero();
            decode(run, way, List.of(sequence));
            assertThat(copiesToDevice).isEqualTo(LAYERS * 2 + LAYERS * 3 + SLOTS);
        }
    }

    /** Each step may be for other sequences, in other chunks and slots than the one before. */
    @Test
    void whatWasBegunInVainDoesNotChangeABit() {
        Random random = new Random(5);
        try (ModelRun run = run(GoldenTest.device());
                ModelRun serial = run(GoldenTest.device())) {
            List<CacheSequence> sequences = new ArrayList<>();
            List<CacheSequence> twins = new ArrayList<>();
            for (CacheForm form : List.of(
                    CacheForm.HOST_KV,
                    CacheForm.HOST_ACT,
                    CacheForm.DEVICE_ACT,
                    CacheForm.DEVICE_KV,
                    CacheForm.HOST_ACT)) {
                int tokens = 20 + random.nextInt(100);
                sequences.add(cached(run, tokens, form));
                twins.add(cached(serial, tokens, form));
            }
            List<Integer> batch = List.of(0);
            Way way = WAY;
            for (int step = 0; step < 60; step++) {
                if (random.nextInt(3) == 0) {
                    batch = random.ints(0, sequences.size())
                            .distinct()
                            .limit(1 + random.nextInt(3))
                            .boxed()
                            .toList();
                }
                if (random.nextInt(5) == 0) {
                    way = new Way(
                            Schedule.CHUNKED,
                            16 + random.nextInt(80),
                            1 + random.nextInt(5),
                            ModelRun.STAGING_BYTES,
                            Execution.OVERLAPPED);
                }
                List<float[]> actual =
                        decode(run, way, batch.stream().map(sequences::get).toList());
                // Stage by stage, with one slot.
                List<float[]> expected = decode(
                        serial,
                        new Way(Schedule.KVPR, 32, 1, ModelRun.STAGING_BYTES, Execution.SERIAL),
                        batch.stream().map(twins::get).toList());
                assertThat(actual).hasSameSizeAs(expected);
                for (int i = 0; i < actual.size(); i++) {
                    assertThat(actual.get(i)).as("step %d", step).containsExactly(expected.get(i));
                }
            }
        }
    }

    private static List<CacheForm> onHost() {
        return CachePolicy.EXACT.forms().stream()
                .filter(form -> form.place() == CacheForm.Place.HOST)
                .toList();
    }

    /** Plans of sequences of one length are alike; only the sequences tell that the blocks are others. */
    @ParameterizedTest
    @MethodSource("onHost")
    void blocksBroughtForOtherSequencesAreNotUsed(CacheForm form) {
        try (ModelRun run = run(GoldenTest.device());
                ModelRun firstAlone = run(GoldenTest.device());
                ModelRun secondAlone = run(GoldenTest.device())) {
            List<List<Integer>> prompts = List.of(Collections.nCopies(96, 7), Collections.nCopies(96, 11));
            List<CacheSequence> sequences =
                    prompts.stream().map(prompt -> cached(run, prompt, form)).toList();
            // What a pipeline brings ahead for the only sequence that it knows is never another's.
            List<ModelRun> alone = List.of(firstAlone, secondAlone);
            List<CacheSequence> twins =
                    List.of(cached(firstAlone, prompts.getFirst(), form), cached(secondAlone, prompts.getLast(), form));
            for (List<Integer> batch : List.of(List.of(0), List.of(1), List.of(0, 1), List.of(1, 0), List.of(0, 1))) {
                List<float[]> actual =
                        decode(run, WAY, batch.stream().map(sequences::get).toList());
                for (int i = 0; i < batch.size(); i++) {
                    int sequence = batch.get(i);
                    assertThat(actual.get(i))
                            .as("sequence %d in %s", sequence, batch)
                            .containsExactly(decode(alone.get(sequence), WAY, List.of(twins.get(sequence)))
                                    .getFirst());
                }
            }
        }
    }

    /** A slow link is still busy with what one step has begun when the next one gathers into the same slots. */
    @ParameterizedTest
    @ValueSource(doubles = {0.01, 0.03, 0.1})
    void slotsAreGatheredIntoOnceTheyAreLeftAlone(double linkGigabytesPerSecond) {
        CpuOptions slowLink = new CpuOptions(256 << 20, 256 << 20, OptionalDouble.of(linkGigabytesPerSecond), 2);
        try (ModelRun run = run(new CpuDevice(slowLink));
                ModelRun fast = run(GoldenTest.device())) {
            List<CacheSequence> brought = List.of(cached(run, 96, CacheForm.HOST_KV));
            List<CacheSequence> gathered = List.of(cached(run, 160, CacheForm.DEVICE_ACT));
            List<CacheSequence> twin = List.of(cached(fast, 160, CacheForm.DEVICE_ACT));
            for (int i = 0; i < 14; i++) {
                decode(run, WAY, brought);
                assertThat(decode(run, WAY, gathered).getFirst())
                        .as("step %d", i)
                        .containsExactly(decode(fast, WAY, twin).getFirst());
            }
        }
    }
}
