package io.weft.model;

import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Positions;
import io.weft.model.LlamaShape.Biases;
import java.util.List;
import java.util.Set;

/** Qwen3 and Qwen3-MoE: Llama with norms of each head of queries and keys, and perhaps experts. */
final class Qwen3Family implements ModelFamily {
    private static final String SPARSE = "qwen3_moe";

    @Override
    public Set<String> modelTypes() {
        return Set.of("qwen3", SPARSE);
    }

    @Override
    public Architecture describe(ConfigReader config) {
        boolean isSparse = config.text("model_type").orElse("").equals(SPARSE);
        LlamaShape shape = LlamaShape.read(config);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        List<Integer> windows = Qwen2Family.windows(config, (layer, windowLayers) -> isSparse || layer >= windowLayers);
        Biases biases = new Biases(config.flag("attention_bias"), config.flag("attention_bias"), false);
        return shape.architecture(layer -> {
            String prefix = LlamaShape.layerPrefix(layer);
            Attention attention = shape.attention(prefix, positions, biases).withWindow(windows.get(layer));
            return shape.preNorm(
                    prefix,
                    shape.normed(attention, prefix, HeadNorm.Span.HEAD),
                    isSparse ? shape.qwenFeedForward(layer, 0) : shape.feedForward(prefix, biases));
        });
    }
}
