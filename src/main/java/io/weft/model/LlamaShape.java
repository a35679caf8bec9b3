package io.weft.model;

import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.device.Activation;
import io.weft.device.Norm;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.LayerTensors;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.Wiring;
import io.weft.model.ModelDimensions.FeedForwardKind;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntFunction;

/**
 * What many families share with Llama: RMS norm, a gated feed-forward network, rotary positions, grouped-query
 * attention, and the names of its tensors.
 *
 * @param config that it was read from
 * @param dimensions sizes
 * @param activation of the gate
 * @param normKind of every norm
 * @param embeddingScale factor on a token's embedding
 */
record LlamaShape(
        ConfigReader config,
        ModelDimensions dimensions,
        Activation activation,
        Norm.Kind normKind,
        float embeddingScale) {
    static final String PREFIX = "model.";

    /** Which projections have biases. */
    record Biases(boolean projections, boolean output, boolean feedForward) {}

    static LlamaShape read(ConfigReader config) {
        return read(config, Activations.read(config, "hidden_act"));
    }

    static LlamaShape read(ConfigReader config, Activation activation) {
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        int keyValueHeads = config.positive("num_key_value_heads", heads);
        if (heads % keyValueHeads != 0) {
            throw config.wrong("num_key_value_heads", "a divisor of num_attention_heads, " + heads);
        }
        ModelDimensions dimensions = new ModelDimensions(
                config.positive("num_hidden_layers"),
                hidden,
                heads,
                keyValueHeads,
                config.positive("head_dim", Math.max(1, hidden / heads)),
                config.positive("intermediate_size"),
                FeedForwardKind.GATED,
                config.positive("vocab_size"),
                config.positive("max_position_embeddings"));
        return new LlamaShape(config, dimensions, activation, new Norm.Kind.RmsNorm(epsilon(config), 0), 1);
    }

    private static float epsilon(ConfigReader config) {
        return (float) config.positiveNumber("rms_norm_eps");
    }

    /** The same with another offset on the norms' gains and another scale of the embedding. */
    LlamaShape with(float gainOffset, float scale) {
        return new LlamaShape(
                config, dimensions, activation, new Norm.Kind.RmsNorm(epsilon(config), gainOffset), scale);
    }

    Architecture architecture(OptionalInt window, Biases biases) {
        return architecture(window, layer -> layer(PREFIX + "layers." + layer + ".", biases));
    }

    Architecture architecture(OptionalInt window, IntFunction<LayerTensors> layers) {
        String embedding = PREFIX + "embed_tokens.weight";
        String head = config.flag("tie_word_embeddings") ? embedding : "lm_head.weight";
        return new Architecture(
                dimensions,
                new EmbeddingTensors(embedding, Optional.empty(), 0, embeddingScale),
                RotaryConfig.read(config, dimensions.headSize()),
                (float) (1 / Math.sqrt(dimensions.headSize())),
                window,
                normKind,
                new FeedForward.Gated(activation),
                Wiring.SEQUENTIAL,
                layers,
                norm(PREFIX + "norm", Bias.ABSENT),
                new TensorRows(head, 0, dimensions.vocabularySize()));
    }

    private LayerTensors layer(String prefix, Biases biases) {
        int keyRows = dimensions.keyValueWidth() / 2;
        String attention = prefix + "self_attn.";
        String feedForward = prefix + "mlp.";
        return new LayerTensors(
                norm(prefix + "input_layernorm", Bias.ABSENT),
                linear(attention + "q_proj", dimensions.queryWidth(), Bias.of(biases.projections())),
                linear(
                        List.of(
                                new ModuleRows(attention + "k_proj", 0, keyRows),
                                new ModuleRows(attention + "v_proj", 0, keyRows)),
                        Bias.of(biases.projections())),
                linear(attention + "o_proj", dimensions.hiddenSize(), Bias.of(biases.output())),
                norm(prefix + "post_attention_layernorm", Bias.ABSENT),
                linear(
                        List.of(
                                new ModuleRows(feedForward + "gate_proj", 0, dimensions.feedForwardSize()),
                                new ModuleRows(feedForward + "up_proj", 0, dimensions.feedForwardSize())),
                        Bias.of(biases.feedForward())),
                linear(feedForward + "down_proj", dimensions.hiddenSize(), Bias.of(biases.feedForward())));
    }
}
