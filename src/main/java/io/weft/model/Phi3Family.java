package io.weft.model;

import static io.weft.model.TensorNames.linear;

import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.Set;

/** Phi-3 and Phi-4: Llama with Q, K and V in one matrix, and gate and up in another. */
final class Phi3Family implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("phi3");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(config);
        int window = LayerType.SLIDING.window(config);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        return shape.architecture(layer -> layer(shape, LlamaShape.layerPrefix(layer), window, positions));
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
        return shape.preNorm(prefix, attention, shape.fusedFeedForward(prefix));
    }
}
