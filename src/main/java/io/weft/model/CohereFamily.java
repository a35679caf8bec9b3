package io.weft.model;

import static io.weft.model.TensorNames.norm;

import io.weft.device.Norm;
import io.weft.device.RotaryTable;
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
 * Cohere's Command: layer norm without bias, attention and feed-forward network side by side with one norm, rotation by
 * neighbouring pairs, scaled logits. In Command R7B and later ({@code cohere2}), layers with a window have positions,
 * and the others none.
 */
final class CohereFamily implements ModelFamily {
    private static final String SECOND = "cohere2";

    @Override
    public Set<String> modelTypes() {
        return Set.of("cohere", SECOND);
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(
                config,
                Activations.read(config, "hidden_act"),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("layer_norm_eps")),
                Bias.ABSENT);
        Positions rotary = RotaryConfig.read(config, shape.headSize()).with(RotaryTable.Layout.PAIRS);
        boolean isSecond = config.text("model_type").orElse("").equals(SECOND);
        List<LayerType> types = isSecond ? LayerType.everyFull(config, "sliding_window_pattern", 4) : List.of();
        boolean bias = config.flag("attention_bias");
        Biases biases = new Biases(bias, bias, false);
        return shape.architecture(
                layer -> {
                    String prefix = LlamaShape.layerPrefix(layer);
                    Attention attention = isSecond
                            ? ofType(shape, prefix, rotary, biases, types.get(layer))
                            : shape.attention(prefix, rotary, biases);
                    boolean isNormed = !isSecond && config.flag("use_qk_norm");
                    return layer(
                            shape, prefix, isNormed ? shape.normed(attention, prefix, HeadNorm.Span.HEAD) : attention);
                },
                (float) config.positiveNumber("logit_scale"),
                0);
    }

    private static Attention ofType(LlamaShape shape, String prefix, Positions rotary, Biases biases, LayerType type) {
        Positions positions = switch (type) {
            case FULL -> new Positions.None();
            case SLIDING -> rotary;
        };
        return shape.attention(prefix, positions, biases).withWindow(type.window(shape.config()));
    }

    private static Layer layer(LlamaShape shape, String prefix, Attention attention) {
        return new Layer(
                Optional.of(norm(prefix + "input_layernorm", Bias.ABSENT)),
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
