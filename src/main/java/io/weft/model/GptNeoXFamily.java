package io.weft.model;

import static io.weft.model.TensorNames.head;
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
import io.weft.model.Architecture.Wiring;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * GPT-NeoX (Pythia): layer norm, partly rotated heads, attention and feed-forward side by side, Q, K and V of a head as
 * neighbours in one matrix.
 */
final class GptNeoXFamily implements ModelFamily {
    private static final String PREFIX = "gpt_neox.";

    @Override
    public Set<String> modelTypes() {
        return Set.of("gpt_neox");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        int hidden = config.positive("hidden_size");
        int heads = config.divisor("num_attention_heads", "hidden_size");
        Sizes sizes = new Sizes(
                hidden,
                heads,
                config.positive("intermediate_size"),
                Activations.read(config, "hidden_act"),
                RotaryConfig.read(config, hidden / heads),
                config.flag("use_parallel_residual") ? Wiring.PARALLEL : Wiring.SEQUENTIAL,
                Bias.of(config.flag("attention_bias")));
        String embedding = PREFIX + "embed_in.weight";
        int vocabulary = config.positive("vocab_size");
        return Architecture.of(
                hidden,
                vocabulary,
                config.positive("max_position_embeddings"),
                EmbeddingTensors.of(embedding, 1),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("layer_norm_eps")),
                IntStream.range(0, config.positive("num_hidden_layers"))
                        .mapToObj(layer -> layer(PREFIX + "layers." + layer + ".", sizes))
                        .toList(),
                Head.plain(
                        norm(PREFIX + "final_layer_norm", Bias.PRESENT),
                        head(config, embedding, "embed_out", vocabulary)));
    }

    /** What the layers have in common. */
    private record Sizes(
            int hidden,
            int heads,
            int feedForward,
            Activation activation,
            Positions positions,
            Wiring wiring,
            Bias attentionBias) {
        int headSize() {
            return hidden / heads;
        }
    }

    private static Layer layer(String prefix, Sizes sizes) {
        String fused = prefix + "attention.query_key_value";
        List<ModuleRows> keyValue = new ArrayList<>(headRows(fused, sizes, 1));
        keyValue.addAll(headRows(fused, sizes, 2));
        return Layer.preNorm(
                norm(prefix + "input_layernorm", Bias.PRESENT),
                Attention.plain(
                        sizes.heads(),
                        sizes.heads(),
                        sizes.headSize(),
                        sizes.positions(),
                        linear(headRows(fused, sizes, 0), sizes.attentionBias()),
                        linear(keyValue, sizes.attentionBias()),
                        linear(prefix + "attention.dense", sizes.hidden(), sizes.attentionBias())),
                norm(prefix + "post_attention_layernorm", Bias.PRESENT),
                new FeedForward.Plain(
                        sizes.activation(),
                        sizes.feedForward(),
                        linear(prefix + "mlp.dense_h_to_4h", sizes.feedForward(), Bias.PRESENT),
                        linear(prefix + "mlp.dense_4h_to_h", sizes.hidden(), Bias.PRESENT)),
                sizes.wiring());
    }

    /** Rows of the fused matrix are (heads, 3, headSize): part 0 is Q, 1 is K, 2 is V. */
    private static List<ModuleRows> headRows(String fused, Sizes sizes, int part) {
        List<ModuleRows> rows = new ArrayList<>();
        for (int head = 0; head < sizes.heads(); head++) {
            rows.add(new ModuleRows(fused, (3 * head + part) * sizes.headSize(), sizes.headSize()));
        }
        return rows;
    }
}
