package io.weft.model;

import io.weft.device.Activation;
import io.weft.model.LlamaShape.Biases;
import java.util.Set;

/** Gemma: Llama with embeddings times √D, norms whose gain is stored less 1, and GELU. */
final class GemmaFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("gemma");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        config.requireFlag("use_bidirectional_attention", false);
        LlamaShape shape = LlamaShape.read(config, activation(config));
        float scale = (float) Math.sqrt(shape.hiddenSize());
        return shape.with(1, scale)
                .architecture(
                        LayerDimensions.NO_WINDOW,
                        new Biases(config.flag("attention_bias"), config.flag("attention_bias"), false));
    }

    /** The first configurations named the exact function in {@code hidden_act}, by mistake: it does not count. */
    private static Activation activation(ConfigReader config) {
        return config.has("hidden_activation") ? Activations.read(config, "hidden_activation") : Activation.GELU_TANH;
    }
}
