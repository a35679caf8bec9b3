package io.weft.model;

import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.Positions;
import io.weft.model.LlamaShape.Biases;
import java.util.List;
import java.util.Set;

/** Qwen2, Qwen2.5 and Qwen2-MoE: Llama with biases on Q, K and V, perhaps windows in some layers, and experts. */
final class Qwen2Family implements ModelFamily {
    private static final String SPARSE = "qwen2_moe";

    @Override
    public Set<String> modelTypes() {
        return Set.of("qwen2", SPARSE);
    }

    @Override
    public Architecture describe(ConfigReader config) {
        boolean isSparse = config.text("model_type").orElse("").equals(SPARSE);
        LlamaShape shape = LlamaShape.read(config);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        List<Integer> windows = isSparse
                ? windows(config, (layer, windowLayers) -> layer % 2 == 0 && layer < windowLayers)
                : windows(config, (layer, windowLayers) -> layer >= windowLayers);
        Biases biases = new Biases(!isSparse || config.flag("qkv_bias"), false, false);
        int sharedSize = isSparse ? config.positive("shared_expert_intermediate_size") : 0;
        return shape.architecture(layer -> {
            String prefix = LlamaShape.layerPrefix(layer);
            Attention attention = shape.attention(prefix, positions, biases).withWindow(windows.get(layer));
            return shape.preNorm(
                    prefix,
                    attention,
                    isSparse ? shape.qwenFeedForward(layer, sharedSize) : shape.feedForward(prefix, biases));
        });
    }

    /** Which layers have a window where {@code layer_types} is silent. */
    @FunctionalInterface
    interface WindowRule {
        boolean isWindowed(int layer, int maxWindowLayers);
    }

    /** The windows of all layers: without {@code use_sliding_window}, none. */
    static List<Integer> windows(ConfigReader config, WindowRule rule) {
        boolean hasWindows = config.flag("use_sliding_window") && config.has("sliding_window");
        int windowLayers = config.whole("max_window_layers", 0).orElse(0);
        return LayerType.read(config, layer -> rule.isWindowed(layer, windowLayers)).stream()
                .map(type -> hasWindows ? type.window(config) : LayerDimensions.NO_WINDOW)
                .toList();
    }
}
