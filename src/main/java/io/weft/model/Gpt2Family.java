package io.weft.model;

import static io.weft.model.TensorNames.head;
import static io.weft.model.TensorNames.norm;

import io.weft.device.Activation;
import io.weft.device.Norm;
import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.Head;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.TensorRows.Axis;
import io.weft.model.Architecture.Wiring;
import io.weft.model.TensorNames.Bias;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.IntStream;

/** GPT-2: learned positions, layer norm, biases, and matrices that are stored transposed. */
final class Gpt2Family implements ModelFamily {
    private static final String PREFIX = "transformer.";

    @Override
    public Set<String> modelTypes() {
        return Set.of("gpt2");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        config.requireFlag("scale_attn_weights", true);
        config.requireFlag("scale_attn_by_inverse_layer_idx", false);
        config.requireFlag("add_cross_attention", false);
        int hidden = config.positive("n_embd");
        int heads = config.divisor("n_head", "n_embd");
        int vocabulary = config.positive("vocab_size");
        int feedForward = config.positive("n_inner", 4 * hidden);
        Activation activation = Activations.read(config, "activation_function");
        String embedding = PREFIX + "wte.weight";
        return Architecture.of(
                hidden,
                vocabulary,
                config.positive("n_positions"),
                new EmbeddingTensors(
                        embedding, Optional.of(PREFIX + "wpe.weight"), 0, 1, OptionalInt.empty(), Optional.empty()),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("layer_norm_epsilon")),
                IntStream.range(0, config.positive("n_layer"))
                        .mapToObj(layer -> layer(PREFIX + "h." + layer + ".", hidden, heads, feedForward, activation))
                        .toList(),
                Head.plain(norm(PREFIX + "ln_f", Bias.PRESENT), head(config, embedding, "lm_head", vocabulary)));
    }

    private static Layer layer(String prefix, int hidden, int heads, int feedForward, Activation activation) {
        return Layer.preNorm(
                norm(prefix + "ln_1", Bias.PRESENT),
                Attention.plain(
                        heads,
                        heads,
                        hidden / heads,
                        new Positions.None(),
                        transposed(prefix + "attn.c_attn", 0, hidden),
                        transposed(prefix + "attn.c_attn", hidden, 2 * hidden),
                        transposed(prefix + "attn.c_proj", 0, hidden)),
                norm(prefix + "ln_2", Bias.PRESENT),
                new FeedForward.Plain(
                        activation,
                        feedForward,
                        transposed(prefix + "mlp.c_fc", 0, feedForward),
                        transposed(prefix + "mlp.c_proj", 0, hidden)),
                Wiring.SEQUENTIAL);
    }

    /** Rows that are columns in the file. */
    private static LinearTensors transposed(String module, int from, int count) {
        return new LinearTensors(
                List.of(new TensorRows(module + ".weight", OptionalInt.empty(), Axis.COLUMNS, from, 1, count)),
                List.of(new TensorRows(module + ".bias", from, count)));
    }
}
