package io.weft.model;

import static io.weft.model.TensorNames.head;
import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.device.Norm;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Head;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.Wiring;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Phi-1, Phi-1.5 and Phi-2: attention and feed-forward network side by side after one layer norm, partly rotated heads,
 * biases everywhere.
 */
final class PhiFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("phi");
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
        String embedding = "model.embed_tokens.weight";
        int vocabulary = config.positive("vocab_size");
        return Architecture.of(
                shape.hiddenSize(),
                vocabulary,
                config.positive("max_position_embeddings"),
                EmbeddingTensors.of(embedding, 1),
                shape.normKind(),
                IntStream.range(0, config.positive("num_hidden_layers"))
                        .mapToObj(layer -> layer(shape, LlamaShape.layerPrefix(layer), positions))
                        .toList(),
                Head.biased(
                        norm("model.final_layernorm", Bias.PRESENT),
                        head(config, embedding, "lm_head", vocabulary),
                        new TensorRows("lm_head.bias", 0, vocabulary)));
    }

    private static Layer layer(LlamaShape shape, String prefix, Positions positions) {
        String attention = prefix + "self_attn.";
        return new Layer(
                Optional.of(norm(prefix + "input_layernorm", Bias.PRESENT)),
                shape.attention(
                        attention, attention + "v_proj", attention + "dense", positions, new Biases(true, true, true)),
                Optional.empty(),
                Optional.empty(),
                new FeedForward.Plain(
                        shape.activation(),
                        shape.feedForwardSize(),
                        linear(prefix + "mlp.fc1", shape.feedForwardSize(), Bias.PRESENT),
                        linear(prefix + "mlp.fc2", shape.hiddenSize(), Bias.PRESENT)),
                Optional.empty(),
                Wiring.PARALLEL,
                1,
                Optional.empty());
    }
}
