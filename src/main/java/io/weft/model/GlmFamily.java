package io.weft.model;

import static io.weft.model.TensorNames.norm;

import io.weft.device.RotaryTable;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.Set;

/**
 * GLM-4: Llama with half of each head rotated by neighbouring pairs, biases on Q, K and V, and gate and up in one
 * matrix. The models of 2025 ({@code glm4}) have norms after attention and feed-forward network as well.
 */
final class GlmFamily implements ModelFamily {
    private static final String FIRST = "glm";

    @Override
    public Set<String> modelTypes() {
        return Set.of(FIRST, "glm4");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(config);
        Positions positions = RotaryConfig.read(config, shape.headSize()).with(RotaryTable.Layout.PAIRS);
        boolean isFirst = config.text("model_type").orElse("").equals(FIRST);
        Biases biases = new Biases(config.flag("attention_bias"), false, false);
        return shape.architecture(layer -> {
            String prefix = LlamaShape.layerPrefix(layer);
            Attention attention = shape.attention(prefix, positions, biases);
            return isFirst
                    ? shape.preNorm(prefix, attention, shape.fusedFeedForward(prefix))
                    : layer(shape, prefix, attention);
        });
    }

    private static Layer layer(LlamaShape shape, String prefix, Attention attention) {
        return Layer.sandwich(
                norm(prefix + "input_layernorm", Bias.ABSENT),
                attention,
                norm(prefix + "post_self_attn_layernorm", Bias.ABSENT),
                norm(prefix + "post_attention_layernorm", Bias.ABSENT),
                shape.fusedFeedForward(prefix),
                norm(prefix + "post_mlp_layernorm", Bias.ABSENT));
    }
}
