package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.device.DeviceBuffer;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.pipeline.TokenChoice;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Choices as requests make them, taken by the kernel of the CPU device. */
class SamplerTest {
    private static final long VOCABULARY_MOST = 384;

    private final CpuDevice device = new CpuDevice(new CpuOptions(1 << 20, 1 << 20, OptionalDouble.empty(), 1));
    private final Stream stream = device.stream("sampling");
    private final Event done = device.event(Event.Timing.UNTIMED);
    private final DeviceBuffer logits = device.allocate("logits", VOCABULARY_MOST * Float.BYTES);
    private final DeviceBuffer scores = device.allocate("scores", VOCABULARY_MOST * Float.BYTES);
    private final DeviceBuffer row = device.allocate("row", TokenChoices.ROW_BYTES);
    private final DeviceBuffer edits = device.allocate("edits", VOCABULARY_MOST * TokenChoices.EDIT_BYTES);
    private final DeviceBuffer token = device.allocate("token", Integer.BYTES);
    private final HostBuffer host = device.allocateHost("logits", logits.bytes());
    private final HostBuffer hostRow = device.allocateHost("row", row.bytes());
    private final HostBuffer hostEdits = device.allocateHost("edits", edits.bytes());
    private final HostBuffer hostToken = device.allocateHost("token", token.bytes());

    @AfterEach
    void close() {
        device.close();
    }

    private int choose(Sampler sampler, float[] values) {
        TokenChoice choice = sampler.next();
        HostBuffer from = host.slice(0, (long) values.length * Float.BYTES);
        from.segment().copyFrom(MemorySegment.ofArray(values));
        stream.copyToDevice(from, logits.slice(0, from.bytes()));
        choice.write(hostRow.segment(), 0, hostEdits.segment(), 0, TokenChoices.NO_MASK);
        stream.copyToDevice(hostRow, row);
        stream.copyToDevice(hostEdits, edits);
        device.kernels().chooseTokens(stream, logits, new TokenChoices(row, edits), scores, token, 1, values.length);
        stream.copyToHost(token, hostToken);
        stream.record(done);
        done.join();
        int chosen = hostToken.segment().get(ValueLayout.JAVA_INT, 0);
        sampler.remember(chosen);
        return chosen;
    }

    private static SamplingParameters sampling(double temperature, double topP, int topK, double minP, long seed) {
        return new SamplingParameters(temperature, topP, topK, minP, 0, 0, 1, Map.of(), seed);
    }

    private static float[] randomLogits(Random random, int size, double spread) {
        float[] logits = new float[size];
        for (int i = 0; i < size; i++) {
            logits[i] = (float) (random.nextGaussian() * spread);
        }
        return logits;
    }

    /** The tokens that the filters leave, straight from their definitions: sort everything, cut. */
    private static Set<Integer> kept(float[] logits, SamplingParameters sampling) {
        double largest = IntStream.range(0, logits.length)
                .mapToDouble(i -> logits[i])
                .max()
                .orElseThrow();
        double[] weights = new double[logits.length];
        Arrays.setAll(weights, i -> Math.exp((logits[i] - largest) / sampling.temperature()));
        List<Integer> sorted = IntStream.range(0, logits.length)
                .boxed()
                .sorted((a, b) -> weights[a] != weights[b] ? Double.compare(weights[b], weights[a]) : a - b)
                .limit(sampling.topK() == 0 ? logits.length : sampling.topK())
                .toList();
        double total = sorted.stream().mapToDouble(i -> weights[i]).sum();
        Set<Integer> kept = new HashSet<>();
        double mass = 0;
        for (int token : sorted) {
            if (!kept.isEmpty() && (mass >= sampling.topP() * total || weights[token] < sampling.minP())) {
                break;
            }
            kept.add(token);
            mass += weights[token];
        }
        return kept;
    }

    @ParameterizedTest
    @CsvSource({
        "0.5, 0.9, 0, 0",
        "1, 0.1, 0, 0",
        "2, 0.99, 0, 0",
        "1, 1, 5, 0",
        "1, 0.7, 20, 0",
        "1.3, 1, 0, 0.05",
        "1, 0.9, 0, 0.3",
        "0.7, 0.95, 40, 0.01",
        "1, 1, 1, 0",
        "0.01, 0.5, 0, 0",
        "2, 0.999999, 0, 0"
    })
    void drawsExactlyFromWhatTheFiltersLeave(double temperature, double topP, int topK, double minP) {
        Random random = new Random(7);
        for (int size : new int[] {1, 2, 17, 300}) {
            float[] logits = randomLogits(random, size, 2);
            SamplingParameters sampling = sampling(temperature, topP, topK, minP, random.nextLong());
            Set<Integer> kept = kept(logits, sampling);
            Sampler sampler = new Sampler(sampling, List.of(), Sampler.Barred.NONE);
            Set<Integer> drawn = new HashSet<>();
            for (int i = 0; i < 2_000; i++) {
                drawn.add(choose(sampler, logits));
            }
            assertThat(kept).containsAll(drawn);
            if (kept.size() == 1) {
                assertThat(drawn).isEqualTo(kept);
            }
        }
    }

    /** 40,000 draws: a frequency's standard deviation is at most 0.0025, and six of them are allowed. */
    @Test
    void frequenciesFollowTheProbabilities() {
        float[] logits = {0, 1, 2, -1, 0.5f};
        double[] weights = new double[logits.length];
        Arrays.setAll(weights, i -> Math.exp(logits[i] / 0.8));
        double total = Arrays.stream(weights).sum();
        Sampler sampler = new Sampler(sampling(0.8, 1, 0, 0, 42), List.of(), Sampler.Barred.NONE);
        Map<Integer, Integer> counts = new HashMap<>();
        int draws = 40_000;
        for (int i = 0; i < draws; i++) {
            counts.merge(choose(sampler, logits), 1, Integer::sum);
        }
        for (int token = 0; token < logits.length; token++) {
            assertThat(counts.get(token) / (double) draws).isCloseTo(weights[token] / total, within(0.015));
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, -5, Long.MAX_VALUE})
    void theSameSeedGivesTheSameTokens(long seed) {
        Random random = new Random(3);
        Sampler one = new Sampler(sampling(1, 0.95, 0, 0, seed), List.of(), Sampler.Barred.NONE);
        Sampler other = new Sampler(sampling(1, 0.95, 0, 0, seed), List.of(), Sampler.Barred.NONE);
        for (int i = 0; i < 100; i++) {
            float[] logits = randomLogits(random, 200, 1);
            assertThat(choose(one, logits)).isEqualTo(choose(other, logits));
        }
    }

    @Test
    void greedyTakesTheLikeliestAndTheSmallestIdAmongEquals() {
        Sampler sampler = new Sampler(SamplingParameters.greedy(), List.of(), Sampler.Barred.NONE);
        assertThat(choose(sampler, new float[] {1, 3, 3, 2})).isEqualTo(1);
    }

    @Test
    void biasAndPenaltiesMoveTheChoice() {
        float[] logits = {1, 1.5f, 1.2f};
        SamplingParameters bias = new SamplingParameters(0, 1, 0, 0, 0, 0, 1, Map.of(0, 100.0), 0);
        assertThat(choose(new Sampler(bias, List.of(), Sampler.Barred.NONE), logits))
                .isZero();

        Sampler presence =
                new Sampler(new SamplingParameters(0, 1, 0, 0, 0.5, 0, 1, Map.of(), 0), List.of(), Sampler.Barred.NONE);
        assertThat(choose(presence, logits)).isEqualTo(1);
        assertThat(choose(presence, logits)).isEqualTo(2);

        Sampler frequency =
                new Sampler(new SamplingParameters(0, 1, 0, 0, 0, 0.2, 1, Map.of(), 0), List.of(), Sampler.Barred.NONE);
        assertThat(choose(frequency, logits)).isEqualTo(1);
        assertThat(choose(frequency, logits)).isEqualTo(1);
        assertThat(choose(frequency, logits)).isEqualTo(2);

        Sampler repetition =
                new Sampler(new SamplingParameters(0, 1, 0, 0, 0, 0, 2, Map.of(), 0), List.of(1), Sampler.Barred.NONE);
        assertThat(choose(repetition, logits)).isEqualTo(2);
    }

    /** Whatever they weigh, whatever else moves them; and once they may be chosen, as if they had always been. */
    @Test
    void barredTokensAreNotChosenAtFirst() {
        Random random = new Random(17);
        for (int round = 0; round < 200; round++) {
            int size = random.nextInt(4, 50);
            float[] logits = randomLogits(random, size, 3);
            Set<Integer> tokens =
                    random.ints(random.nextInt(1, size), 0, size).boxed().collect(Collectors.toSet());
            SamplingParameters sampling = new SamplingParameters(
                    random.nextInt(3),
                    1,
                    random.nextInt(3),
                    0,
                    1,
                    -2,
                    random.nextBoolean() ? 1 : 0.5,
                    Map.of(tokens.iterator().next(), 100.0),
                    round);
            int first = random.nextInt(1, 6);
            Sampler sampler = new Sampler(sampling, List.of(0, 1), new Sampler.Barred(tokens, first));
            for (int i = 0; i < first; i++) {
                assertThat(choose(sampler, logits)).as("round %d", round).isNotIn(tokens);
            }
            assertThat(sampler.next().edits())
                    .allMatch(edit -> Float.isFinite(edit.bias()))
                    .anyMatch(edit -> edit.bias() == 100);
        }
    }

    /** Row by row those of plain decoding, however often they were asked for, and whatever was drafted before. */
    @Test
    void choicesAfterDraftsAreThoseOfPlainDecoding() {
        Random random = new Random(19);
        for (int round = 0; round < 300; round++) {
            SamplingParameters sampling = new SamplingParameters(
                    random.nextInt(2) * 0.7,
                    0.9,
                    random.nextInt(4),
                    0.1 * random.nextInt(2),
                    random.nextInt(-2, 3),
                    random.nextInt(-2, 3),
                    random.nextBoolean() ? 1 : 1.3,
                    Map.of(3, 1.5, 4, -100.0),
                    random.nextLong());
            Sampler.Barred barred = new Sampler.Barred(Set.of(1, 3), random.nextInt(8));
            List<Integer> prompt =
                    random.ints(random.nextInt(1, 5), 0, 12).boxed().toList();
            Sampler plain = new Sampler(sampling, prompt, barred);
            Sampler drafting = new Sampler(sampling, prompt, barred);
            List<Integer> text = random.ints(60, 0, 12).boxed().toList();
            int at = 0;
            while (at < text.size() - 9) {
                List<Integer> drafted = new ArrayList<>(text.subList(at, at + random.nextInt(9)));
                int right = drafted.isEmpty() ? 0 : random.nextInt(drafted.size() + 1);
                for (int i = right; i < drafted.size(); i++) {
                    drafted.set(i, (drafted.get(i) + 1) % 12);
                }
                List<TokenChoice> choices = drafting.next(drafted);
                assertThat(choices).hasSize(drafted.size() + 1);
                assertThat(choices(drafting.next(drafted))).isEqualTo(choices(choices));
                for (int i = 0; i <= right; i++) {
                    assertThat(choices(choices.subList(i, i + 1)))
                            .as("round %d", round)
                            .isEqualTo(choices(List.of(plain.next())));
                    plain.remember(text.get(at + i));
                    drafting.remember(text.get(at + i));
                }
                at += right + 1;
            }
        }
    }

    /** The order of edits does not matter. */
    private static List<Object> choices(List<TokenChoice> choices) {
        return choices.stream()
                .<Object>map(choice -> List.of(
                        Set.copyOf(choice.edits()),
                        choice.temperature(),
                        choice.topK(),
                        choice.topP(),
                        choice.minP(),
                        choice.uniform()))
                .toList();
    }

    @Test
    void scoresAreLogProbabilities() {
        Random random = new Random(11);
        float[] logits = randomLogits(random, 384, 3);
        var all = TokenScorer.score(logits, 5, 384);
        double sum = all.alternatives().stream()
                .mapToDouble(a -> Math.exp(a.logprob()))
                .sum();
        assertThat(sum).isCloseTo(1, within(1e-5));
        var few = TokenScorer.score(logits, 5, 5);
        assertThat(few.alternatives()).isEqualTo(all.alternatives().subList(0, 5));
        assertThat(few.alternatives()).isSortedAccordingTo((a, b) -> Float.compare(b.logprob(), a.logprob()));
        assertThat(few.alternatives().getFirst().token())
                .isEqualTo(choose(new Sampler(SamplingParameters.greedy(), List.of(), Sampler.Barred.NONE), logits));
    }
}
