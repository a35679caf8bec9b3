package io.weft.model;

import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.device.Norm;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.LayerTensors;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.Wiring;
import io.weft.model.ModelDimensions.FeedForwardKind;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

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
        int feedForward = config.positive("ffn_dim");
        Bias bias = Bias.of(config.flag("enable_bias"));
        ModelDimensions dimensions = new ModelDimensions(
                config.positive("num_hidden_layers"),
                hidden,
                heads,
                heads,
                hidden / heads,
                feedForward,
                FeedForwardKind.PLAIN,
                config.positive("vocab_size"),
                config.positive("max_position_embeddings"));
        String head = config.flag("tie_word_embeddings") ? DECODER + "embed_tokens.weight" : "lm_head.weight";
        return new Architecture(
                dimensions,
                new EmbeddingTensors(
                        DECODER + "embed_tokens.weight",
                        Optional.of(DECODER + "embed_positions.weight"),
                        POSITION_OFFSET,
                        1),
                new Positions.Learned(),
                (float) (1 / Math.sqrt(dimensions.headSize())),
                OptionalInt.empty(),
                new Norm.Kind.LayerNorm(NORM_EPSILON),
                new FeedForward.Plain(Activations.read(config, "activation_function")),
                Wiring.SEQUENTIAL,
                layer -> layer(DECODER + "layers." + layer + ".", hidden, feedForward, bias),
                norm(DECODER + "final_layer_norm", Bias.PRESENT),
                new TensorRows(head, 0, dimensions.vocabularySize()));
    }

    private static LayerTensors layer(String prefix, int hidden, int feedForward, Bias bias) {
        String attention = prefix + "self_attn.";
        return new LayerTensors(
                norm(prefix + "self_attn_layer_norm", Bias.PRESENT),
                linear(attention + "q_proj", hidden, bias),
                linear(
                        List.of(
                                new ModuleRows(attention + "k_proj", 0, hidden),
                                new ModuleRows(attention + "v_proj", 0, hidden)),
                        bias),
                linear(attention + "out_proj", hidden, bias),
                norm(prefix + "final_layer_norm", Bias.PRESENT),
                linear(prefix + "fc1", feedForward, bias),
                linear(prefix + "fc2", hidden, bias));
    }
}
