package io.weft.model;

import static io.weft.model.TensorNames.norm;

import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.Wiring;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.Optional;
import java.util.Set;

/** StableLM: Llama with layer norm, a quarter of each head rotated, and perhaps attention and network side by side. */
final class StableLmFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("stablelm");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        config.requireFlag("qk_layernorm", false);
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
            Attention attention = shape.attention(prefix, positions, biases);
            return isParallel
                    ? parallel(shape, prefix, attention)
                    : shape.preNorm(prefix, attention, shape.feedForward(prefix, biases));
        });
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
