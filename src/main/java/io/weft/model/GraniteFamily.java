package io.weft.model;

import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.Positions;
import io.weft.model.LlamaShape.Biases;
import java.util.Optional;
import java.util.Set;

/** Granite: Llama with factors on embeddings, scores, what joins the residual stream, and logits. */
final class GraniteFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("granite");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape =
                LlamaShape.read(config).withEmbeddingScale((float) config.positiveNumber("embedding_multiplier"));
        Positions positions = RotaryConfig.read(config, shape.headSize());
        float scale = (float) config.positiveNumber("attention_multiplier");
        float residual = (float) config.positiveNumber("residual_multiplier");
        Biases biases =
                new Biases(config.flag("attention_bias"), config.flag("attention_bias"), config.flag("mlp_bias"));
        return shape.architecture(
                layer -> {
                    String prefix = LlamaShape.layerPrefix(layer);
                    Attention attention =
                            shape.attention(prefix, positions, biases).withScores(scale, 0);
                    return shape.preNorm(prefix, attention, shape.feedForward(prefix, biases))
                            .with(residual, Optional.empty());
                },
                (float) (1 / config.positiveNumber("logits_scaling")),
                0);
    }
}
