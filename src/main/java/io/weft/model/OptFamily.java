package io.weft.model;

import static io.weft.model.TensorNames.head;
import static io.weft.model.TensorNames.linear;

import io.weft.device.Activation;
import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Head;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.Wiring;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * OPT (Zhang et al. 2022): learned positions, ReLU, biases, multi-head attention, a head tied to the embedding. The
 * model of 350M has norms of sums, and projects embeddings that are narrower than its layers.
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
        int hidden = config.positive("hidden_size");
        int heads = config.divisor("num_attention_heads", "hidden_size");
        Sizes sizes = new Sizes(
                hidden,
                heads,
                config.positive("ffn_dim"),
                Activations.read(config, "activation_function"),
                Bias.of(config.flag("enable_bias")),
                config.flag("layer_norm_elementwise_affine"),
                config.flag("do_layer_norm_before"));
        int vocabulary = config.positive("vocab_size");
        int width = config.positive("word_embed_proj_dim", hidden);
        boolean isProjected = width != hidden;
        String tokens = DECODER + "embed_tokens.weight";
        boolean hasFinalNorm = sizes.normsBefore() && !config.flag("_remove_final_layer_norm");
        return Architecture.of(
                hidden,
                vocabulary,
                config.positive("max_position_embeddings"),
                new EmbeddingTensors(
                        tokens,
                        Optional.of(DECODER + "embed_positions.weight"),
                        POSITION_OFFSET,
                        1,
                        isProjected ? OptionalInt.of(width) : OptionalInt.empty(),
                        isProjected
                                ? Optional.of(linear(DECODER + "project_in", hidden, Bias.ABSENT))
                                : Optional.empty()),
                new Norm.Kind.LayerNorm(NORM_EPSILON),
                IntStream.range(0, config.positive("num_hidden_layers"))
                        .mapToObj(layer -> layer(DECODER + "layers." + layer + ".", sizes))
                        .toList(),
                new Head(
                        hasFinalNorm ? Optional.of(sizes.norm(DECODER + "final_layer_norm")) : Optional.empty(),
                        isProjected
                                ? Optional.of(linear(DECODER + "project_out", width, Bias.ABSENT))
                                : Optional.empty(),
                        head(config, tokens, "lm_head", vocabulary),
                        Optional.empty(),
                        1,
                        0));
    }

    /** What the layers have in common. */
    private record Sizes(
            int hidden,
            int heads,
            int feedForward,
            Activation activation,
            Bias bias,
            boolean normsHaveGains,
            boolean normsBefore) {
        NormTensors norm(String module) {
            return normsHaveGains
                    ? TensorNames.norm(module, Bias.PRESENT)
                    : new NormTensors(Optional.empty(), Optional.empty());
        }
    }

    private static Layer layer(String prefix, Sizes sizes) {
        NormTensors attentionNorm = sizes.norm(prefix + "self_attn_layer_norm");
        NormTensors feedForwardNorm = sizes.norm(prefix + "final_layer_norm");
        if (sizes.normsBefore()) {
            return Layer.preNorm(
                    attentionNorm,
                    attention(prefix + "self_attn.", sizes),
                    feedForwardNorm,
                    feedForward(prefix, sizes),
                    Wiring.SEQUENTIAL);
        }
        return new Layer(
                Optional.empty(),
                attention(prefix + "self_attn.", sizes),
                Optional.of(attentionNorm),
                Optional.empty(),
                feedForward(prefix, sizes),
                Optional.of(feedForwardNorm),
                Wiring.NORM_OF_SUM,
                1,
                Optional.empty());
    }

    private static Attention attention(String prefix, Sizes sizes) {
        int hidden = sizes.hidden();
        return Attention.plain(
                sizes.heads(),
                sizes.heads(),
                hidden / sizes.heads(),
                new Positions.None(),
                linear(prefix + "q_proj", hidden, sizes.bias()),
                linear(
                        List.of(
                                new ModuleRows(prefix + "k_proj", 0, hidden),
                                new ModuleRows(prefix + "v_proj", 0, hidden)),
                        sizes.bias()),
                linear(prefix + "out_proj", hidden, sizes.bias()));
    }

    private static FeedForward feedForward(String prefix, Sizes sizes) {
        return new FeedForward.Plain(
                sizes.activation(),
                sizes.feedForward(),
                linear(prefix + "fc1", sizes.feedForward(), sizes.bias()),
                linear(prefix + "fc2", sizes.hidden(), sizes.bias()));
    }
}
