package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.device.Tensor;
import io.weft.model.Architecture.Positions;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelFilesTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private Path folder;

    private Path copyOf(String golden) throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/test/resources/goldens", golden))) {
            for (Path file : files.toList()) {
                Files.copy(file, folder.resolve(file.getFileName()));
            }
        }
        return folder;
    }

    private void editConfig(Consumer<ObjectNode> edit) throws IOException {
        Path file = folder.resolve("config.json");
        ObjectNode config = (ObjectNode) JSON.readTree(file.toFile());
        edit.accept(config);
        JSON.writeValue(file.toFile(), config);
    }

    private ModelFiles open() {
        return ModelFiles.open(new ModelSource.Directory(folder));
    }

    private void assertRefused(String... parts) {
        assertThatThrownBy(this::open).isInstanceOf(ModelLoadException.class).satisfies(error -> {
            assertThat(error.getMessage()).contains(folder.toString()).doesNotContain("\n");
            assertThat(error.getMessage()).contains(parts);
        });
    }

    @Test
    void theDemoModelIsBuiltIn() {
        try (ModelFiles files = ModelFiles.open(new ModelSource.Demo())) {
            assertThat(files.architecture().dimensions().layerCount()).isEqualTo(8);
            assertThat(files.generation().endTokens()).containsExactly(2);
        }
    }

    @Test
    void aMissingFileIsNamed() throws IOException {
        copyOf("opt");
        Files.delete(folder.resolve("model.safetensors"));
        assertRefused("model.safetensors", "there is no such file");
        Files.delete(folder.resolve("config.json"));
        assertRefused("config.json", "there is no such file");
    }

    @Test
    void aMissingDirectoryIsNamed() {
        assertThatThrownBy(() -> ModelFiles.open(new ModelSource.Directory(folder.resolve("nowhere"))))
                .isInstanceOf(ModelLoadException.class)
                .hasMessageContaining("nowhere: there is no such directory");
    }

    @Test
    void aMissingShardIsNamed() throws IOException {
        copyOf("llama3-gqa");
        Files.delete(folder.resolve("model-00002-of-00004.safetensors"));
        assertRefused("model-00002-of-00004.safetensors", "model.safetensors.index.json names it");
    }

    @Test
    void aShardOutsideTheDirectoryIsRefused() throws IOException {
        copyOf("llama3-gqa");
        Path index = folder.resolve("model.safetensors.index.json");
        Files.writeString(index, Files.readString(index).replace("model-00002-of", "../model-00002-of"));
        assertRefused("model.safetensors.index.json", "../model-00002-of");
    }

    @Test
    void truncatedWeightsAreRefused() throws IOException {
        copyOf("opt");
        Path weights = folder.resolve("model.safetensors");
        byte[] whole = Files.readAllBytes(weights);
        Files.write(weights, java.util.Arrays.copyOf(whole, whole.length - 1));
        assertRefused("model.safetensors", "truncated");
    }

    @Test
    void otherWeightFormatsAreNamed() throws IOException {
        copyOf("opt");
        Files.move(folder.resolve("model.safetensors"), folder.resolve("pytorch_model.bin"));
        assertRefused("pytorch_model.bin cannot be read", "safetensors");
    }

    @Test
    void anUnknownArchitectureIsNamedWithThoseThatAreKnown() throws IOException {
        copyOf("opt");
        editConfig(config -> config.put("model_type", "bert"));
        assertRefused("config.json", "model_type is \"bert\", must be one of", "llama", "opt");
    }

    @ParameterizedTest
    @CsvSource({
        "mamba, linear attention is not served",
        "qwen3_next, linear attention is not served",
        "deepseek_v3, multi-head latent attention is not served"
    })
    void otherAttentionIsRefusedWithAReason(String type, String reason) throws IOException {
        copyOf("opt");
        editConfig(config -> config.put("model_type", type));
        assertRefused("config.json", "model_type is \"" + type + "\": " + reason);
    }

    /** As of families that are newer than this list. */
    @ParameterizedTest
    @CsvSource({"kv_lora_rank, latent", "linear_num_key_heads, linear"})
    void otherAttentionIsKnownByItsFields(String field, String reason) throws IOException {
        copyOf("opt");
        editConfig(config -> {
            config.put("model_type", "newest");
            config.putObject("text_config").put(field, 4);
        });
        assertRefused("model_type is \"newest\"", reason + " attention is not served");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            hidden_size                | 48     | project_in.weight
            hidden_size                | 0      | hidden_size is 0
            hidden_size                | "big"  | hidden_size is "big"
            num_attention_heads        | 5      | num_attention_heads is 5
            num_hidden_layers          | 4      | has no tensor model.decoder.layers.3
            vocab_size                 | 400    | has shape
            ffn_dim                    | 161    | has shape
            word_embed_proj_dim        | 32     | has shape
            activation_function        | "mish" | activation_function is "mish"
            num_attention_heads        | 2.5    | num_attention_heads is 2.5
            quantization_config        | {}     | quantization_config
            """)
    void aConfigurationThatCannotBeRunIsRefused(String field, String value, String cause) throws IOException {
        copyOf("opt");
        Path file = folder.resolve("config.json");
        ObjectNode config = (ObjectNode) JSON.readTree(file.toFile());
        config.set(field, JSON.readTree(value));
        JSON.writeValue(file.toFile(), config);
        assertRefused(cause);
    }

    @Test
    void aConfigurationThatIsNoJsonIsRefused() throws IOException {
        copyOf("opt");
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"opt\",");
        assertRefused("config.json", "is not JSON");
    }

    @Test
    void rotaryPositionsMayBeSpeltTheOldOrTheNewWay() throws IOException {
        copyOf("llama3-gqa");
        List<Float> newer = frequencies();
        editConfig(config -> {
            ObjectNode parameters = (ObjectNode) config.remove("rope_parameters");
            config.set("rope_theta", parameters.remove("rope_theta"));
            config.set("rope_scaling", parameters);
            config.set("torch_dtype", config.remove("dtype"));
        });
        assertThat(frequencies()).isEqualTo(newer);
        // Older still: "type" for "rope_type".
        editConfig(config -> {
            ObjectNode scaling = (ObjectNode) config.get("rope_scaling");
            scaling.set("type", scaling.remove("rope_type"));
        });
        assertThat(frequencies()).isEqualTo(newer);
    }

    /** Values of transformers' {@code _compute_llama3_parameters} in fp64, for the golden's parameters. */
    @Test
    void longWavelengthsAreStretchedShortOnesStay() throws IOException {
        copyOf("llama3-gqa");
        List<Float> frequencies = frequencies();
        double theta = 500_000;
        for (int j = 0; j < frequencies.size(); j++) {
            double plain = Math.pow(theta, -2.0 * j / 32);
            double wavelength = 2 * Math.PI / plain;
            double wanted;
            if (wavelength > 64) {
                wanted = plain / 8;
            } else if (wavelength < 16) {
                wanted = plain;
            } else {
                double smooth = (64 / wavelength - 1) / 3;
                wanted = (1 - smooth) * plain / 8 + smooth * plain;
            }
            assertThat((double) frequencies.get(j)).isCloseTo(wanted, within(1e-6 * wanted));
        }
    }

    @Test
    void anUnknownScalingOfPositionsIsRefused() throws IOException {
        copyOf("llama3-gqa");
        editConfig(config -> ((ObjectNode) config.get("rope_parameters")).put("rope_type", "ntk"));
        assertRefused("rope_type is \"ntk\"");
    }

    /** As when a model's vision tower, or its unused head, was not downloaded. */
    @Test
    void aShardOfTensorsThatNobodyNeedsMayBeAbsent() throws IOException {
        copyOf("llama3-gqa");
        Path index = folder.resolve("model.safetensors.index.json");
        ObjectNode json = (ObjectNode) JSON.readTree(index.toFile());
        ((ObjectNode) json.get("weight_map")).put("vision.weight", "model-00009-of-00009.safetensors");
        JSON.writeValue(index.toFile(), json);
        try (ModelFiles files = open()) {
            assertThat(files.architecture().dimensions().layerCount()).isPositive();
        }
    }

    @Test
    void pythonsNumbersAreRead() throws IOException {
        copyOf("llama-mha");
        Path config = folder.resolve("config.json");
        Files.writeString(
                config,
                Files.readString(config)
                        .replaceFirst("\\{", "{\"initializer_range\": Infinity, \"foo\": NaN,")
                        .replaceFirst("\"hidden_size\": 64", "\"hidden_size\": 64.0"));
        Files.writeString(folder.resolve("generation_config.json"), "{\"foo\": -Infinity}");
        try (ModelFiles files = open()) {
            assertThat(files.architecture().dimensions().hiddenSize()).isEqualTo(64);
        }
    }

    /** A checkpoint of the inner module has names without its prefix. */
    @ParameterizedTest
    @CsvSource({"gpt-neox, gpt_neox.", "opt, model.", "llama-mha, model."})
    void namesMayLackTheOutermostPrefix(String golden, String prefix) throws IOException {
        copyOf(golden);
        rename(name -> name.startsWith(prefix) ? name.substring(prefix.length()) : name);
        try (ModelFiles files = open()) {
            assertThat(files.architecture().dimensions().layerCount()).isPositive();
        }
    }

    @Test
    void gainsOfHeadsMayBeStoredApart() throws IOException {
        copyOf("stablelm-parallel");
        String name = "model.layers.0.self_attn.q_layernorm.norms.";
        try (ModelFiles files = open()) {
            Tensor all = files.tensor(name + "*.weight");
            assertThat(all.shape()).containsExactly(4 * 16);
            assertThat(all.element(16 + 5))
                    .isEqualTo(files.tensor(name + "1.weight").element(5));
            assertThat(files.storage(name + "*.weight").bytes().values()).containsExactly(32L, 32L, 32L, 32L);
        }
        rename(tensor -> tensor.replace("q_layernorm.norms.3", "q_layernorm.norms.7"));
        assertRefused(name + "*.weight has shape [48], must have [16] or [64]");
    }

    /** Renames the tensors of the only file. */
    private void rename(UnaryOperator<String> names) throws IOException {
        Path file = folder.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        ObjectNode renamed = JSON.createObjectNode();
        JSON.readTree(bytes, Long.BYTES, length)
                .properties()
                .forEach(entry -> renamed.set(names.apply(entry.getKey()), entry.getValue()));
        byte[] header = JSON.writeValueAsBytes(renamed);
        ByteBuffer out =
                ByteBuffer.allocate(bytes.length - length + header.length).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(header.length).put(header).put(bytes, Long.BYTES + length, bytes.length - Long.BYTES - length);
        Files.write(file, out.array());
    }

    @Test
    void aConfigurationThatIsSilentHasItsFamilysValues() throws IOException {
        copyOf("gemma");
        editConfig(config -> config.remove("tie_word_embeddings"));
        try (ModelFiles files = open()) {
            Architecture described = files.architecture();
            assertThat(described.head().rows().tensor())
                    .isEqualTo(described.embedding().tokens());
        }
    }

    @Test
    void aValueOutOfRangeStopsTheStart() throws IOException {
        copyOf("opt");
        Files.writeString(folder.resolve("generation_config.json"), "{\"temperature\": 5}");
        assertRefused("generation_config.json", "temperature is 5, must be a number from 0, to 2");
    }

    private List<Float> frequencies() {
        try (ModelFiles files = open()) {
            return ((Positions.Rotary)
                            files.architecture().layers().getFirst().attention().positions())
                    .inverseFrequencies();
        }
    }

    @Test
    void aFingerprintTellsModelsApart() {
        Set<String> seen = new HashSet<>();
        for (String name : List.of("opt", "opt-fp16", "llama-mha", "llama-fp8-block", "gemma3")) {
            List<String> ofModel = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                try (ModelFiles files =
                        ModelFiles.open(new ModelSource.Directory(Path.of("src/test/resources/goldens", name)))) {
                    ofModel.add(HexFormat.of().formatHex(files.fingerprint()));
                }
            }
            assertThat(ofModel.getFirst()).isEqualTo(ofModel.getLast());
            assertThat(seen.add(ofModel.getFirst())).as(name).isTrue();
        }
    }
}
