package io.weft.model;

import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Families whose layers keep something else than K and V of tokens, and the words with which they are refused. */
final class UnservedTypes {
    private static final String LINEAR =
            "linear attention is not served: its layers keep a state instead of K and V of tokens";
    private static final String LATENT =
            "multi-head latent attention is not served: its layers keep compressed K and V that heads share";

    private static final Set<String> WITH_LINEAR_ATTENTION = Set.of(
            "bamba",
            "falcon_h1",
            "falcon_mamba",
            "granitemoehybrid",
            "jamba",
            "kimi_linear",
            "lfm2",
            "lfm2_moe",
            "mamba",
            "mamba2",
            "minimax",
            "nemotron_h",
            "olmo_hybrid",
            "plamo2",
            "qwen3_5",
            "qwen3_5_moe",
            "qwen3_5_moe_text",
            "qwen3_5_text",
            "qwen3_next",
            "recurrent_gemma",
            "rwkv",
            "xlstm",
            "zamba",
            "zamba2");

    private static final Set<String> WITH_LATENT_ATTENTION = Set.of(
            "deepseek_v2",
            "deepseek_v3",
            "deepseek_v32",
            "glm4_moe_lite",
            "glm_moe_dsa",
            "kimi_k2",
            "longcat_flash",
            "minicpm3",
            "youtu");

    private UnservedTypes() {}

    /** Why a configuration's {@code model_type} is not served, if that is known. */
    static Optional<String> reason(ConfigReader config) {
        String type = config.text("model_type").orElse("");
        List<ConfigReader> parts =
                config.object("text_config").map(text -> List.of(config, text)).orElse(List.of(config));
        if (WITH_LINEAR_ATTENTION.contains(type) || has(parts, "linear_num_key_heads")) {
            return Optional.of(LINEAR);
        }
        if (WITH_LATENT_ATTENTION.contains(type) || has(parts, "kv_lora_rank")) {
            return Optional.of(LATENT);
        }
        return Optional.empty();
    }

    private static boolean has(List<ConfigReader> parts, String field) {
        return parts.stream().anyMatch(part -> part.has(field));
    }
}
