package io.weft.model;

import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.model.Architecture.LayerTensors;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.OptionalInt;
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
        ModelDimensions dimensions = shape.dimensions();
        OptionalInt window = config.whole("sliding_window", 1);
        return shape.architecture(window, layer -> layer(LlamaShape.PREFIX + "layers." + layer + ".", dimensions));
    }

    private static LayerTensors layer(String prefix, ModelDimensions dimensions) {
        String fused = prefix + "self_attn.qkv_proj";
        return new LayerTensors(
                norm(prefix + "input_layernorm", Bias.ABSENT),
                linear(List.of(new ModuleRows(fused, 0, dimensions.queryWidth())), Bias.ABSENT),
                linear(
                        List.of(new ModuleRows(fused, dimensions.queryWidth(), dimensions.keyValueWidth())),
                        Bias.ABSENT),
                linear(prefix + "self_attn.o_proj", dimensions.hiddenSize(), Bias.ABSENT),
                norm(prefix + "post_attention_layernorm", Bias.ABSENT),
                linear(prefix + "mlp.gate_up_proj", 2 * dimensions.feedForwardSize(), Bias.ABSENT),
                linear(prefix + "mlp.down_proj", dimensions.hiddenSize(), Bias.ABSENT));
    }
}
