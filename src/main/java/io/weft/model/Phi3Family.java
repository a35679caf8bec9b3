package io.weft.model;

import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.Wiring;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.Set;

/** Phi-3: Llama with Q, K and V in one matrix, and gate and up in another. */
final class Phi3Family implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("phi3");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(config);
        int window = config.whole("sliding_window", 1).orElse(LayerDimensions.NO_WINDOW);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        return shape.architecture(
                layer -> layer(shape, LlamaShape.PREFIX + "layers." + layer + ".", window, positions));
    }

    private static Layer layer(LlamaShape shape, String prefix, int window, Positions positions) {
        String fused = prefix + "self_attn.qkv_proj";
        Attention attention = Attention.plain(
                        shape.heads(),
                        shape.keyValueHeads(),
                        shape.headSize(),
                        positions,
                        linear(List.of(new ModuleRows(fused, 0, shape.queryWidth())), Bias.ABSENT),
                        linear(List.of(new ModuleRows(fused, shape.queryWidth(), 2 * shape.keyWidth())), Bias.ABSENT),
                        linear(prefix + "self_attn.o_proj", shape.hiddenSize(), Bias.ABSENT))
                .withWindow(window);
        FeedForward feedForward = new FeedForward.Gated(
                shape.activation(),
                shape.feedForwardSize(),
                linear(prefix + "mlp.gate_up_proj", 2 * shape.feedForwardSize(), Bias.ABSENT),
                linear(prefix + "mlp.down_proj", shape.hiddenSize(), Bias.ABSENT));
        return Layer.preNorm(
                norm(prefix + "input_layernorm", Bias.ABSENT),
                attention,
                norm(prefix + "post_attention_layernorm", Bias.ABSENT),
                feedForward,
                Wiring.SEQUENTIAL);
    }
}
