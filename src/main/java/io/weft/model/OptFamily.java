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
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * OPT (Zhang et al. 2022): pre-norm, learned positions, ReLU, biases, multi-head attention, a head tied to the
 * embedding.
 */
final class OptFamily implements ModelFamily {
    /** The first two rows of the position table stand for padding. */
    private static final int POSITION_OFFSET = 2;

    private static final float NORM_EPSILON = 1e-5f;
    private static final String DECODER = "model.decoder.";

    @Override
    public Set<String> modelTypes() {
        return Set.of("opt");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        config.requireFlag("do_layer_norm_before", true);
        config.requireFlag("layer_norm_elementwise_affine", true);
        config.requireFlag("_remove_final_layer_norm", false);
        int hidden = config.positive("hidden_size");
        if (config.positive("word_embed_proj_dim", hidden) != hidden) {
            throw config.wrong("word_embed_proj_dim", "equal to hidden_size, " + hidden);
        }
        int heads = config.positive("num_attention_heads");
        if (hidden % heads != 0) {
            throw config.wrong("num_attention_heads", "a divisor of hidden_size, " + hidden);
        }
        Sizes sizes = new Sizes(
                hidden,
                heads,
                config.positive("ffn_dim"),
                Activations.read(config, "activation_function"),
                Bias.of(config.flag("enable_bias")));
        int vocabulary = config.positive("vocab_size");
        String tokens = DECODER + "embed_tokens.weight";
        return Architecture.of(
                hidden,
                vocabulary,
                config.positive("max_position_embeddings"),
                new EmbeddingTensors(
                        tokens,
                        Optional.of(DECODER + "embed_positions.weight"),
                        POSITION_OFFSET,
                        1,
                        OptionalInt.empty(),
                        Optional.empty()),
                new Norm.Kind.LayerNorm(NORM_EPSILON),
                IntStream.range(0, config.positive("num_hidden_layers"))
                        .mapToObj(layer -> layer(DECODER + "layers." + layer + ".", sizes))
                        .toList(),
                Head.plain(
                        norm(DECODER + "final_layer_norm", Bias.PRESENT),
                        new TensorRows(config.flag("tie_word_embeddings") ? tokens : "lm_head.weight", 0, vocabulary)));
    }

    /** What the layers have in common. */
    private record Sizes(int hidden, int heads, int feedForward, Activation activation, Bias bias) {}

    private static Layer layer(String prefix, Sizes sizes) {
        int hidden = sizes.hidden();
        Bias bias = sizes.bias();
        String attention = prefix + "self_attn.";
        return Layer.preNorm(
                norm(prefix + "self_attn_layer_norm", Bias.PRESENT),
                Attention.plain(
                        sizes.heads(),
                        sizes.heads(),
                        hidden / sizes.heads(),
                        new Positions.None(),
                        linear(attention + "q_proj", hidden, bias),
                        linear(
                                List.of(
                                        new ModuleRows(attention + "k_proj", 0, hidden),
                                        new ModuleRows(attention + "v_proj", 0, hidden)),
                                bias),
                        linear(attention + "out_proj", hidden, bias)),
                norm(prefix + "final_layer_norm", Bias.PRESENT),
                new FeedForward.Plain(
                        sizes.activation(),
                        sizes.feedForward(),
                        linear(prefix + "fc1", sizes.feedForward(), bias),
                        linear(prefix + "fc2", hidden, bias)),
                Wiring.SEQUENTIAL);
    }
}
