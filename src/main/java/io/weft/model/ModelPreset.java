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
             "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000}"""),
    LLAMA_3_70B("llama-3-70b", """
            {"model_type": "llama", "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
             "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256,
             "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000}"""),
    QWEN3_8B("qwen3-8b", """
            {"model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
             "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
             "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "rope_theta": 1000000,
             "use_sliding_window": false, "tie_word_embeddings": false}"""),
    QWEN3_30B_A3B("qwen3-30b-a3b", """
            {"model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144,
             "moe_intermediate_size": 768, "num_hidden_layers": 48, "num_attention_heads": 32,
             "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8,
             "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": [], "vocab_size": 151936,
             "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "rope_theta": 1000000,
             "use_sliding_window": false, "tie_word_embeddings": false}"""),
    /** The language model alone. */
    GEMMA_3_12B("gemma-3-12b", """
            {"model_type": "gemma3", "text_config": {
             "model_type": "gemma3_text", "hidden_size": 3840, "intermediate_size": 15360, "num_hidden_layers": 48,
             "num_attention_heads": 16, "num_key_value_heads": 8, "sliding_window": 1024,
             "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}}"""),
    OLMO_2_7B("olmo-2-7b", """
            {"model_type": "olmo2", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
             "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 100352,
             "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 500000}"""),
    /** With a context of 128k. */
    PHI_3_MINI("phi-3-mini", """
            {"model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
             "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064,
             "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
             "rope_theta": 10000, "sliding_window": 262144, "rope_scaling": {"type": "longrope",
              "short_factor": [
                   1.05, 1.05, 1.05, 1.1, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
                   2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2.05, 2.05, 2.05, 2.1, 2.1, 2.1, 2.15, 2.15, 2.35, 2.55,
                   2.6, 2.6, 2.75, 2.85, 2.85, 2.95],
              "long_factor": [
                   1.03, 1.05, 1.05, 1.08, 1.23, 1.23, 1.3, 1.45, 1.6, 1.65, 1.9, 2.86, 3.69, 5.42, 5.49, 5.49,
                   9.09, 11.58, 15.66, 15.77, 15.79, 18.36, 21.99, 23.08, 30.01, 32.35, 32.59, 35.56, 39.95,
                   53.84, 56.2, 57.95, 59.29, 59.77, 59.92, 61.19, 61.96, 62.5, 63.37, 63.48, 63.48, 63.66,
                   63.85, 64.08, 64.76, 64.8, 64.81, 64.81]}}"""),
    GPT_OSS_20B("gpt-oss-20b", """
            {"model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24,
             "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 32,
             "num_experts_per_tok": 4, "vocab_size": 201088, "max_position_embeddings": 131072,
             "sliding_window": 128, "attention_bias": true, "rms_norm_eps": 1e-5, "rope_theta": 150000,
             "swiglu_limit": 7.0, "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0,
              "beta_slow": 1.0, "truncate": false, "original_max_position_embeddings": 4096}}""");

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
        ConfigReader published = FamilyDefaults.complete(new ConfigReader(Path.of("preset " + label), json()));
        ObjectNode longer = published.json().deepCopy();
        longer.put("max_position_embeddings", Math.max(positions, published.positive("max_position_embeddings")));
        return ModelFamily.of(published).describe(new ConfigReader(published.file(), longer));
    }

    /** The {@code model_type} of the configuration. */
    String modelType() {
        return json().path("model_type").asText();
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
