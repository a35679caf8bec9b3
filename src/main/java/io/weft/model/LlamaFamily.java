package io.weft.model;

import io.weft.model.LlamaShape.Biases;
import java.util.Set;

/** Llama (Touvron et al. 2023) and Mistral, which has a sliding window and no biases. */
final class LlamaFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("llama", "mistral");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        boolean isMistral = config.text("model_type").orElse("").equals("mistral");
        int window = (isMistral ? LayerType.SLIDING : LayerType.FULL).window(config);
        boolean attentionBias = !isMistral && config.flag("attention_bias");
        boolean feedForwardBias = !isMistral && config.flag("mlp_bias");
        return LlamaShape.read(config).architecture(window, new Biases(attentionBias, attentionBias, feedForwardBias));
    }
}
