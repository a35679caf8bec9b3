package io.weft.model;

import io.weft.device.Activation;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions.Rotary;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Gemma: Llama with embeddings times √D, norms whose gain is stored less 1, and GELU. Gemma 2 has norms on both sides,
 * windows in every other layer, and caps; Gemma 3 has norms of queries and keys for caps, and mostly windows, with
 * positions of their own.
 */
final class GemmaFamily implements ModelFamily {
    private static final String FIRST = "gemma";
    private static final String SECOND = "gemma2";

    @Override
    public Set<String> modelTypes() {
        return Set.of(FIRST, SECOND, "gemma3_text", "gemma3");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        config.requireFlag("use_bidirectional_attention", false);
        LlamaShape shape = LlamaShape.read(config, activation(config), LlamaShape.rmsNorm(config, 1), Bias.ABSENT);
        LlamaShape scaled = shape.withEmbeddingScale((float) Math.sqrt(shape.hiddenSize()));
        return switch (config.text("model_type").orElse("")) {
            case FIRST -> scaled.architecture(LayerDimensions.NO_WINDOW, biases(config));
            case SECOND -> alternating(scaled, LayerType.everyFull(config, "sliding_window_pattern", 2));
            default ->
                alternating(
                        scaled,
                        LayerType.everyFull(
                                config,
                                config.has("sliding_window_pattern")
                                        ? "sliding_window_pattern"
                                        : "_sliding_window_pattern",
                                6));
        };
    }

    /** The first configurations named the exact function in {@code hidden_act}, by mistake: it does not count. */
    static Activation activation(ConfigReader config) {
        return config.has("hidden_activation") ? Activations.read(config, "hidden_activation") : Activation.GELU_TANH;
    }

    static Biases biases(ConfigReader config) {
        return new Biases(config.flag("attention_bias"), config.flag("attention_bias"), false);
    }

    private static Architecture alternating(LlamaShape shape, List<LayerType> types) {
        ConfigReader config = shape.config();
        boolean isSecond = config.text("model_type").orElse("").equals(SECOND);
        List<Rotary> rotary = Stream.of(LayerType.values())
                .map(type -> isSecond
                        ? RotaryConfig.read(config, shape.headSize())
                        : RotaryConfig.read(config, shape.headSize(), type, "rope_local_base_freq"))
                .toList();
        float scale = (float) (1 / Math.sqrt(config.positiveNumber("query_pre_attn_scalar")));
        float scoreCap = cap(config, "attn_logit_softcapping");
        return shape.architecture(
                layer -> {
                    String prefix = LlamaShape.layerPrefix(layer);
                    LayerType type = types.get(layer);
                    Attention attention = shape.attention(prefix, rotary.get(type.ordinal()), biases(config))
                            .withScores(scale, scoreCap)
                            .withWindow(type.window(config));
                    return layer(shape, prefix, isSecond ? attention : headNorms(shape, attention, prefix));
                },
                1,
                cap(config, "final_logit_softcapping"));
    }

    private static Attention headNorms(LlamaShape shape, Attention attention, String prefix) {
        return shape.normed(attention, prefix, HeadNorm.Span.HEAD);
    }

    private static Layer layer(LlamaShape shape, String prefix, Attention attention) {
        return shape.sandwich(prefix, attention, shape.feedForward(prefix, Biases.NONE));
    }

    /** A cap; 0 for none. */
    static float cap(ConfigReader config, String field) {
        return (float) config.positiveNumber(field, 0);
    }
}
