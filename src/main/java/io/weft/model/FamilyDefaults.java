package io.weft.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * What a {@code config.json} means where it is silent: the defaults of Hugging Face transformers' configuration
 * classes, by {@code model_type}. A field that is null is not silent: its family says what that means.
 *
 * <p>A type whose entry is the name of another has that one's fields in its {@code text_config}: it reads more than
 * text, and is served for text alone.
 */
final class FamilyDefaults {
    private static final String TEXT = "text_config";
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
              "mixtral": {
                "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "num_key_value_heads": 8, "intermediate_size": 14336, "max_position_embeddings": 131072,
                "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 1000000, "partial_rotary_factor": 1,
                "num_local_experts": 8, "num_experts_per_tok": 2, "tie_word_embeddings": false, "eos_token_id": 2
              },
              "qwen2": {
                "vocab_size": 151936, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "num_key_value_heads": 32, "intermediate_size": 22016, "max_position_embeddings": 32768,
                "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28, "hidden_act": "silu",
                "rms_norm_eps": 1e-6, "rope_theta": 10000, "partial_rotary_factor": 1, "tie_word_embeddings": false
              },
              "qwen2_moe": {
                "vocab_size": 151936, "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16,
                "num_key_value_heads": 16, "intermediate_size": 5632, "max_position_embeddings": 32768,
                "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28, "hidden_act": "silu",
                "rms_norm_eps": 1e-6, "rope_theta": 10000, "partial_rotary_factor": 1, "qkv_bias": true,
                "decoder_sparse_step": 1, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
                "num_experts": 60, "num_experts_per_tok": 4, "norm_topk_prob": false, "tie_word_embeddings": false
              },
              "qwen3": {
                "vocab_size": 151936, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "num_key_value_heads": 32, "head_dim": 128, "intermediate_size": 22016,
                "max_position_embeddings": 32768, "use_sliding_window": false, "sliding_window": 4096,
                "max_window_layers": 28, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000,
                "partial_rotary_factor": 1, "attention_bias": false, "tie_word_embeddings": false
              },
              "qwen3_moe": {
                "vocab_size": 151936, "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32,
                "num_key_value_heads": 4, "intermediate_size": 6144, "max_position_embeddings": 32768,
                "use_sliding_window": false, "sliding_window": 4096, "hidden_act": "silu", "rms_norm_eps": 1e-6,
                "rope_theta": 10000, "partial_rotary_factor": 1, "attention_bias": false, "decoder_sparse_step": 1,
                "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": false,
                "tie_word_embeddings": false
              },
              "phi3": {
                "vocab_size": 32064, "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32,
                "intermediate_size": 8192, "max_position_embeddings": 4096, "original_max_position_embeddings": 4096,
                "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000, "partial_rotary_factor": 1,
                "tie_word_embeddings": false, "eos_token_id": 32000
              },
              "gemma": {
                "vocab_size": 256000, "hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576,
                "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "rope_theta": 10000,
                "partial_rotary_factor": 1, "attention_bias": false, "tie_word_embeddings": true, "eos_token_id": 1
              },
              "gemma2": {
                "vocab_size": 256000, "hidden_size": 2304, "num_hidden_layers": 26, "num_attention_heads": 8,
                "num_key_value_heads": 4, "head_dim": 256, "intermediate_size": 9216,
                "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "rope_theta": 10000,
                "partial_rotary_factor": 1, "attention_bias": false, "query_pre_attn_scalar": 256,
                "sliding_window": 4096, "final_logit_softcapping": 30, "attn_logit_softcapping": 50,
                "tie_word_embeddings": true, "eos_token_id": 1
              },
              "gemma3": "gemma3_text",
              "gemma3_text": {
                "vocab_size": 262208, "hidden_size": 2304, "num_hidden_layers": 26, "num_attention_heads": 8,
                "num_key_value_heads": 4, "head_dim": 256, "intermediate_size": 9216,
                "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 1000000,
                "rope_local_base_freq": 10000, "partial_rotary_factor": 1, "attention_bias": false,
                "query_pre_attn_scalar": 256, "sliding_window": 4096, "tie_word_embeddings": true, "eos_token_id": 1
              },
              "gemma4": "gemma4_text",
              "gemma4_text": {
                "vocab_size": 262144, "hidden_size": 2304, "num_hidden_layers": 30, "num_attention_heads": 8,
                "num_key_value_heads": 4, "head_dim": 256, "global_head_dim": 512, "intermediate_size": 9216,
                "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 10000,
                "partial_rotary_factor": 1, "attention_bias": false, "sliding_window": 512,
                "hidden_size_per_layer_input": 256, "attention_k_eq_v": false, "num_kv_shared_layers": 0,
                "enable_moe_block": false, "tie_word_embeddings": true, "eos_token_id": 1,
                "rope_parameters": {
                  "sliding_attention": {"rope_type": "default", "rope_theta": 10000},
                  "full_attention": {
                    "rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000000
                  }
                }
              },
              "olmo2": {
                "vocab_size": 50304, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "intermediate_size": 11008, "max_position_embeddings": 2048, "hidden_act": "silu",
                "rms_norm_eps": 1e-5, "rope_theta": 10000, "partial_rotary_factor": 1, "attention_bias": false,
                "tie_word_embeddings": false, "eos_token_id": 50279
              },
              "olmo3": {
                "vocab_size": 50304, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "intermediate_size": 11008, "max_position_embeddings": 2048, "hidden_act": "silu",
                "rms_norm_eps": 1e-5, "rope_theta": 500000, "partial_rotary_factor": 1, "attention_bias": false,
                "sliding_window": 4096, "tie_word_embeddings": false, "eos_token_id": 50279
              },
              "gpt_oss": {
                "vocab_size": 201088, "hidden_size": 2880, "num_hidden_layers": 36, "num_attention_heads": 64,
                "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880,
                "max_position_embeddings": 131072, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 150000,
                "partial_rotary_factor": 1, "attention_bias": true, "sliding_window": 128, "num_local_experts": 128,
                "num_experts_per_tok": 4, "swiglu_alpha": 1.702, "swiglu_limit": 7, "tie_word_embeddings": false,
                "rope_scaling": {
                  "rope_type": "yarn", "factor": 32, "beta_fast": 32, "beta_slow": 1, "truncate": false,
                  "original_max_position_embeddings": 4096
                }
              },
              "smollm3": {
                "vocab_size": 128256, "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16,
                "num_key_value_heads": 4, "intermediate_size": 11008, "max_position_embeddings": 32768,
                "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 2000000, "partial_rotary_factor": 1,
                "attention_bias": false, "mlp_bias": false, "use_sliding_window": false, "no_rope_layer_interval": 4,
                "tie_word_embeddings": true, "eos_token_id": 128001
              },
              "granite": {
                "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                "intermediate_size": 11008, "max_position_embeddings": 2048, "hidden_act": "silu",
                "rms_norm_eps": 1e-6, "rope_theta": 10000, "partial_rotary_factor": 1, "attention_bias": false,
                "mlp_bias": false, "embedding_multiplier": 1, "logits_scaling": 1, "residual_multiplier": 1,
                "attention_multiplier": 1, "tie_word_embeddings": false, "eos_token_id": 2
              },
              "glm": {
                "vocab_size": 151552, "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32,
                "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 13696,
                "max_position_embeddings": 131072, "hidden_act": "silu", "rms_norm_eps": 1.5625e-7,
                "rope_theta": 10000, "partial_rotary_factor": 0.5, "attention_bias": true,
                "tie_word_embeddings": false, "eos_token_id": [151329, 151336, 151338]
              },
              "glm4": {
                "vocab_size": 151552, "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32,
                "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 13696,
                "max_position_embeddings": 131072, "hidden_act": "silu", "rms_norm_eps": 1.5625e-7,
                "rope_theta": 10000, "partial_rotary_factor": 0.5, "attention_bias": true,
                "tie_word_embeddings": false, "eos_token_id": [151329, 151336, 151338]
              },
              "stablelm": {
                "vocab_size": 50304, "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32,
                "num_key_value_heads": 32, "intermediate_size": 6912, "max_position_embeddings": 4096,
                "hidden_act": "silu", "layer_norm_eps": 1e-5, "rope_theta": 10000, "partial_rotary_factor": 0.25,
                "use_qkv_bias": false, "qk_layernorm": false, "use_parallel_residual": false,
                "tie_word_embeddings": false, "eos_token_id": 0
              },
              "starcoder2": {
                "vocab_size": 49152, "hidden_size": 3072, "num_hidden_layers": 30, "num_attention_heads": 24,
                "num_key_value_heads": 2, "intermediate_size": 12288, "max_position_embeddings": 4096,
                "hidden_act": "gelu_pytorch_tanh", "norm_epsilon": 1e-5, "rope_theta": 10000,
                "partial_rotary_factor": 1, "use_bias": true, "tie_word_embeddings": true, "eos_token_id": 50256
              },
              "cohere": {
                "vocab_size": 256000, "hidden_size": 8192, "num_hidden_layers": 40, "num_attention_heads": 64,
                "intermediate_size": 22528, "max_position_embeddings": 8192, "hidden_act": "silu",
                "layer_norm_eps": 1e-5, "rope_theta": 500000, "partial_rotary_factor": 1, "attention_bias": false,
                "use_qk_norm": false, "logit_scale": 0.0625, "tie_word_embeddings": true, "eos_token_id": 255001
              },
              "cohere2": {
                "vocab_size": 256000, "hidden_size": 8192, "num_hidden_layers": 40, "num_attention_heads": 64,
                "intermediate_size": 22528, "max_position_embeddings": 8192, "hidden_act": "silu",
                "layer_norm_eps": 1e-5, "rope_theta": 10000, "partial_rotary_factor": 1, "attention_bias": false,
                "sliding_window": 4096, "logit_scale": 0.0625, "tie_word_embeddings": true, "eos_token_id": 255001
              },
              "gpt_neox": {
                "vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44, "num_attention_heads": 64,
                "intermediate_size": 24576, "max_position_embeddings": 2048, "hidden_act": "gelu",
                "layer_norm_eps": 1e-5, "rotary_emb_base": 10000, "rotary_pct": 0.25, "attention_bias": true,
                "use_parallel_residual": true, "tie_word_embeddings": false, "eos_token_id": 2
              },
              "gpt2": {
                "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
                "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "scale_attn_weights": true,
                "scale_attn_by_inverse_layer_idx": false, "add_cross_attention": false, "tie_word_embeddings": true,
                "eos_token_id": 50256
              },
              "gptj": {
                "vocab_size": 50400, "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_positions": 2048,
                "rotary_dim": 64, "rope_theta": 10000, "activation_function": "gelu_new",
                "layer_norm_epsilon": 1e-5, "tie_word_embeddings": false, "eos_token_id": 50256
              },
              "phi": {
                "vocab_size": 51200, "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32,
                "intermediate_size": 8192, "max_position_embeddings": 2048, "hidden_act": "gelu_new",
                "layer_norm_eps": 1e-5, "rope_theta": 10000, "partial_rotary_factor": 0.5, "qk_layernorm": false,
                "tie_word_embeddings": false, "eos_token_id": 2
              },
              "falcon": {
                "vocab_size": 65024, "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
                "max_position_embeddings": 2048, "activation": "gelu", "layer_norm_epsilon": 1e-5, "alibi": false,
                "new_decoder_architecture": false, "multi_query": true, "parallel_attn": true, "bias": false,
                "rope_theta": 10000, "partial_rotary_factor": 1, "tie_word_embeddings": true, "eos_token_id": 11
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

    private static JsonNode entry(String modelType) {
        JsonNode entry = TABLE.path(modelType);
        return entry.isTextual() ? TABLE.path(entry.textValue()) : entry;
    }

    /** A configuration of text in which each field that it does not name has its default. */
    static ConfigReader complete(ConfigReader config) {
        String type = config.text("model_type").orElse("");
        JsonNode defaults = entry(type);
        ObjectNode all = defaults.isObject() ? defaults.deepCopy() : new ObjectMapper().createObjectNode();
        config.json().properties().forEach(field -> all.set(field.getKey(), field.getValue()));
        if (TABLE.path(type).isTextual()) {
            config.object(TEXT)
                    .ifPresent(text ->
                            text.json().properties().forEach(field -> all.set(field.getKey(), field.getValue())));
        }
        return new ConfigReader(config.file(), all);
    }

    /** The end tokens of a family, for models that name none anywhere. */
    static List<Integer> endTokens(String modelType) {
        JsonNode end = entry(modelType).path("eos_token_id");
        List<Integer> tokens = new ArrayList<>();
        if (end.isInt()) {
            tokens.add(end.intValue());
        }
        end.forEach(token -> tokens.add(token.intValue()));
        return tokens;
    }
}
