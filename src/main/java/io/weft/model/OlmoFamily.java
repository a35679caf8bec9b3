package io.weft.model;

import static io.weft.model.TensorNames.norm;

import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.Wiring;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * OLMo 2 and 3: Llama with norms after attention and feed-forward network instead of before, and norms of queries and
 * keys across heads. OLMo 3 has windows in three of four layers.
 */
final class OlmoFamily implements ModelFamily {
    private static final String THIRD = "olmo3";

    @Override
    public Set<String> modelTypes() {
        return Set.of("olmo2", THIRD);
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(config);
        boolean hasWindows = config.text("model_type").orElse("").equals(THIRD);
        List<LayerType> types = hasWindows ? LayerType.read(config, layer -> (layer + 1) % 4 != 0) : List.of();
        Biases biases = new Biases(config.flag("attention_bias"), config.flag("attention_bias"), false);
        return shape.architecture(layer -> {
            LayerType type = hasWindows ? types.get(layer) : LayerType.FULL;
            Positions positions = hasWindows
                    ? RotaryConfig.read(config, shape.headSize(), type, "rope_theta")
                    : RotaryConfig.read(config, shape.headSize());
            String prefix = LlamaShape.layerPrefix(layer);
            Attention attention = shape.attention(prefix, positions, biases).withWindow(type.window(config));
            return layer(shape, prefix, shape.normed(attention, prefix, HeadNorm.Span.ROW));
        });
    }

    private static Layer layer(LlamaShape shape, String prefix, Attention attention) {
        return new Layer(
                Optional.empty(),
                attention,
                Optional.of(norm(prefix + "post_attention_layernorm", Bias.ABSENT)),
                Optional.empty(),
                shape.feedForward(prefix, Biases.NONE),
                Optional.of(norm(prefix + "post_feedforward_layernorm", Bias.ABSENT)),
                Wiring.SEQUENTIAL,
                1,
                Optional.empty());
    }
}
