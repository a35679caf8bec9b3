package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.Tensor;
import io.weft.model.Architecture.ExpertTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.TensorRows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Experts that lie in one tensor, plain and in MXFP4 (OCP Microscaling Formats 1.0), as gpt-oss has them. */
class StackedExpertsTest {
    private static final int EXPERTS = 3;
    private static final int HIDDEN = 64;
    private static final int INNER = 96;
    private static final int GROUP = 32;
    private static final float[] VALUES = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    private static final String CONFIG = """
            {"model_type": "gpt_oss", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "head_dim": 8,
             "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "num_local_experts": 3,
             "num_experts_per_tok": 2, "sliding_window": 16, "max_position_embeddings": 128%s}""";

    @TempDir
    private Path folder;

    private final Random random = new Random(1);

    /** A tensor in a file. */
    private record Stored(String type, List<Integer> shape, byte[] data) {}

    @Test
    void expertsInMxfp4AreThoseThatTheirCodesStandFor() throws IOException {
        Map<String, Stored> plain = new LinkedHashMap<>();
        Map<String, Stored> packed = new LinkedHashMap<>();
        describe("").visit(new Shapes(plain));
        for (Map.Entry<String, Stored> entry : plain.entrySet()) {
            packed.put(entry.getKey(), entry.getValue());
        }
        for (String name : List.copyOf(plain.keySet())) {
            if (name.endsWith("gate_up_proj") || name.endsWith("down_proj")) {
                packed.remove(name);
                int rows = name.endsWith("gate_up_proj") ? 2 * INNER : HIDDEN;
                int columns = name.endsWith("gate_up_proj") ? HIDDEN : INNER;
                stack(name, rows, columns, plain, packed);
            }
        }
        String quantised = ", \"quantization_config\": {\"quant_method\": \"mxfp4\"}";
        try (ModelFiles wanted = open("plain", "", plain);
                ModelFiles read = open("packed", quantised, packed)) {
            for (int layer = 0; layer < 2; layer++) {
                List<ExpertTensors> experts = experts(wanted, layer);
                for (int expert = 0; expert < EXPERTS; expert++) {
                    assertSame(
                            read,
                            experts(read, layer).get(expert).in(),
                            wanted,
                            experts.get(expert).in());
                    assertSame(
                            read,
                            experts(read, layer).get(expert).out(),
                            wanted,
                            experts.get(expert).out());
                }
            }
        }
    }

    private static void assertSame(ModelFiles read, LinearTensors actual, ModelFiles wanted, LinearTensors expected) {
        assertThat(actual.weight()).hasSameSizeAs(expected.weight());
        for (int part = 0; part < expected.weight().size(); part++) {
            Tensor tensor = read.rows(actual.weight().get(part));
            Tensor same = wanted.rows(expected.weight().get(part));
            assertThat(tensor.shape()).isEqualTo(same.shape());
            for (long i = 0; i < same.elements(); i++) {
                assertThat(tensor.element(i)).as("element %d", i).isEqualTo(same.element(i));
            }
        }
    }

    private static List<ExpertTensors> experts(ModelFiles files, int layer) {
        return ((FeedForward.Experts) files.architecture().layers().get(layer).feedForward()).experts();
    }

    private static Architecture describe(String more) throws IOException {
        ConfigReader config = FamilyDefaults.complete(
                new ConfigReader(Path.of("config.json"), ModelFiles.JSON.readTree(CONFIG.formatted(more))));
        return ModelFamily.of(config).describe(config);
    }

    /** Two codes a byte, the first in the lower bits; a plain tensor is transposed. */
    private void stack(String name, int rows, int columns, Map<String, Stored> plain, Map<String, Stored> packed) {
        byte[] codes = new byte[EXPERTS * rows * columns / 2];
        byte[] scales = new byte[EXPERTS * rows * columns / GROUP];
        random.nextBytes(codes);
        for (int i = 0; i < scales.length; i++) {
            scales[i] = (byte) (120 + random.nextInt(8));
        }
        ByteBuffer values = ByteBuffer.allocate(2 * EXPERTS * rows * columns).order(ByteOrder.LITTLE_ENDIAN);
        for (int expert = 0; expert < EXPERTS; expert++) {
            for (int row = 0; row < rows; row++) {
                for (int column = 0; column < columns; column++) {
                    int at = (expert * rows + row) * columns + column;
                    int code = (codes[at / 2] >> (4 * (at % 2))) & 0xF;
                    float value = VALUES[code] * (float) Math.pow(2, Byte.toUnsignedInt(scales[at / GROUP]) - 127);
                    values.putShort(2 * ((expert * columns + column) * rows + row), (short)
                            (Float.floatToRawIntBits(value) >> 16));
                }
            }
        }
        plain.put(name, new Stored("BF16", List.of(EXPERTS, columns, rows), values.array()));
        packed.put(name + "_blocks", new Stored("U8", List.of(EXPERTS, rows, columns / GROUP, GROUP / 2), codes));
        packed.put(name + "_scales", new Stored("U8", List.of(EXPERTS, rows, columns / GROUP), scales));
    }

    private ModelFiles open(String name, String more, Map<String, Stored> tensors) throws IOException {
        Path directory = Files.createDirectory(folder.resolve(name));
        Files.writeString(directory.resolve("config.json"), CONFIG.formatted(more));
        List<String> header = new ArrayList<>();
        long at = 0;
        for (Map.Entry<String, Stored> entry : tensors.entrySet()) {
            Stored stored = entry.getValue();
            header.add("\"%s\": {\"dtype\": \"%s\", \"shape\": %s, \"data_offsets\": [%d, %d]}"
                    .formatted(entry.getKey(), stored.type(), stored.shape(), at, at + stored.data().length));
            at += stored.data().length;
        }
        byte[] json = ("{" + String.join(", ", header) + "}").getBytes(StandardCharsets.UTF_8);
        ByteBuffer file = ByteBuffer.allocate(Math.toIntExact(Long.BYTES + json.length + at))
                .order(ByteOrder.LITTLE_ENDIAN);
        file.putLong(json.length).put(json);
        tensors.values().forEach(stored -> file.put(stored.data()));
        Files.write(directory.resolve("model.safetensors"), file.array());
        return ModelFiles.open(new ModelSource.Directory(directory));
    }

    /** Random tensors of the least shapes. */
    private final class Shapes implements Architecture.TensorVisitor {
        private final Map<String, Stored> tensors;

        Shapes(Map<String, Stored> tensors) {
            this.tensors = tensors;
        }

        private void add(String name, List<Integer> shape) {
            int elements = shape.stream().reduce(1, (a, b) -> a * b);
            if (!tensors.containsKey(name) || tensors.get(name).data().length < 2 * elements) {
                byte[] data = new byte[2 * elements];
                for (int i = 0; i < elements; i++) {
                    data[2 * i + 1] = 0x3D;
                    data[2 * i] = (byte) random.nextInt(256);
                }
                tensors.put(name, new Stored("BF16", shape, data));
            }
        }

        @Override
        public void table(String name, int rows, int columns) {
            add(name, List.of(rows, columns));
        }

        @Override
        public void linear(LinearTensors linear, int rows, int columns) {
            for (TensorRows part : linear.weight()) {
                add(part.tensor(), part.leastShape(List.of(columns)));
            }
            for (TensorRows part : linear.bias()) {
                add(part.tensor(), part.leastShape(List.of()));
            }
        }

        @Override
        public void norm(NormTensors norm, List<Integer> widths) {
            norm.gain().ifPresent(name -> add(name, widths.subList(0, 1)));
            norm.bias().ifPresent(name -> add(name, widths.subList(0, 1)));
        }

        @Override
        public void vector(String name, int elements) {
            add(name, List.of(elements));
        }
    }
}
