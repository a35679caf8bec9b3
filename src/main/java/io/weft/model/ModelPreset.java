package io.weft.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Well-known models by their published configurations, for planning and benchmarks without files. */
public enum ModelPreset {
    OPT_1_3B("opt-1.3b", opt(24, 2048, 32)),
    OPT_6_7B("opt-6.7b", opt(32, 4096, 32)),
    OPT_13B("opt-13b", opt(40, 5120, 40)),
    OPT_30B("opt-30b", opt(48, 7168, 56)),
    LLAMA_2_7B("llama-2-7b", """
            {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
             "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128, "vocab_size": 32000,
             "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000}"""),
    LLAMA_3_8B("llama-3-8b", """
            {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
             "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
             "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000}""");

    private final String label;
    private final String config;

    ModelPreset(String label, String config) {
        this.label = label;
        this.config = config;
    }

    /** Zhang et al. 2022: the inner layer has four times the hidden size. */
    private static String opt(int layers, int hidden, int heads) {
        return """
                {"model_type": "opt", "num_hidden_layers": %d, "hidden_size": %d, "num_attention_heads": %d,
                 "ffn_dim": %d, "word_embed_proj_dim": %d, "vocab_size": 50272, "max_position_embeddings": 2048}""".formatted(layers, hidden, heads, 4 * hidden, hidden);
    }

    /** The name that users type. */
    public String label() {
        return label;
    }

    /** The sizes of the model, as it was published. */
    public ModelDimensions dimensions() {
        return architecture(1).dimensions();
    }

    /**
     * The description of the model.
     *
     * @param positions tokens a sequence may have; more than the model's own are made up as well
     */
    Architecture architecture(int positions) {
        ConfigReader published = new ConfigReader(Path.of("preset " + label), json());
        ObjectNode longer = json();
        longer.put("max_position_embeddings", Math.max(positions, published.positive("max_position_embeddings")));
        ConfigReader complete = FamilyDefaults.complete(new ConfigReader(published.file(), longer));
        return ModelFamily.of(complete).describe(complete);
    }

    private ObjectNode json() {
        try {
            return (ObjectNode) new ObjectMapper().readTree(config);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The names of all presets. */
    public static List<String> labels() {
        return Arrays.stream(values()).map(ModelPreset::label).toList();
    }

    /**
     * The preset with this name.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static ModelPreset of(String label) {
        return Arrays.stream(values())
                .filter(preset -> preset.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "preset is \"" + label + "\", must be one of " + String.join(", ", labels())));
    }
}
