package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.device.Activation;
import io.weft.device.Gating;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.Positions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
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

    /** The first layer's sizes, and the base of its positions; of experts, the inner size of one. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            opt         | 12 | 768  | 12 | 12 | 64  | 3072  | 50272  | 2048   | 1e-5 |      |     |         | RELU | true
            llama       | 32 | 4096 | 32 | 32 | 128 | 11008 | 32000  | 2048   | 1e-6 |      | 64  | 10000   | SILU | false
            mistral     | 32 | 4096 | 32 | 8  | 128 | 14336 | 32000  | 131072 | 1e-6 | 4096 | 64  | 10000   | SILU | false
            mixtral     | 32 | 4096 | 32 | 8  | 128 | 14336 | 32000  | 131072 | 1e-5 |      | 64  | 1000000 | SILU | false
            qwen2       | 32 | 4096 | 32 | 32 | 128 | 22016 | 151936 | 32768  | 1e-6 |      | 64  | 10000   | SILU | false
            qwen2_moe   | 24 | 2048 | 16 | 16 | 128 | 1408  | 151936 | 32768  | 1e-6 |      | 64  | 10000   | SILU | false
            qwen3       | 32 | 4096 | 32 | 32 | 128 | 22016 | 151936 | 32768  | 1e-6 |      | 64  | 10000   | SILU | false
            qwen3_moe   | 24 | 2048 | 32 | 4  | 64  | 768   | 151936 | 32768  | 1e-6 |      | 32  | 10000   | SILU | false
            phi3        | 32 | 3072 | 32 | 32 | 96  | 8192  | 32064  | 4096   | 1e-5 |      | 48  | 10000   | SILU | false
            gemma       | 28 | 3072 | 16 | 16 | 256 | 24576 | 256000 | 8192   | 1e-6 |      | 128 | 10000   | GELU_TANH | true
            gemma2      | 26 | 2304 | 8  | 4  | 256 | 9216  | 256000 | 8192   | 1e-6 | 4096 | 128 | 10000   | GELU_TANH | true
            gemma3      | 26 | 2304 | 8  | 4  | 256 | 9216  | 262208 | 131072 | 1e-6 | 4096 | 128 | 10000   | GELU_TANH | true
            gemma3_text | 26 | 2304 | 8  | 4  | 256 | 9216  | 262208 | 131072 | 1e-6 | 4096 | 128 | 10000   | GELU_TANH | true
            olmo2       | 32 | 4096 | 32 | 32 | 128 | 11008 | 50304  | 2048   | 1e-5 |      | 64  | 10000   | SILU | false
            olmo3       | 32 | 4096 | 32 | 32 | 128 | 11008 | 50304  | 2048   | 1e-5 | 4096 | 64  | 500000  | SILU | false
            smollm3     | 36 | 2048 | 16 | 4  | 128 | 11008 | 128256 | 32768  | 1e-6 |      | 64  | 2000000 | SILU | true
            granite     | 32 | 4096 | 32 | 32 | 128 | 11008 | 32000  | 2048   | 1e-6 |      | 64  | 10000   | SILU | false
            glm         | 40 | 4096 | 32 | 2  | 128 | 13696 | 151552 | 131072 | 1.5625e-7 | | 32  | 10000   | SILU | false
            glm4        | 40 | 4096 | 32 | 2  | 128 | 13696 | 151552 | 131072 | 1.5625e-7 | | 32  | 10000   | SILU | false
            stablelm    | 32 | 2560 | 32 | 32 | 80  | 6912  | 50304  | 4096   | 1e-5 |      | 10  | 10000   | SILU | false
            starcoder2  | 30 | 3072 | 24 | 2  | 128 | 12288 | 49152  | 4096   | 1e-5 |      | 64  | 10000   | GELU_TANH | true
            cohere      | 40 | 8192 | 64 | 64 | 128 | 22528 | 256000 | 8192   | 1e-5 |      | 64  | 500000  | SILU | true
            cohere2     | 40 | 8192 | 64 | 64 | 128 | 22528 | 256000 | 8192   | 1e-5 | 4096 | 64  | 10000   | SILU | true
            gpt_neox    | 44 | 6144 | 64 | 64 | 96  | 24576 | 50432  | 2048   | 1e-5 |      | 12  | 10000   | GELU | false
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
            Float base,
            Activation activation,
            boolean tied)
            throws IOException {
        Architecture all = described("{\"model_type\": \"" + type + "\"}");
        Architecture.Layer layer = all.layers().getFirst();
        FeedForwardDimensions network = layer.feedForward().dimensions();
        assertThat(layer.dimensions())
                .isEqualTo(new LayerDimensions(
                        heads, keyValueHeads, headSize, window == null ? LayerDimensions.NO_WINDOW : window, network));
        assertThat(network.experts() > 0 ? network.expertSize() : network.size())
                .isEqualTo(feedForward);
        assertThat(all.dimensions())
                .extracting(
                        ModelDimensions::layerCount,
                        ModelDimensions::hiddenSize,
                        ModelDimensions::vocabularySize,
                        ModelDimensions::maxPositions)
                .containsExactly(layers, hidden, vocabulary, positions);
        assertThat(all.normKind().epsilon()).isEqualTo(epsilon);
        assertThat(activation(all)).isEqualTo(activation);
        assertThat(all.head().rows().tensor().equals(all.embedding().tokens())).isEqualTo(tied);
        if (rotatedPairs == null) {
            assertThat(layer.attention().positions()).isInstanceOf(Positions.None.class);
        } else {
            Positions.Rotary rotary = (Positions.Rotary) layer.attention().positions();
            assertThat(rotary.inverseFrequencies()).hasSize(rotatedPairs);
            assertThat(base(rotary)).isBetween(base * 0.999f, base * 1.001f);
        }
    }

    /** Of these, a configuration without fields is one that is not served. */
    @Test
    void theLargestFamiliesAreTheReferencesToo() throws IOException {
        Architecture gptOss = described("{\"model_type\": \"gpt_oss\"}");
        assertThat(gptOss.dimensions().groups()).hasSize(2);
        assertThat(gptOss.layers().getFirst().dimensions())
                .isEqualTo(new LayerDimensions(
                        64, 8, 64, 128, new FeedForwardDimensions(FeedForwardDimensions.Kind.GATED, 0, 128, 4, 2880)));
        assertThat(((Positions.Rotary) gptOss.layers().getFirst().attention().positions()).magnitude())
                .isCloseTo((float) (0.1 * Math.log(32) + 1), within(1e-6f));
        Architecture gemma = described("gemma4_text", "hidden_size_per_layer_input", "0");
        assertThat(gemma.layers()).hasSize(30);
        assertThat(gemma.layers().get(4).dimensions())
                .isEqualTo(new LayerDimensions(
                        8, 4, 256, 512, FeedForwardDimensions.dense(FeedForwardDimensions.Kind.GATED, 9216)));
        assertThat(gemma.layers().get(5).dimensions())
                .isEqualTo(new LayerDimensions(
                        8,
                        4,
                        512,
                        LayerDimensions.NO_WINDOW,
                        FeedForwardDimensions.dense(FeedForwardDimensions.Kind.GATED, 9216)));
    }

    private static Architecture.Layer firstLayer(Architecture described) {
        return described.layers().getFirst();
    }

    private static Activation activation(Architecture described) {
        return switch (firstLayer(described).feedForward()) {
            case FeedForward.Plain plain -> plain.activation();
            case FeedForward.Gated gated -> gated.activation();
            case FeedForward.Experts experts ->
                switch (experts.gating()) {
                    case Gating.Activated(Activation activation) -> activation;
                    case Gating.ClampedSwiGlu _ -> Activation.SILU;
                };
        };
    }

    private static LinearTensors in(Architecture.Layer layer) {
        return switch (layer.feedForward()) {
            case FeedForward.Plain plain -> plain.in();
            case FeedForward.Gated gated -> gated.in();
            case FeedForward.Experts experts -> experts.experts().getFirst().in();
        };
    }

    /** The base of a rotary table: of n pairs, the second has base to the power of -1/n. */
    private static float base(Positions.Rotary rotary) {
        return (float) Math.pow(
                rotary.inverseFrequencies().get(1), -rotary.inverseFrequencies().size());
    }

    /** Of queries (q), the output of attention (o), and the feed-forward network (f). */
    @ParameterizedTest
    @CsvSource({
        "opt, qof",
        "gpt_neox, qof",
        "starcoder2, qof",
        "gpt_oss, qof",
        "gpt2, qof",
        "phi, qof",
        "gptj, f",
        "qwen2, q",
        "qwen2_moe, q",
        "glm, q",
        "glm4, q"
    })
    void biasesAreTheFamilys(String type, String where) throws IOException {
        assertThat(biases(type)).isEqualTo(where);
    }

    @Test
    void otherFamiliesHaveNoBiases() throws IOException {
        Set<String> others = new TreeSet<>(FamilyDefaults.modelTypes());
        others.removeAll(Set.of(
                "opt",
                "gpt_neox",
                "starcoder2",
                "gpt_oss",
                "gpt2",
                "phi",
                "gptj",
                "qwen2",
                "qwen2_moe",
                "glm",
                "glm4"));
        for (String type : others) {
            assertThat(biases(type)).as(type).isEmpty();
        }
    }

    private static String biases(String type) throws IOException {
        Architecture.Layer layer = firstLayer(described(type, "hidden_size_per_layer_input", "0"));
        return (layer.attention().query().bias().isEmpty() ? "" : "q")
                + (layer.attention().output().bias().isEmpty() ? "" : "o")
                + (in(layer).bias().isEmpty() ? "" : "f");
    }

    @Test
    void someBiasesAreTheConfigurations() throws IOException {
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

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            llama    | rms_norm_eps                | -1e-6 | rms_norm_eps is -0.000001, must be a number above 0
            llama    | rope_theta                  | 0     | rope_theta is 0, must be a number above 0
            llama    | rope_scaling                | {"rope_type": "llama3", "factor": 8} | lacks low_freq_factor
            llama    | rope_scaling                | {"type": "linear"} | lacks factor
            gemma    | use_bidirectional_attention | true  | use_bidirectional_attention is true, must be false
            gpt_neox | rotary_pct                  | 2     | such that an even number
            llama    | rope_scaling                | {"type": "dynamic", "factor": 2} | type is "dynamic", must be default, linear, llama3, yarn or longrope: with dynamic
            phi3     | rope_scaling                | {"type": "longrope", "short_factor": [1], "long_factor": [1]} | must be a list of 48 numbers
            phi3     | rope_scaling                | {"type": "longrope"} | lacks short_factor
            qwen2    | layer_types                 | ["linear_attention"] | must be a list of at least 32 types
            olmo3    | layer_types                 | 7     | must be a list
            falcon   | alibi                       | true  | alibi is true, must be false: scores with a bias by distance
            gptj     | rotary_dim                  | 7     | rotary_dim is 7, must be an even number, at most the size of a head, 256
            phi      | qk_layernorm                | true  | qk_layernorm is true, must be false
            gpt2     | add_cross_attention         | true  | add_cross_attention is true, must be false
            gemma4   | hidden_size_per_layer_input | 256   | must be 0: embeddings of layers
            mixtral  | num_experts_per_tok         | 9     | must be at most num_local_experts, 8
            mixtral  | num_local_experts           | 2000  | must be at most 1024
            smollm3  | no_rope_layers              | [1]   | must be a list of at least 36 numbers
            opt      | enable_bias                 | "yes" | enable_bias is "yes", must be true or false
            mistral  | sliding_window              | 0     | sliding_window is 0, must be a whole number of at least 1
            """)
    void whatCannotBeIsNamed(String type, String field, String value, String message) {
        assertThatThrownBy(() -> described(type, field, value))
                .isInstanceOf(ModelLoadException.class)
                .hasMessageContaining(message.split(" is ", -1)[0])
                .hasMessageContaining(message.substring(Math.max(0, message.indexOf("must"))));
    }

    /** Instead of the input of the layer's projections. */
    @Test
    void aProjectionThatKeysAndValuesShareIsStored() throws IOException {
        ObjectNode json = JSON.createObjectNode()
                .put("model_type", "gemma4_text")
                .put("hidden_size_per_layer_input", 0)
                .put("attention_k_eq_v", true)
                .put("num_global_key_value_heads", 2)
                .put("global_head_dim", 64);

        CacheGeometry geometry = new CacheGeometry(described(json.toString()).dimensions(), 2, 16, 64);
        assertThat(geometry.source()).isEqualTo(KeyValueSource.SHARED_PROJECTION);
        assertThat(geometry.width(CacheForm.Content.KEY_VALUE)).isEqualTo(256);
        assertThat(geometry.width(CacheForm.Content.ACTIVATION)).isEqualTo(128);
        assertThat(geometry.isUseful(CacheForm.HOST_ACT)).isTrue();
        json.put("attention_k_eq_v", false);
        assertThat(new CacheGeometry(described(json.toString()).dimensions(), 2, 16, 64).source())
                .isEqualTo(KeyValueSource.ACTIVATION);
    }

    @Test
    void layersOfOneKindStoreTheSame() throws IOException {
        ObjectNode json =
                JSON.createObjectNode().put("model_type", "gemma4_text").put("hidden_size_per_layer_input", 0);
        json.putObject("per_layer_config").putObject("11").put("head_dim", 128);

        assertThatThrownBy(() -> described(json.toString()))
                .isInstanceOf(ModelLoadException.class)
                .hasMessageContaining("config.json: per_layer_config is {")
                .hasMessageContaining("must be of equal K and V in all layers that are full_attention: layer 5 has");
    }

    /** Sizes are whole numbers, however they are spelt. */
    @Test
    void sixtyFourMayBeSpeltWithAPoint() throws IOException {
        JsonNode json = JSON.readTree("{\"model_type\": \"llama\", \"hidden_size\": 64.0, \"num_hidden_layers\": 3e0}");
        assertThat(described(json.toString()).dimensions().hiddenSize()).isEqualTo(64);
        assertThat(described(json.toString()).dimensions().layerCount()).isEqualTo(3);
    }
}
