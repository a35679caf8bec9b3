package io.weft.model;

import static io.weft.model.TensorNames.norm;

import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.Wiring;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.Optional;
import java.util.Set;

/**
 * StableLM: Llama with layer norm, a quarter of each head rotated, and perhaps norms of heads, and attention and
 * network side by side.
 */
final class StableLmFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("stablelm");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(
                config,
                Activations.read(config, "hidden_act"),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("layer_norm_eps")),
                Bias.PRESENT);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        Biases biases = new Biases(config.flag("use_qkv_bias"), false, false);
        boolean isParallel = config.flag("use_parallel_residual");
        return shape.architecture(layer -> {
            String prefix = LlamaShape.layerPrefix(layer);
            Attention plain = shape.attention(prefix, positions, biases);
            Attention attention = config.flag("qk_layernorm")
                    ? plain.withNorms(headNorm(prefix + "self_attn.q"), headNorm(prefix + "self_attn.k"))
                    : plain;
            return isParallel
                    ? parallel(shape, prefix, attention)
                    : shape.preNorm(prefix, attention, shape.feedForward(prefix, biases));
        });
    }

    /** Each head has a gain of its own, in a tensor of its own. */
    private static HeadNorm headNorm(String prefix) {
        return new HeadNorm(HeadNorm.Span.HEAD, norm(prefix + "_layernorm.norms.*", Bias.ABSENT));
    }

    private static Layer parallel(LlamaShape shape, String prefix, Attention attention) {
        return new Layer(
                Optional.of(norm(prefix + "input_layernorm", Bias.PRESENT)),
                attention,
                Optional.empty(),
                Optional.empty(),
                shape.feedForward(prefix, Biases.NONE),
                Optional.empty(),
                Wiring.PARALLEL,
                1,
                Optional.empty());
    }
}
