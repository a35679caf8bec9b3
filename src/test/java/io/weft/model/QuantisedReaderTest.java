package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.device.QuantisedTensor;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Elements are those of the formula that each format documents, whatever the order in which its files have the codes.
 */
class QuantisedReaderTest {
    private static final String MODULE = "model.layers.0.mlp.up_proj";
    private static final String WEIGHT = MODULE + ".weight";
    private static final int[] AWQ_ORDER = {0, 2, 4, 6, 1, 3, 5, 7};

    private final Map<String, StoredTensor> files = new HashMap<>();

    /** Codes (rows, columns), scales and zeros (rows, groups), all by seed. */
    private record Weights(int rows, int columns, int group, int bits, int[] codes, float[] scales, int[] zeros) {
        static Weights random(long seed, int rowsApart, int columnsApart, int bits) {
            SplittableRandom random = new SplittableRandom(seed);
            int rows = rowsApart * random.nextInt(1, 6);
            int group = columnsApart * random.nextInt(1, 4);
            int columns = group * random.nextInt(1, 4);
            int groups = rows * (columns / group);
            float[] scales = new float[groups];
            for (int i = 0; i < groups; i++) {
                scales[i] = Float.float16ToFloat(Float.floatToFloat16((float) random.nextDouble(1e-3, 1)));
            }
            return new Weights(
                    rows,
                    columns,
                    group,
                    bits,
                    random.ints((long) rows * columns, 0, 1 << bits).toArray(),
                    scales,
                    random.ints(groups, 0, 1 << bits).toArray());
        }

        int groups() {
            return columns / group;
        }

        int code(int row, int column) {
            return codes[row * columns + column];
        }

        float element(int row, int column, boolean ownZeros) {
            int at = row * groups() + column / group;
            int zero = ownZeros ? zeros[at] : 1 << (bits - 1);
            return (code(row, column) - zero) * scales[at];
        }
    }

    private QuantisedTensor read(String quantisation) {
        return reader(quantisation).tensor(WEIGHT).orElseThrow();
    }

    private QuantisedReader reader(String quantisation) {
        try {
            ConfigReader config = new ConfigReader(
                    Path.of("config.json"),
                    new ObjectMapper().readTree("{\"quantization_config\": " + quantisation + "}"));
            return new QuantisedReader(
                    Path.of("model"), Quantisation.read(config), name -> Optional.ofNullable(files.get(name)));
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private void put(String name, String type, List<Integer> shape, byte[] bytes) {
        files.put(name, new StoredTensor(name, type, shape, MemorySegment.ofArray(bytes)));
    }

    private void putWords(String name, List<Integer> shape, int[] words) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * words.length).order(ByteOrder.LITTLE_ENDIAN);
        IntStream.of(words).forEach(bytes::putInt);
        put(name, "I32", shape, bytes.array());
    }

    private void putHalves(String name, List<Integer> shape, int count, IntFunction<Float> value) {
        ByteBuffer bytes = ByteBuffer.allocate(2 * count).order(ByteOrder.LITTLE_ENDIAN);
        IntStream.range(0, count).forEach(i -> bytes.putShort(Float.floatToFloat16(value.apply(i))));
        put(name, "F16", shape, bytes.array());
    }

    /** Words of neighbouring codes, the first in the lowest bits; codes after the last are 0. */
    private static int[] words(int count, int bits, int codes, IntUnaryOperator code) {
        int perWord = 32 / bits;
        int[] words = new int[count];
        for (int i = 0; i < codes; i++) {
            words[i / perWord] |= code.applyAsInt(i) << (i % perWord * bits);
        }
        return words;
    }

    private static void assertElements(QuantisedTensor tensor, Weights weights, boolean ownZeros) {
        assertThat(tensor.shape()).containsExactly(weights.rows(), weights.columns());
        float[] expected = new float[weights.rows() * weights.columns()];
        for (int i = 0; i < expected.length; i++) {
            expected[i] = weights.element(i / weights.columns(), i % weights.columns(), ownZeros);
        }
        assertRows(tensor, expected);
    }

    /** All at once, and some rows of a slice. */
    private static void assertRows(QuantisedTensor tensor, float[] expected) {
        float[] elements = new float[expected.length];
        tensor.dequantise(0, tensor.rows(), MemorySegment.ofArray(elements));
        assertThat(elements).containsExactly(expected);
        int from = tensor.rows() / 3;
        QuantisedTensor slice = tensor.rows(from, tensor.rows() - from);
        for (int row = 0; row < slice.rows(); row++) {
            int last = tensor.columns() - 1;
            assertThat(slice.element((long) row * tensor.columns() + last))
                    .isEqualTo(expected[(from + row) * tensor.columns() + last]);
        }
        int count = Math.min(3, slice.rows());
        byte[] some = new byte[(int) (count * tensor.encoding().rowBytes(tensor.columns()))];
        byte[] one = new byte[some.length / count];
        slice.source().codes(slice.firstRow(), count, MemorySegment.ofArray(some));
        slice.source().codes(slice.firstRow() + count - 1, 1, MemorySegment.ofArray(one));
        assertThat(one).isEqualTo(Arrays.copyOfRange(some, some.length - one.length, some.length));
    }

    @Property(tries = 100)
    void gptqHasWordsOfAColumnsCodes(@ForAll long seed) {
        files.clear();
        int bits = seed % 2 == 0 ? 4 : 8;
        boolean second = seed % 3 == 0;
        Weights weights = Weights.random(seed, 32 / bits, 8, bits);
        putGptq(weights, second ? 0 : 1);
        QuantisedTensor tensor = read("""
                {"quant_method": "gptq", "bits": %d, "group_size": %d, "desc_act": false, "sym": false,
                 "checkpoint_format": "%s"}""".formatted(bits, weights.group(), second ? "gptq_v2" : "gptq"));
        assertElements(tensor, weights, true);
    }

    private void putGptq(Weights weights, int offset) {
        int perWord = 32 / weights.bits();
        int n = weights.rows();
        int[] codes = new int[weights.columns() / perWord * n];
        for (int row = 0; row < n; row++) {
            int at = row;
            int[] column =
                    words(weights.columns() / perWord, weights.bits(), weights.columns(), k -> weights.code(at, k));
            for (int i = 0; i < column.length; i++) {
                codes[i * n + row] = column[i];
            }
        }
        putWords(MODULE + ".qweight", List.of(weights.columns() / perWord, n), codes);
        putColumnMajor(weights, offset, IntUnaryOperator.identity());
        putWords(
                MODULE + ".g_idx",
                List.of(weights.columns()),
                IntStream.range(0, weights.columns())
                        .map(k -> k / weights.group())
                        .toArray());
    }

    /** Scales and zeros by group; the place of a row's zero in its word is that of {@code order}. */
    private void putColumnMajor(Weights weights, int offset, IntUnaryOperator order) {
        int n = weights.rows();
        int perWord = 32 / weights.bits();
        int mask = (1 << weights.bits()) - 1;
        putHalves(
                MODULE + ".scales",
                List.of(weights.groups(), n),
                weights.groups() * n,
                i -> weights.scales()[i % n * weights.groups() + i / n]);
        int[] zeros = new int[weights.groups() * (n / perWord)];
        for (int group = 0; group < weights.groups(); group++) {
            int at = group;
            int[] packed = words(n / perWord, weights.bits(), n, i -> {
                int row = i / perWord * perWord + order.applyAsInt(i % perWord);
                return weights.zeros()[row * weights.groups() + at] - offset & mask;
            });
            System.arraycopy(packed, 0, zeros, group * packed.length, packed.length);
        }
        putWords(MODULE + ".qzeros", List.of(weights.groups(), n / perWord), zeros);
    }

    @Property(tries = 100)
    void awqHasWordsOfEightRowsInterleaved(@ForAll long seed) {
        files.clear();
        Weights weights = Weights.random(seed, 8, 8, 4);
        int n = weights.rows();
        int[] codes = new int[weights.columns() * (n / 8)];
        for (int k = 0; k < weights.columns(); k++) {
            int at = k;
            int[] row = words(n / 8, 4, n, i -> weights.code(i / 8 * 8 + AWQ_ORDER[i % 8], at));
            System.arraycopy(row, 0, codes, k * row.length, row.length);
        }
        putWords(MODULE + ".qweight", List.of(weights.columns(), n / 8), codes);
        putColumnMajor(weights, 0, place -> AWQ_ORDER[place]);
        QuantisedTensor tensor = read("""
                {"quant_method": "awq", "bits": 4, "group_size": %d, "zero_point": true, "version": "gemm"}""".formatted(weights.group()));
        assertElements(tensor, weights, true);
    }

    @Property(tries = 100)
    void packedIntegersAreRowsOfWords(@ForAll long seed) {
        files.clear();
        int bits = seed % 2 == 0 ? 4 : 8;
        boolean ownZeros = seed % 3 == 0;
        // Rows need not fill their last word.
        Weights weights = Weights.random(seed, 3, 2, bits);
        putPacked(weights, ownZeros);
        QuantisedTensor tensor = read("""
                {"quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
                 "kv_cache_scheme": null, "ignore": ["lm_head"], "config_groups": {"group_0": {"targets": ["Linear"],
                 "weights": {"num_bits": %d, "type": "int", "strategy": "group", "group_size": %d, "symmetric": %s}}}}
                """.formatted(bits, weights.group(), !ownZeros));
        assertElements(tensor, weights, ownZeros);
    }

    private void putPacked(Weights weights, boolean ownZeros) {
        int perWord = 32 / weights.bits();
        int rowWords = Math.ceilDiv(weights.columns(), perWord);
        int[] codes = new int[weights.rows() * rowWords];
        for (int row = 0; row < weights.rows(); row++) {
            int at = row;
            int[] packed = words(rowWords, weights.bits(), weights.columns(), k -> weights.code(at, k));
            System.arraycopy(packed, 0, codes, row * rowWords, rowWords);
        }
        putWords(MODULE + ".weight_packed", List.of(weights.rows(), rowWords), codes);
        putHalves(
                MODULE + ".weight_scale",
                List.of(weights.rows(), weights.groups()),
                weights.scales().length,
                i -> weights.scales()[i]);
        ByteBuffer shape = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        put(
                MODULE + ".weight_shape",
                "I64",
                List.of(2),
                shape.putLong(weights.rows()).putLong(weights.columns()).array());
        if (ownZeros) {
            int words = Math.ceilDiv(weights.rows(), perWord);
            int[] zeros = new int[words * weights.groups()];
            for (int group = 0; group < weights.groups(); group++) {
                int at = group;
                int[] packed = words(
                        words, weights.bits(), weights.rows(), row -> weights.zeros()[row * weights.groups() + at]);
                for (int i = 0; i < words; i++) {
                    zeros[i * weights.groups() + group] = packed[i];
                }
            }
            putWords(MODULE + ".weight_zero_point", List.of(words, weights.groups()), zeros);
        }
    }

    /** FP8 by its definition. */
    private static float e4m3(int code) {
        int exponent = code >> 3 & 15;
        double magnitude = exponent == 0 ? (code & 7) * 0x1p-9 : (1 + (code & 7) / 8.0) * Math.pow(2, exponent - 7);
        return (float) (code < 128 ? magnitude : -magnitude);
    }

    @Property(tries = 100)
    void fp8HasScalesOfBlocksRowsOrTheMatrix(@ForAll long seed) {
        files.clear();
        SplittableRandom random = new SplittableRandom(seed);
        int rows = random.nextInt(1, 40);
        int columns = random.nextInt(1, 40);
        boolean blocks = seed % 3 == 0;
        int blockRows = blocks ? random.nextInt(1, 20) : seed % 3 == 1 ? 1 : rows;
        int blockColumns = blocks ? random.nextInt(1, 20) : columns;
        int down = Math.ceilDiv(rows, blockRows);
        int across = Math.ceilDiv(columns, blockColumns);
        byte[] codes = new byte[rows * columns];
        random.nextBytes(codes);
        for (int i = 0; i < codes.length; i++) {
            // No NaN.
            codes[i] = (codes[i] & 0x7f) == 0x7f ? 1 : codes[i];
        }
        float[] scales = new float[down * across];
        ByteBuffer bytes = ByteBuffer.allocate(4 * scales.length).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < scales.length; i++) {
            scales[i] = (float) random.nextDouble(1e-4, 1);
            bytes.putFloat(scales[i]);
        }
        put(WEIGHT, "F8_E4M3", List.of(rows, columns), codes);
        String config;
        if (blocks) {
            put(MODULE + ".weight_scale_inv", "F32", List.of(down, across), bytes.array());
            config = """
                    {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [%d, %d]}
                    """.formatted(blockRows, blockColumns);
        } else {
            put(MODULE + ".weight_scale", "F32", down == 1 ? List.of() : List.of(down, 1), bytes.array());
            config = """
                    {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"group_0": {
                     "targets": ["Linear"], "input_activations": {"num_bits": 8, "type": "float", "dynamic": true},
                     "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": true}}}}
                    """;
        }
        float[] expected = new float[codes.length];
        for (int i = 0; i < codes.length; i++) {
            int scale = i / columns / blockRows * across + i % columns / blockColumns;
            expected[i] = e4m3(codes[i] & 0xff) * scales[scale];
        }
        assertRows(read(config), expected);
    }

    @Test
    void signedIntegersAreReadToo() {
        put(WEIGHT, "I8", List.of(2, 3), new byte[] {-128, -1, 0, 1, 127, 5});
        putHalves(MODULE + ".weight_scale", List.of(2, 1), 2, i -> i + 1.0f);
        assertRows(read("""
                {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"group_0": {
                 "targets": ["Linear"], "weights": {"num_bits": 8, "type": "int", "strategy": "channel"}}}}
                """), new float[] {-128, -1, 0, 2, 254, 10});
    }

    @Test
    void stackedExpertsOfMxfp4AreOneMatrix() {
        byte[] blocks = new byte[2 * 2 * 16];
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = (byte) (i % 16 | (15 - i % 16) << 4);
        }
        put("experts.gate_up_proj_blocks", "U8", List.of(2, 2, 1, 16), blocks);
        put("experts.gate_up_proj_scales", "U8", List.of(2, 2, 1), new byte[] {127, (byte) 128, 126, 120});
        QuantisedTensor tensor = reader("{\"quant_method\": \"mxfp4\"}")
                .tensor("experts.gate_up_proj")
                .orElseThrow();
        float[] numbers = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
        float[] scales = {1, 2, 0.5f, 0x1p-7f};
        float[] expected = new float[4 * 32];
        for (int i = 0; i < expected.length; i++) {
            int place = i / 2 % 16;
            expected[i] = numbers[i % 2 == 0 ? place : 15 - place] * scales[i / 32];
        }
        assertThat(tensor.shape()).containsExactly(4, 32);
        assertRows(tensor, expected);
    }

    @Test
    void modulesThatAreNotQuantisedAreNot() {
        putPacked(Weights.random(1, 3, 2, 4), false);
        String config = """
                {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["%s"],
                 "config_groups": {"group_0": {"targets": ["%s"], "weights": {"num_bits": 4, "type": "int"}}}}""";
        assertThat(reader(config.formatted("lm_head", "Linear")).tensor(WEIGHT)).isPresent();
        assertThat(reader(config.formatted("lm_head", "re:.*up_proj")).tensor(WEIGHT))
                .isPresent();
        assertThat(reader(config.formatted("lm_head", "re:.*down_proj")).tensor(WEIGHT))
                .isEmpty();
        assertThat(reader(config.formatted("re:.*mlp.*", "Linear")).tensor(WEIGHT))
                .isEmpty();
        assertThat(reader(config.formatted("mlp.up_proj", "Linear")).tensor(WEIGHT))
                .isEmpty();
        assertThat(reader(config.formatted("lp.up_proj", "Linear")).tensor(WEIGHT))
                .isPresent();
        assertThat(reader(config.formatted("lm_head", "Linear")).tensor("model.norm.weight"))
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"quant_method": "bitsandbytes", "load_in_4bit": true} | quantization_config.quant_method is "bitsandbytes", must be one of awq, compressed-tensors, fp8, gptq, mxfp4
            {"bits": 4} | quantization_config.quant_method is absent, must be one of
            {"quant_method": "gptq", "bits": 3, "group_size": 128} | quantization_config.bits is 3, must be 4 or 8
            {"quant_method": "gptq", "bits": 4, "group_size": 0} | quantization_config.group_size is 0, must be a whole number of at least 1, or -1
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "marlin"} | quantization_config.checkpoint_format is "marlin", must be gptq or gptq_v2
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "is_marlin_format": true} | quantization_config.is_marlin_format is true, must be false
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"-:.*": {}}} | quantization_config.dynamic is {"-:.*":{}}, must be absent
            {"quant_method": "awq", "bits": 8, "group_size": 128} | quantization_config.bits is 8, must be 4
            {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"} | quantization_config.version is "gemv", must be GEMM or gemm
            {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": false} | quantization_config.zero_point is false, must be true
            {"quant_method": "fp8", "fmt": "e5m2"} | quantization_config.fmt is "e5m2", must be e4m3
            {"quant_method": "fp8", "weight_block_size": [128]} | quantization_config.weight_block_size is [128], must be [rows, columns] of a block
            {"quant_method": "compressed-tensors", "format": "marlin-24", "config_groups": {"group_0": {}}} | quantization_config.format is "marlin-24", must be one of float-quantized
            {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", "config_groups": {"group_0": {}}} | quantization_config.format is "nvfp4-pack-quantized"
            {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {}} | quantization_config.config_groups is {}, must be at least one group
            {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"group_0": {"weights": null}}} | quantization_config.config_groups.group_0.weights is null, must be there
            {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"weights": {"num_bits": 2}}}} | quantization_config.config_groups.group_0.weights.num_bits is 2, must be 4 or 8
            {"quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "frozen"} | quantization_config.quantization_status is "frozen", must be compressed
            {"quant_method": "compressed-tensors", "format": "pack-quantized", "sparsity_config": {"format": "sparse-24-bitmask"}} | quantization_config.sparsity_config.format is "sparse-24-bitmask", must be dense
            """)
    void whatCannotBeReadIsRefusedByItsName(String config, String message) {
        assertThatThrownBy(() -> reader(config))
                .isInstanceOf(ModelLoadException.class)
                .hasMessageContaining("config.json: " + message);
    }

    @Test
    void columnsInTheOrderOfActivationsAreRefused() {
        Weights weights = Weights.random(7, 8, 8, 4);
        putGptq(weights, 1);
        int[] order = IntStream.range(0, weights.columns())
                .map(k -> (k + 1) % weights.columns() / weights.group())
                .toArray();
        putWords(MODULE + ".g_idx", List.of(weights.columns()), order);
        String config = "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": %d, \"desc_act\": true}"
                .formatted(weights.group());
        assertThat(weights.groups()).isGreaterThan(1);
        assertThatThrownBy(() -> read(config)).hasMessageContaining("desc_act").hasMessageContaining(".g_idx");
        // The same flag with columns in place is harmless.
        putGptq(weights, 1);
        assertElements(read(config), weights, true);
    }

    @Test
    void tensorsOfOtherShapesAndTypesAreNamed() {
        Weights weights = Weights.random(3, 8, 8, 4);
        String config = "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": %d}".formatted(weights.group());
        putGptq(weights, 1);
        putWords(MODULE + ".scales", List.of(weights.groups(), weights.rows()), new int[weights.scales().length]);
        assertThatThrownBy(() -> read(config)).hasMessageContaining(MODULE + ".scales has dtype I32");
        putGptq(weights, 1);
        putHalves(MODULE + ".scales", List.of(1, 1), 1, i -> 1.0f);
        assertThatThrownBy(() -> read(config))
                .hasMessageContaining(MODULE + ".scales has shape [1, 1], must have [")
                .isInstanceOf(ModelLoadException.class);
        files.remove(MODULE + ".qzeros");
        assertThatThrownBy(() -> read(config)).hasMessageContaining("has no tensor " + MODULE + ".qzeros");
    }
}
