package io.weft.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * What a {@code config.json} means where it is silent: the defaults of Hugging Face transformers' configuration
 * classes, by {@code model_type}. A field that is null is not silent: its family says what that means.
 */
final class FamilyDefaults {
    private static final JsonNode TABLE = parsed("""
            {
              "opt": {
                "vocab_size": 50272, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "ffn_dim": 3072, "max_position_embeddings": 2048, "activation_function": "relu", "enable_bias": true,
                "do_layer_norm_before": true, "layer_norm_elementwise_affine": true, "_remove_final_layer_norm": false,
                "tie_word_embeddings": true, "eos_token_id": 2
              },
              "llama": {
                "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "intermediate_size": 11008, "max_position_embeddings": 2048, "hidden_act": "silu",
                "rms_norm_eps": 1e-6, "rope_theta": 10000, "partial_rotary_factor": 1, "attention_bias": false,
                "mlp_bias": false, "tie_word_embeddings": false, "eos_token_id": 2
              },
              "mistral": {
                "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "num_key_value_heads": 8, "intermediate_size": 14336, "max_position_embeddings": 131072,
                "sliding_window": 4096, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000,
                "partial_rotary_factor": 1, "tie_word_embeddings": false, "eos_token_id": 2
              },
              "qwen2": {
                "vocab_size": 151936, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "num_key_value_heads": 32, "intermediate_size": 22016, "max_position_embeddings": 32768,
                "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28, "hidden_act": "silu",
                "rms_norm_eps": 1e-6, "rope_theta": 10000, "partial_rotary_factor": 1, "tie_word_embeddings": false
              },
              "phi3": {
                "vocab_size": 32064, "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32,
                "intermediate_size": 8192, "max_position_embeddings": 4096, "hidden_act": "silu",
                "rms_norm_eps": 1e-5, "rope_theta": 10000, "partial_rotary_factor": 1, "tie_word_embeddings": false,
                "eos_token_id": 32000
              },
              "gemma": {
                "vocab_size": 256000, "hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576,
                "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "rope_theta": 10000,
                "partial_rotary_factor": 1, "attention_bias": false, "tie_word_embeddings": true, "eos_token_id": 1
              },
              "gpt_neox": {
                "vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44, "num_attention_heads": 64,
                "intermediate_size": 24576, "max_position_embeddings": 2048, "hidden_act": "gelu",
                "layer_norm_eps": 1e-5, "rotary_emb_base": 10000, "rotary_pct": 0.25, "attention_bias": true,
                "use_parallel_residual": true, "tie_word_embeddings": false, "eos_token_id": 2
              }
            }
            """);

    private FamilyDefaults() {}

    private static JsonNode parsed(String json) {
        try {
            return new ObjectMapper().readTree(json);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The types that are in the table. */
    static Set<String> modelTypes() {
        Set<String> types = new TreeSet<>();
        TABLE.fieldNames().forEachRemaining(types::add);
        return types;
    }

    /** A configuration in which each field that it does not name has its default. */
    static ConfigReader complete(ConfigReader config) {
        JsonNode defaults = TABLE.path(config.text("model_type").orElse(""));
        ObjectNode all = defaults.isObject() ? defaults.deepCopy() : new ObjectMapper().createObjectNode();
        config.json().properties().forEach(field -> all.set(field.getKey(), field.getValue()));
        return new ConfigReader(config.file(), all);
    }

    /** The end token of a family, for models that name none anywhere. */
    static Optional<Integer> endToken(String modelType) {
        JsonNode end = TABLE.path(modelType).path("eos_token_id");
        return end.isInt() ? Optional.of(end.intValue()) : Optional.empty();
    }
}
