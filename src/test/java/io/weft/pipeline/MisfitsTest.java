package io.weft.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.CacheSequence;
import io.weft.device.Device;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.device.cpu.RefusingDevice;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
import io.weft.model.LayerGroup;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import io.weft.pipeline.ModelRun.Way;
import io.weft.pipeline.StepSequence.LogitRows;
import io.weft.plan.step.Schedule;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Blocks whose codes do not fit are stored as they are, or computed again: nobody sees a difference in the results. */
class MisfitsTest {
    private static final int DECODED = 12;
    private static final int BLOCK_TOKENS = 4;
    private static final long DEVICE_BYTES = 256L << 20;

    private static final List<CacheForm> CODED = CachePolicy.EXACT.forms().stream()
            .filter(form -> form.encoding().isCoded())
            .toList();

    /** Plain ones, and all that have layers with windows besides cached ones. */
    static Stream<String> models() {
        return Golden.NAMES.stream().filter(MisfitsTest::isOfInterest);
    }

    private static boolean isOfInterest(String name) {
        try (ModelFiles files = Golden.model(name)) {
            List<LayerGroup> groups = files.architecture().dimensions().groups();
            return name.equals("opt")
                    || name.equals("llama3-gqa")
                    || (groups.stream().anyMatch(group -> group.layer().hasWindow())
                            && groups.stream().anyMatch(group -> !group.layer().hasWindow()));
        }
    }

    private static ModelRun run(String name, Device device) {
        return new ModelRun(Golden.model(name), device, BLOCK_TOKENS, 32);
    }

    private static Map<Integer, float[]> expected(String name, List<Integer> tokens, int promptTokens) {
        try (ModelRun run = run(name, GoldenTest.device())) {
            return logits(run, new Random(0), tokens, promptTokens, block -> CacheForm.DEVICE_KV);
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void blocksThatDoNotFitAreStoredAsTheyAre(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        List<Integer> tokens = withDecoded(prompt);
        Map<Integer, float[]> expected = expected(name, tokens, prompt.size());
        for (long seed = 1; seed <= 2; seed++) {
            double share = seed == 1 ? 0.1 : 0.5;
            try (ModelRun run = run(name, new RefusingDevice(DEVICE_BYTES, share, seed))) {
                Random random = new Random(seed);
                IntFunction<CacheForm> forms = forms(random, CachePolicy.EXACT.forms());
                assertSame(logits(run, random, tokens, prompt.size(), forms), expected, "seed " + seed);
                assertThat(run.cache().misfits()).isPositive();
                SameBitsTest.assertPoolsAreEmpty(run);
            }
        }
    }

    /** A trained model and ordinary text: what has codes keeps them. */
    @Test
    void blocksOfOrdinaryTextFit() throws IOException {
        List<CacheForm> packed = List.of(
                new CacheForm(Encoding.PACKED_KEY_VALUE, Place.HOST),
                new CacheForm(Encoding.PACKED_ACTIVATION, Place.HOST));
        try (ModelFiles files = ModelFiles.open(ModelSource.parse("demo"));
                Tokenizer tokenizer = Tokenizer.open(files.directory());
                ModelRun run = new ModelRun(
                        ModelFiles.open(ModelSource.parse("demo")),
                        new CpuDevice(new CpuOptions(DEVICE_BYTES, DEVICE_BYTES, OptionalDouble.empty(), 2)),
                        16,
                        256)) {
            int blocks = 0;
            int coded = 0;
            for (String document : List.of("LICENSE", "README.md", "docs/planning.md")) {
                List<Integer> tokens = tokenizer.encode(Files.readString(Path.of(document)), SpecialTokens.WITHOUT);
                try (CacheSequence sequence =
                        run.admit(ModelRun.CONTEXT_TOKENS, block -> packed.get(block % packed.size()))) {
                    run.prefill(Way.of(Schedule.CHUNKED), sequence, tokens.subList(0, 310), 155, LogitRows.NONE);
                    blocks += sequence.closedBlocks();
                    coded += (int) sequence.forms(0, sequence.closedBlocks()).stream()
                            .filter(form -> form.encoding().isCoded())
                            .count();
                }
            }
            assertThat(blocks).isEqualTo(3 * 19);
            assertThat(blocks - coded).as("misfits of %d", blocks).isLessThanOrEqualTo(blocks / 100);
            assertThat(run.cache().misfits()).isEqualTo(blocks - coded);
        }
    }

    /** With many misfits, blocks are not coded any more. */
    @ParameterizedTest
    @MethodSource("models")
    void whatNeverFitsIsNotTriedForLong(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        List<Integer> tokens = withDecoded(prompt);
        try (ModelRun run = run(name, new RefusingDevice(DEVICE_BYTES, 1, 1))) {
            for (int round = 0; round < 3; round++) {
                logits(run, new Random(round), tokens, prompt.size(), block -> CODED.get(block % CODED.size()));
            }
            // A quarter of 64, and those of the step that filled the last of these.
            assertThat(run.cache().misfits()).isBetween(16L, 16L + 24 / BLOCK_TOKENS);
        }
    }

    /** All that does not fit is lost, also what windows saw. */
    @ParameterizedTest
    @MethodSource("models")
    void withoutMemoryTheyAreComputedAgain(String name) {
        List<Integer> prompt = Golden.read(name).longest().inputIds();
        List<Integer> tokens = withDecoded(prompt);
        Map<Integer, float[]> expected = expected(name, tokens, prompt.size());
        List<CacheForm> onDevice = CODED.stream()
                .filter(form -> form.place() == CacheForm.Place.DEVICE)
                .toList();
        long misfits = 0;
        for (long seed = 1; seed <= 3; seed++) {
            try (ModelRun run = run(name, new RefusingDevice(DEVICE_BYTES, 0.05, seed));
                    CacheSequence others = run.fillHost()) {
                Random random = new Random(seed);
                assertSame(
                        logits(run, random, tokens, prompt.size(), forms(random, onDevice)), expected, "seed " + seed);
                assertThat(others.tokens()).isPositive();
                misfits += run.cache().misfits();
            }
        }
        // The first that is lost is the last that is coded.
        assertThat(misfits).isBetween(1L, 3L);
    }

    private static List<Integer> withDecoded(List<Integer> prompt) {
        List<Integer> tokens = new ArrayList<>(prompt);
        for (int i = 0; i < DECODED; i++) {
            tokens.add(5 + i);
        }
        return tokens;
    }

    private static IntFunction<CacheForm> forms(Random random, List<CacheForm> among) {
        long seed = random.nextLong();
        return block -> among.get(new Random(seed + 31L * block).nextInt(among.size()));
    }

    /** The logits by position, from the end of the prompt on. Tokens that were lost run again. */
    private static Map<Integer, float[]> logits(
            ModelRun run, Random random, List<Integer> tokens, int promptTokens, IntFunction<CacheForm> forms) {
        Way way = Way.of(Schedule.values()[random.nextInt(Schedule.values().length)]);
        Map<Integer, float[]> logits = new TreeMap<>();
        try (CacheSequence sequence = run.admit(tokens, tokens.size(), forms)) {
            int steps = 0;
            while (sequence.tokens() < tokens.size()) {
                assertThat(steps++).as("steps").isLessThan(20 * tokens.size());
                int from = sequence.tokens();
                int to = from < promptTokens ? Math.min(promptTokens, from + 1 + random.nextInt(24)) : from + 1;
                LogitRows rows = to < promptTokens ? LogitRows.NONE : LogitRows.CHOOSING;
                List<float[]> last = run.step(way, List.of(ModelRun.part(sequence, tokens.subList(from, to), rows)));
                if (rows == LogitRows.CHOOSING) {
                    logits.put(to - 1, last.getLast());
                }
            }
        }
        return logits;
    }

    private static void assertSame(Map<Integer, float[]> actual, Map<Integer, float[]> expected, String what) {
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        actual.forEach((position, logits) ->
                assertThat(logits).as("%s, token %d", what, position).containsExactly(expected.get(position)));
    }
}
