package io.weft.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceException;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.device.TokenChoices.Edit;
import io.weft.device.TokenChoices.Row;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against a sampler in double that sorts the vocabulary. */
class TokenSamplerTest {
    /**
     * Weights are in fp32: of e^x, three roundings of x are off by 3·2⁻²⁴·|x| of it and the exponential by 2⁻²². What a
     * weight contributes to the mass is then off by at most 2⁻²² + 3·2⁻²⁴·|x|, for the |x| below 40 that occur here
     * 10⁻⁵ of it. So are sums, shares of sums, and the place of a token in the mass.
     */
    private static final double TOLERANCE = 1e-5;

    private static final long ALL = Long.MAX_VALUE;

    private final CpuDevice device = new CpuDevice(new CpuOptions(256 << 20, 256 << 20, OptionalDouble.empty(), 2));
    private final Stream stream = device.stream("sampling");

    @AfterEach
    void close() {
        device.close();
    }

    private DeviceBuffer upload(MemorySegment from) {
        HostBuffer host = device.allocateHost("in", from.byteSize());
        host.segment().copyFrom(from);
        DeviceBuffer to = device.allocate("in", from.byteSize());
        stream.copyToDevice(host, to);
        return to;
    }

    private int[] choose(float[] logits, List<Row> rows, List<Edit> edits) {
        TokenChoices choices =
                new TokenChoices(upload(TokenChoices.rowArray(rows)), upload(TokenChoices.editArray(edits)));
        return choose(logits, choices, rows.size());
    }

    private int[] choose(float[] logits, TokenChoices choices, int rows) {
        DeviceBuffer scores = device.allocate("scores", (long) logits.length * Float.BYTES);
        DeviceBuffer tokens = device.allocate("tokens", (long) rows * Integer.BYTES);
        DeviceBuffer from = upload(MemorySegment.ofArray(logits));
        device.kernels().chooseTokens(stream, from, choices, scores, tokens, rows, logits.length / rows);
        HostBuffer out = device.allocateHost("tokens", tokens.bytes());
        stream.copyToHost(tokens, out);
        Event done = device.event(Event.Timing.UNTIMED);
        stream.record(done);
        done.join();
        return out.segment().toArray(ValueLayout.JAVA_INT);
    }

    private int choose(float[] logits, Row row, Edit... edits) {
        return choose(logits, List.of(row), List.of(edits))[0];
    }

    private static Row row(double temperature, int topK, double topP, double minP, long uniform) {
        return new Row(0, 0, temperature, topK, topP, minP, uniform);
    }

    private static double[] weights(float[] logits, double temperature) {
        double largest = IntStream.range(0, logits.length)
                .mapToDouble(i -> logits[i])
                .max()
                .orElseThrow();
        double[] weights = new double[logits.length];
        Arrays.setAll(weights, i -> Math.exp((logits[i] - largest) / temperature));
        return weights;
    }

    /** What the filters leave, straight from their definitions: sort everything, cut. */
    private static Set<Integer> kept(double[] weights, Row row, double topP, double minP) {
        List<Integer> sorted = IntStream.range(0, weights.length)
                .boxed()
                .sorted((a, b) -> weights[a] != weights[b] ? Double.compare(weights[b], weights[a]) : a - b)
                .limit(row.topK())
                .toList();
        double total = sorted.stream().mapToDouble(token -> weights[token]).sum();
        Set<Integer> kept = new HashSet<>();
        double mass = 0;
        for (int token : sorted) {
            if (!kept.isEmpty() && (mass >= topP * total || weights[token] < minP)) {
                break;
            }
            kept.add(token);
            mass += weights[token];
        }
        return kept;
    }

    private static float[] gaussians(Random random, int size, double spread) {
        float[] logits = new float[size];
        for (int i = 0; i < size; i++) {
            logits[i] = (float) (random.nextGaussian() * spread);
        }
        return logits;
    }

    private static Row randomRow(Random random, int width) {
        return row(
                0.3 + 1.7 * random.nextDouble(),
                random.nextBoolean() ? Integer.MAX_VALUE : 2 + random.nextInt(2 * width),
                random.nextBoolean() ? 1 : 1 - Math.pow(random.nextDouble(), 2),
                random.nextBoolean() ? 0 : Math.pow(random.nextDouble(), 4),
                random.nextLong() >>> 1);
    }

    /** The token lies where the uniform number does in the mass, in id order, of what sorting and cutting leaves. */
    @ParameterizedTest
    @CsvSource({"1, 20", "2, 200", "7, 300", "33, 300", "257, 300", "5001, 60", "50272, 12"})
    void theTokenIsThatOfTheReference(int width, int rounds) {
        Random random = new Random(width);
        for (int round = 0; round < rounds; round++) {
            float[] logits = gaussians(random, width, 0.5 + 4 * random.nextDouble());
            if (random.nextBoolean()) {
                // Many equals.
                for (int i = 0; i < width; i++) {
                    logits[i] = Math.round(logits[i]);
                }
            }
            Row row = randomRow(random, width);
            double[] weights = weights(logits, row.temperature());
            Set<Integer> least = kept(weights, row, row.topP() * (1 - TOLERANCE), row.minP() * (1 + TOLERANCE));
            Set<Integer> most = kept(weights, row, row.topP() * (1 + TOLERANCE), row.minP() * (1 - TOLERANCE));

            int token = choose(logits, row);

            assertThat(most).as("%s", row).contains(token);
            double uniform = row.uniform() / 0x1p63;
            double all = most.stream().mapToDouble(kept -> weights[kept]).sum();
            double unsure =
                    all - least.stream().mapToDouble(kept -> weights[kept]).sum();
            double before = most.stream()
                    .filter(kept -> kept < token)
                    .mapToDouble(kept -> weights[kept])
                    .sum();
            double margin = unsure + TOLERANCE * all;
            assertThat(uniform * all).as("%s", row).isBetween(before - margin, before + weights[token] + margin);
        }
    }

    /**
     * Pearson's statistic of n draws from k tokens has the mean k − 1 and the variance 2(k − 1); it stays within six
     * standard deviations.
     */
    @Test
    void frequenciesFollowTheProbabilities() {
        Random random = new Random(5);
        int width = 40;
        int draws = 50_000;
        float[] logits = gaussians(random, width, 1);
        Row filtered = row(0.9, 30, 0.95, 0.01, 0);
        double[] weights = weights(logits, filtered.temperature());
        Set<Integer> kept = kept(weights, filtered, filtered.topP(), filtered.minP());
        float[] batch = new float[draws * width];
        List<Row> rows = new ArrayList<>();
        for (int i = 0; i < draws; i++) {
            System.arraycopy(logits, 0, batch, i * width, width);
            rows.add(row(0.9, 30, 0.95, 0.01, random.nextLong() >>> 1));
        }
        int[] counts = new int[width];
        for (int token : choose(batch, rows, List.of())) {
            counts[token]++;
        }
        double all = kept.stream().mapToDouble(token -> weights[token]).sum();
        double statistic = 0;
        for (int token = 0; token < width; token++) {
            if (kept.contains(token)) {
                double expected = draws * weights[token] / all;
                statistic += Math.pow(counts[token] - expected, 2) / expected;
            } else {
                assertThat(counts[token]).isZero();
            }
        }
        int freedom = kept.size() - 1;
        assertThat(freedom).isGreaterThan(10);
        assertThat(statistic).isLessThan(freedom + 6 * Math.sqrt(2 * freedom));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 33, 257, 5001})
    void aRowGetsTheSameTokenAloneAndAmongOthers(int width) {
        Random random = new Random(width);
        int count = 33;
        float[] logits = gaussians(random, count * width, 3);
        List<Row> rows = new ArrayList<>();
        List<Edit> edits = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Row row = randomRow(random, width);
            int editCount = Math.min(width, random.nextInt(4));
            rows.add(new Row(
                    edits.size(), editCount, row.temperature(), row.topK(), row.topP(), row.minP(), row.uniform()));
            for (int token = 0; token < editCount; token++) {
                edits.add(new Edit(token, random.nextInt(5), 1.5f, random.nextInt(3)));
            }
        }
        int[] together = choose(logits, rows, edits);
        for (int i = 0; i < count; i++) {
            float[] alone = Arrays.copyOfRange(logits, i * width, (i + 1) * width);
            assertThat(choose(alone, List.of(rows.get(i)), edits)).containsExactly(together[i]);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 33, 257, 50_272})
    void topKOneTakesTheSmallestIdAmongTheLargestEditedLogits(int width) {
        Random random = new Random(width);
        for (int round = 0; round < 20; round++) {
            float[] logits = new float[width];
            for (int i = 0; i < width; i++) {
                logits[i] = random.nextInt(9) - 4;
            }
            List<Integer> tokens = new ArrayList<>(
                    IntStream.range(0, Math.min(width, 100)).boxed().toList());
            Collections.shuffle(tokens, random);
            Edit[] edits = tokens.stream()
                    .limit(random.nextInt(tokens.size() + 1))
                    .map(token -> new Edit(token, random.nextInt(5) - 2, 1 + random.nextInt(3), random.nextInt(5) - 2))
                    .toArray(Edit[]::new);
            float[] edited = logits.clone();
            for (Edit edit : edits) {
                float x = edited[edit.token()] + edit.bias();
                x = x > 0 ? x / edit.repetitionPenalty() : x * edit.repetitionPenalty();
                edited[edit.token()] = x - edit.penalty();
            }
            int likeliest = 0;
            for (int token = 1; token < width; token++) {
                likeliest = edited[token] > edited[likeliest] ? token : likeliest;
            }
            Row greedy = new Row(0, edits.length, 1, 1, 1, 0, random.nextLong() >>> 1);
            assertThat(choose(logits, greedy, edits)).isEqualTo(likeliest);
        }
    }

    /** Whatever the logits, edits and filters, and the same token as if no other token existed. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 63, 64, 65, 257, 5001})
    void onlyTokensOfTheMaskAreChosen(int width) {
        Random random = new Random(width);
        for (int round = 0; round < 40; round++) {
            float[] logits = gaussians(random, width, 3);
            logits[random.nextInt(width)] = Float.POSITIVE_INFINITY;
            int[] allowed = random.ints(1 + random.nextInt(Math.min(width, 9)), 0, width)
                    .distinct()
                    .sorted()
                    .toArray();
            logits[allowed[random.nextInt(allowed.length)]] = Float.NEGATIVE_INFINITY;
            BitSet mask = new BitSet();
            float[] few = new float[allowed.length];
            for (int i = 0; i < allowed.length; i++) {
                mask.set(allowed[i]);
                few[i] = logits[allowed[i]];
            }
            Row row = randomRow(random, width);
            Row masked = new Row(0, 1, 1, row.temperature(), row.topK(), row.topP(), row.minP(), row.uniform());
            Edit loudest = new Edit(width - 1, 1000, 1, 0);
            int last = allowed.length - 1;
            Edit ofFew = new Edit(last, allowed[last] == width - 1 ? 1000 : 0, 1, 0);
            int expected = choose(
                    few, new Row(0, 1, row.temperature(), row.topK(), row.topP(), row.minP(), row.uniform()), ofFew);
            assertThat(chooseMasked(logits, masked, loudest, mask)).isEqualTo(allowed[expected]);
        }
    }

    /** The mask is the second of two. */
    private int chooseMasked(float[] logits, Row row, Edit edit, BitSet mask) {
        long[] words = new long[2 * TokenChoices.maskBytes(logits.length) / Long.BYTES];
        Arrays.fill(words, 0, words.length / 2, -1);
        long[] own = mask.toLongArray();
        System.arraycopy(own, 0, words, words.length / 2, own.length);
        TokenChoices choices = new TokenChoices(
                upload(TokenChoices.rowArray(List.of(row))),
                upload(TokenChoices.editArray(List.of(edit))),
                upload(MemorySegment.ofArray(words)));
        return choose(logits, choices, 1)[0];
    }

    /** Of equals the smaller ids stay: the first and the last number draw the ends of what is kept. */
    @Test
    void tiesAreCutById() {
        float[] equal = new float[1000];
        Arrays.fill(equal, 3);
        equal[500] = 2;
        assertThat(choose(equal, row(1, 10, 1, 0, 0))).isZero();
        assertThat(choose(equal, row(1, 10, 1, 0, ALL))).isEqualTo(9);
        assertThat(choose(equal, row(1, 10, 0.5, 0, ALL))).isEqualTo(4);
        assertThat(choose(equal, row(1, 999, 1, 0, ALL))).isEqualTo(999);
        assertThat(choose(equal, row(1, 999, 600.0 / 999, 0, ALL))).isEqualTo(600);
        assertThat(choose(equal, row(1, Integer.MAX_VALUE, 1, 1, ALL))).isEqualTo(999);
        assertThat(choose(equal, row(1, 600, 1, 1, ALL))).isEqualTo(600);
    }

    @Test
    void theLikeliestAlwaysStays() {
        float[] logits = {1, 2, 7, 3};
        for (long uniform : new long[] {0, 1, ALL / 2, ALL}) {
            assertThat(choose(logits, row(1, 9, Double.MIN_VALUE, 0, uniform))).isEqualTo(2);
            assertThat(choose(logits, row(1, 9, 1, 1, uniform))).isEqualTo(2);
            assertThat(choose(logits, row(Double.MIN_VALUE, 9, 1, 0, uniform))).isEqualTo(2);
            assertThat(choose(logits, row(1e-30, 9, 0.5, 0.5, uniform))).isEqualTo(2);
        }
        assertThat(choose(logits, row(1e30, 9, 1, 0, ALL))).isEqualTo(3);
    }

    /** One NaN is enough: whatever made it made the others too. */
    @Test
    void aRowWithANaNHasNoToken() {
        float nan = Float.NaN;
        for (int topK : new int[] {1, 2, 9}) {
            for (double topP : new double[] {0.5, 1}) {
                Row row = row(1, topK, topP, 0, ALL / 2);
                assertThat(choose(new float[] {nan, 1, 3}, row)).isEqualTo(TokenChoices.NO_TOKEN);
                assertThat(choose(new float[] {1, 3, nan}, row)).isEqualTo(TokenChoices.NO_TOKEN);
                assertThat(choose(new float[] {nan, nan}, row)).isEqualTo(TokenChoices.NO_TOKEN);
            }
        }
        Edit bias = new Edit(0, 100, 0, 1);
        assertThat(choose(new float[] {nan, 1}, new Row(0, 1, 1, 9, 1, 0, ALL), bias))
                .isEqualTo(TokenChoices.NO_TOKEN);
    }

    @Test
    void infinitiesAreTheLargestAndTheLeastNumber() {
        float infinity = Float.POSITIVE_INFINITY;
        for (int topK : new int[] {1, 2, 9}) {
            for (double topP : new double[] {0.5, 1}) {
                for (long uniform : new long[] {0, ALL / 2, ALL}) {
                    Row row = row(1, topK, topP, 0, uniform);
                    assertThat(choose(new float[] {-infinity, 1, -infinity}, row))
                            .isEqualTo(1);
                    assertThat(choose(new float[] {-infinity, -infinity, -3e38f}, row))
                            .isEqualTo(2);
                    assertThat(choose(new float[] {3, infinity, -infinity}, row))
                            .isEqualTo(1);
                    assertThat(choose(new float[] {infinity, 5, infinity}, row)).isNotEqualTo(1);
                }
            }
        }
        Edit bias = new Edit(0, 100, 0, 1);
        assertThat(choose(new float[] {5, 1}, new Row(0, 1, 1, 9, 1, 0, ALL), bias))
                .isZero();
    }

    @Test
    void anEditOfAnUnknownTokenStopsTheStream() {
        assertThatThrownBy(() -> choose(new float[] {1, 2}, new Row(0, 1, 1, 1, 1, 0, 0), new Edit(2, 1, 1, 0)))
                .isInstanceOf(DeviceException.class)
                .hasMessageContaining("edited token 2 of a vocabulary of 2");
    }

    @Test
    void whatIsNoChoiceIsRefused() {
        assertThatThrownBy(() -> row(0, 1, 1, 0, 0)).hasMessageContaining("temperature is 0.0");
        assertThatThrownBy(() -> row(1, 0, 1, 0, 0)).hasMessageContaining("top-k 0");
        assertThatThrownBy(() -> row(1, 1, 0, 0, 0)).hasMessageContaining("top-p 0.0");
        assertThatThrownBy(() -> row(1, 1, 1, 2, 0)).hasMessageContaining("min-p 2.0");
        assertThatThrownBy(() -> row(1, 1, 1, 0, -1)).hasMessageContaining("uniform is -1");
    }
}
