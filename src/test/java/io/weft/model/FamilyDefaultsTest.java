package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.device.Activation;
import io.weft.device.Norm;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.Positions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a configuration means where it is silent, as Hugging Face transformers' configuration classes have it. */
class FamilyDefaultsTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static Architecture described(String json) throws IOException {
        ConfigReader config = new ConfigReader(Path.of("config.json"), JSON.readTree(json));
        String type = config.text("model_type").orElseThrow();
        return ModelFamily.all().stream()
                .filter(family -> family.modelTypes().contains(type))
                .findFirst()
                .orElseThrow()
                .describe(FamilyDefaults.complete(config));
    }

    private static Architecture described(String type, String field, String value) throws IOException {
        ObjectNode json = JSON.createObjectNode().put("model_type", type);
        json.set(field, JSON.readTree(value));
        return described(json.toString());
    }

    @Test
    void everyFamilyIsInTheTable() {
        assertThat(FamilyDefaults.modelTypes())
                .isEqualTo(ModelFamily.all().stream()
                        .flatMap(family -> family.modelTypes().stream())
                        .collect(Collectors.toSet()));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            opt      | 12 | 768  | 12 | 12 | 64  | 3072  | 50272  | 2048   | 1e-5 |       |   | RELU      | true
            llama    | 32 | 4096 | 32 | 32 | 128 | 11008 | 32000  | 2048   | 1e-6 |       | 64 | SILU      | false
            mistral  | 32 | 4096 | 32 | 8  | 128 | 14336 | 32000  | 131072 | 1e-6 | 4096  | 64 | SILU      | false
            qwen2    | 32 | 4096 | 32 | 32 | 128 | 22016 | 151936 | 32768  | 1e-6 |       | 64 | SILU      | false
            phi3     | 32 | 3072 | 32 | 32 | 96  | 8192  | 32064  | 4096   | 1e-5 |       | 48 | SILU      | false
            gemma    | 28 | 3072 | 16 | 16 | 256 | 24576 | 256000 | 8192   | 1e-6 |       | 128 | GELU_TANH | true
            gpt_neox | 44 | 6144 | 64 | 64 | 96  | 24576 | 50432  | 2048   | 1e-5 |       | 12 | GELU      | false
            """)
    void aFamilyWithoutFieldsIsTheReferences(
            String type,
            int layers,
            int hidden,
            int heads,
            int keyValueHeads,
            int headSize,
            int feedForward,
            int vocabulary,
            int positions,
            float epsilon,
            Integer window,
            Integer rotatedPairs,
            Activation activation,
            boolean tied)
            throws IOException {
        Architecture all = described("{\"model_type\": \"" + type + "\"}");
        Architecture.Layer layer = all.layers().getFirst();
        LayerDimensions sizes = new LayerDimensions(
                heads,
                keyValueHeads,
                headSize,
                window == null ? LayerDimensions.NO_WINDOW : window,
                FeedForwardDimensions.dense(layer.feedForward().dimensions().kind(), feedForward));
        assertThat(all.dimensions()).isEqualTo(ModelDimensions.uniform(layers, hidden, vocabulary, positions, sizes));
        float norm = switch (all.normKind()) {
            case Norm.Kind.RmsNorm(float value, float gain) -> value;
            case Norm.Kind.LayerNorm(float value) -> value;
        };
        assertThat(norm).isEqualTo(epsilon);
        assertThat(activation(all)).isEqualTo(activation);
        assertThat(all.head().rows().tensor().equals(all.embedding().tokens())).isEqualTo(tied);
        if (rotatedPairs == null) {
            assertThat(layer.attention().positions()).isInstanceOf(Positions.None.class);
        } else {
            Positions.Rotary rotary = (Positions.Rotary) layer.attention().positions();
            assertThat(rotary.inverseFrequencies()).hasSize(rotatedPairs);
            assertThat(base(rotary)).isBetween(9_999f, 10_001f);
        }
    }

    private static Architecture.Layer firstLayer(Architecture described) {
        return described.layers().getFirst();
    }

    private static Activation activation(Architecture described) {
        return switch (firstLayer(described).feedForward()) {
            case FeedForward.Plain plain -> plain.activation();
            case FeedForward.Gated gated -> gated.activation();
            case FeedForward.Experts _ -> throw new AssertionError("experts");
        };
    }

    private static LinearTensors in(Architecture.Layer layer) {
        return switch (layer.feedForward()) {
            case FeedForward.Plain plain -> plain.in();
            case FeedForward.Gated gated -> gated.in();
            case FeedForward.Experts _ -> throw new AssertionError("experts");
        };
    }

    /** The base of a rotary table: of n pairs, the second has base to the power of -1/n. */
    private static float base(Positions.Rotary rotary) {
        return (float) Math.pow(
                rotary.inverseFrequencies().get(1), -rotary.inverseFrequencies().size());
    }

    @Test
    void biasesAreTheFamilys() throws IOException {
        for (String type : FamilyDefaults.modelTypes()) {
            Architecture.Layer layer = firstLayer(described("{\"model_type\": \"" + type + "\"}"));
            boolean everywhere = type.equals("opt") || type.equals("gpt_neox");
            assertThat(layer.attention().query().bias().isEmpty()).isEqualTo(!everywhere && !type.equals("qwen2"));
            assertThat(layer.attention().output().bias().isEmpty()).isEqualTo(!everywhere);
            assertThat(in(layer).bias().isEmpty()).isEqualTo(!everywhere);
        }
        assertThat(firstLayer(described("llama", "attention_bias", "true"))
                        .attention()
                        .output()
                        .bias())
                .isNotEmpty();
        // The reference's Mistral has none, whatever its configuration says.
        assertThat(firstLayer(described("mistral", "attention_bias", "true"))
                        .attention()
                        .output()
                        .bias())
                .isEmpty();
    }

    @Test
    void aFieldThatIsNullIsNotSilent() throws IOException {
        assertThat(firstLayer(described("mistral", "sliding_window", "null"))
                        .attention()
                        .window())
                .isEqualTo(LayerDimensions.NO_WINDOW);
        assertThat(firstLayer(described("mistral", "num_key_value_heads", "null"))
                        .attention()
                        .keyValueHeads())
                .isEqualTo(32);
        assertThat(firstLayer(described("llama", "head_dim", "null"))
                        .attention()
                        .headSize())
                .isEqualTo(128);
    }

    @Test
    void theFirstGemmasNameTheWrongFunction() throws IOException {
        assertThat(activation(described("gemma", "hidden_act", "\"gelu\""))).isEqualTo(Activation.GELU_TANH);
        assertThat(activation(described("gemma", "hidden_activation", "null"))).isEqualTo(Activation.GELU_TANH);
        assertThat(activation(described("gemma", "hidden_activation", "\"gelu\"")))
                .isEqualTo(Activation.GELU);
        // Only Gemma has that field.
        assertThat(activation(described("llama", "hidden_activation", "\"gelu\"")))
                .isEqualTo(Activation.SILU);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"rotary_emb_base": 500, "rotary_pct": 0.5}                                        | 500  | 24
            {"rope_theta": 500}                                                                | 500  | 12
            {"rope_theta": 500, "rotary_emb_base": 400}                                        | 500  | 12
            {"rope_parameters": {"rope_theta": 500, "partial_rotary_factor": 1}}               | 500  | 48
            {"rope_parameters": {"rope_type": "default"}, "rotary_emb_base": 500}              | 500  | 12
            {"rope_scaling": null, "rotary_emb_base": 500.0}                                   | 500  | 12
            """)
    void rotaryPositionsOfGptNeoXHaveTheirOwnSpelling(String fields, float base, int pairs) throws IOException {
        ObjectNode json = (ObjectNode) JSON.readTree(fields);
        Positions.Rotary rotary = (Positions.Rotary)
                firstLayer(described(json.put("model_type", "gpt_neox").toString()))
                        .attention()
                        .positions();
        assertThat(base(rotary)).isBetween(base * 0.999f, base * 1.001f);
        assertThat(rotary.inverseFrequencies()).hasSize(pairs);
    }

    @Test
    void windowsOfUpperLayersAreRefusedOnlyIfThereAreSome() throws IOException {
        String windowed = "{\"model_type\": \"qwen2\", \"use_sliding_window\": true, \"max_window_layers\": %d}";
        assertThat(firstLayer(described(windowed.formatted(32))).attention().window())
                .isEqualTo(LayerDimensions.NO_WINDOW);
        assertThatThrownBy(() -> described(windowed.formatted(28)))
                .isInstanceOf(ModelLoadException.class)
                .hasMessageContaining("use_sliding_window is true");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            llama    | rms_norm_eps                | -1e-6 | rms_norm_eps is -0.000001, must be a number above 0
            llama    | rope_theta                  | 0     | rope_theta is 0, must be a number above 0
            llama    | rope_scaling                | {"rope_type": "llama3", "factor": 8} | lacks low_freq_factor
            llama    | rope_scaling                | {"type": "linear"} | lacks factor
            gemma    | use_bidirectional_attention | true  | use_bidirectional_attention is true, must be false
            gpt_neox | rotary_pct                  | 2     | such that an even number
            opt      | enable_bias                 | "yes" | enable_bias is "yes", must be true or false
            mistral  | sliding_window              | 0     | sliding_window is 0, must be a whole number of at least 1
            """)
    void whatCannotBeIsNamed(String type, String field, String value, String message) {
        assertThatThrownBy(() -> described(type, field, value))
                .isInstanceOf(ModelLoadException.class)
                .hasMessageContaining(message.split(" is ", -1)[0])
                .hasMessageContaining(message.substring(Math.max(0, message.indexOf("must"))));
    }

    /** Sizes are whole numbers, however they are spelt. */
    @Test
    void sixtyFourMayBeSpeltWithAPoint() throws IOException {
        JsonNode json = JSON.readTree("{\"model_type\": \"llama\", \"hidden_size\": 64.0, \"num_hidden_layers\": 3e0}");
        assertThat(described(json.toString()).dimensions().hiddenSize()).isEqualTo(64);
        assertThat(described(json.toString()).dimensions().layerCount()).isEqualTo(3);
    }
}
