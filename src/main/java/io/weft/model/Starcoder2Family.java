package io.weft.model;

import static io.weft.model.TensorNames.linear;

import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Positions;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.Set;

/** StarCoder2: Llama with layer norm, biases, a window, and a feed-forward network without a gate. */
final class Starcoder2Family implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("starcoder2");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(
                config,
                Activations.read(config, "hidden_act"),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("norm_epsilon")),
                Bias.PRESENT);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        boolean bias = config.flag("use_bias");
        int window = LayerType.SLIDING.window(config);
        return shape.architecture(layer -> {
            String prefix = LlamaShape.layerPrefix(layer);
            Attention attention = shape.attention(prefix, positions, new Biases(bias, bias, bias))
                    .withWindow(window);
            return shape.preNorm(
                    prefix,
                    attention,
                    new FeedForward.Plain(
                            shape.activation(),
                            shape.feedForwardSize(),
                            linear(prefix + "mlp.c_fc", shape.feedForwardSize(), Bias.of(bias)),
                            linear(prefix + "mlp.c_proj", shape.hiddenSize(), Bias.of(bias))));
        });
    }
}
