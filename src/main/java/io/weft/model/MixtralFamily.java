package io.weft.model;

import static io.weft.model.TensorNames.linear;

import io.weft.device.ExpertRouting;
import io.weft.device.Gating;
import io.weft.model.Architecture.ExpertTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Positions;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/** Mixtral (Jiang et al. 2024): Mistral with experts in every layer. */
final class MixtralFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("mixtral");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(config);
        Positions positions = RotaryConfig.read(config, shape.headSize());
        int window = LayerType.SLIDING.window(config);
        return shape.architecture(layer -> shape.preNorm(
                LlamaShape.layerPrefix(layer),
                shape.attention(LlamaShape.layerPrefix(layer), positions, Biases.NONE)
                        .withWindow(window),
                experts(shape, LlamaShape.layerPrefix(layer) + "block_sparse_moe.")));
    }

    private static FeedForward experts(LlamaShape shape, String prefix) {
        ExpertRouting routing = shape.routing(ExpertRouting.Weights.SOFTMAX_OF_CHOSEN);
        return new FeedForward.Experts(
                routing,
                new Gating.Activated(shape.activation()),
                shape.feedForwardSize(),
                linear(prefix + "gate", routing.experts(), Bias.ABSENT),
                IntStream.range(0, routing.experts())
                        .mapToObj(expert -> expert(shape, prefix + "experts." + expert + "."))
                        .toList(),
                Optional.empty(),
                Optional.empty());
    }

    private static ExpertTensors expert(LlamaShape shape, String prefix) {
        return new ExpertTensors(
                linear(
                        List.of(
                                new ModuleRows(prefix + "w1", 0, shape.feedForwardSize()),
                                new ModuleRows(prefix + "w3", 0, shape.feedForwardSize())),
                        Bias.ABSENT),
                linear(prefix + "w2", shape.hiddenSize(), Bias.ABSENT));
    }
}
