package io.weft.model;

import io.weft.model.LlamaShape.Biases;
import java.util.OptionalInt;
import java.util.Set;

/** Llama (Touvron et al. 2023) and Mistral, which differs only in its sliding window. */
final class LlamaFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("llama", "mistral");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        boolean windowed = config.text("model_type").orElse("").equals("mistral") && config.has("sliding_window");
        return LlamaShape.read(config)
                .architecture(
                        windowed ? OptionalInt.of(config.positive("sliding_window")) : OptionalInt.empty(),
                        new Biases(
                                config.flag("attention_bias", false),
                                config.flag("attention_bias", false),
                                config.flag("mlp_bias", false)));
    }
}
