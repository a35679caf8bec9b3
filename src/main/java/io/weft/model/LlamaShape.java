package io.weft.model;

import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.device.Activation;
import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Head;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.Wiring;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * What many families share with Llama: RMS norm, a gated feed-forward network, rotary positions, grouped-query
 * attention, and the names of its tensors.
 *
 * @param config that it was read from
 * @param hiddenSize D
 * @param heads H
 * @param keyValueHeads KVH
 * @param headSize HD
 * @param feedForwardSize F
 * @param activation of the gate
 * @param normKind of every norm
 * @param embeddingScale factor on a token's embedding
 */
record LlamaShape(
        ConfigReader config,
        int hiddenSize,
        int heads,
        int keyValueHeads,
        int headSize,
        int feedForwardSize,
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
        return new LlamaShape(
                config,
                hidden,
                heads,
                keyValueHeads,
                config.positive("head_dim", Math.max(1, hidden / heads)),
                config.positive("intermediate_size"),
                activation,
                new Norm.Kind.RmsNorm(epsilon(config), 0),
                1);
    }

    private static float epsilon(ConfigReader config) {
        return (float) config.positiveNumber("rms_norm_eps");
    }

    /** The same with another offset on the norms' gains and another scale of the embedding. */
    LlamaShape with(float gainOffset, float scale) {
        return new LlamaShape(
                config,
                hiddenSize,
                heads,
                keyValueHeads,
                headSize,
                feedForwardSize,
                activation,
                new Norm.Kind.RmsNorm(epsilon(config), gainOffset),
                scale);
    }

    /** Elements of a row of queries. */
    int queryWidth() {
        return heads * headSize;
    }

    /** Elements of one token's K, and of its V. */
    int keyWidth() {
        return keyValueHeads * headSize;
    }

    /** The model, with the same window in all layers. */
    Architecture architecture(int window, Biases biases) {
        Positions positions = RotaryConfig.read(config, headSize);
        return architecture(layer -> layer(PREFIX + "layers." + layer + ".", window, positions, biases));
    }

    Architecture architecture(IntFunction<Layer> layer) {
        String embedding = PREFIX + "embed_tokens.weight";
        String head = config.flag("tie_word_embeddings") ? embedding : "lm_head.weight";
        int vocabulary = config.positive("vocab_size");
        return Architecture.of(
                hiddenSize,
                vocabulary,
                config.positive("max_position_embeddings"),
                EmbeddingTensors.of(embedding, embeddingScale),
                normKind,
                IntStream.range(0, config.positive("num_hidden_layers"))
                        .mapToObj(layer)
                        .toList(),
                Head.plain(norm(PREFIX + "norm", Bias.ABSENT), new TensorRows(head, 0, vocabulary)));
    }

    private Layer layer(String prefix, int window, Positions positions, Biases biases) {
        return Layer.preNorm(
                norm(prefix + "input_layernorm", Bias.ABSENT),
                attention(prefix + "self_attn.", window, positions, biases),
                norm(prefix + "post_attention_layernorm", Bias.ABSENT),
                feedForward(prefix + "mlp.", biases),
                Wiring.SEQUENTIAL);
    }

    private Attention attention(String prefix, int window, Positions positions, Biases biases) {
        Bias bias = Bias.of(biases.projections());
        return Attention.plain(
                        heads,
                        keyValueHeads,
                        headSize,
                        positions,
                        linear(prefix + "q_proj", queryWidth(), bias),
                        linear(
                                List.of(
                                        new ModuleRows(prefix + "k_proj", 0, keyWidth()),
                                        new ModuleRows(prefix + "v_proj", 0, keyWidth())),
                                bias),
                        linear(prefix + "o_proj", hiddenSize, Bias.of(biases.output())))
                .withWindow(window);
    }

    private FeedForward feedForward(String prefix, Biases biases) {
        Bias bias = Bias.of(biases.feedForward());
        return new FeedForward.Gated(
                activation,
                feedForwardSize,
                linear(
                        List.of(
                                new ModuleRows(prefix + "gate_proj", 0, feedForwardSize),
                                new ModuleRows(prefix + "up_proj", 0, feedForwardSize)),
                        bias),
                linear(prefix + "down_proj", hiddenSize, bias));
    }
}
