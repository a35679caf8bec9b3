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
import io.weft.model.Architecture.NormTensors;
import io.weft.model.Architecture.Positions;
import io.weft.model.Architecture.Wiring;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Falcon: layer norm, attention and feed-forward network side by side or one after the other, Q, K and V of a group of
 * heads as neighbours in one matrix. In the newer models each of both has a norm of its own.
 */
final class FalconFamily implements ModelFamily {
    private static final String PREFIX = "transformer.";

    @Override
    public Set<String> modelTypes() {
        return Set.of("falcon");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        if (config.flag("alibi")) {
            throw config.wrong("alibi", "false: scores with a bias by distance are not served");
        }
        Sizes sizes = Sizes.read(config);
        String embedding = PREFIX + "word_embeddings.weight";
        int vocabulary = config.positive("vocab_size");
        return Architecture.of(
                sizes.hidden(),
                vocabulary,
                config.positive("max_position_embeddings"),
                EmbeddingTensors.of(embedding, 1),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("layer_norm_epsilon")),
                IntStream.range(0, config.positive("num_hidden_layers"))
                        .mapToObj(layer -> layer(PREFIX + "h." + layer + ".", sizes))
                        .toList(),
                Head.plain(norm(PREFIX + "ln_f", Bias.PRESENT), head(config, embedding, "lm_head", vocabulary)));
    }

    /** Which norms a layer has, and how it is wired. */
    private enum Norms {
        /** One before both. */
        SHARED,
        /** One before attention, one before the network that is beside it. */
        APART,
        /** One before attention, one before the network after it. */
        IN_TURN
    }

    /** What the layers have in common. */
    private record Sizes(
            int hidden,
            int heads,
            int keyValueHeads,
            int feedForward,
            Activation activation,
            Positions positions,
            Bias bias,
            Norms norms) {
        static Sizes read(ConfigReader config) {
            int hidden = config.positive("hidden_size");
            int heads = config.divisor("num_attention_heads", "hidden_size");
            boolean isNew = config.flag("new_decoder_architecture");
            int keyValueHeads = heads;
            if (isNew) {
                keyValueHeads = config.positive("num_kv_heads", heads);
                if (heads % keyValueHeads != 0) {
                    throw config.wrong("num_kv_heads", "a divisor of num_attention_heads, " + heads);
                }
            } else if (config.flag("multi_query")) {
                keyValueHeads = 1;
            }
            return new Sizes(
                    hidden,
                    heads,
                    keyValueHeads,
                    config.positive("ffn_hidden_size", 4 * hidden),
                    Activations.read(config, "activation"),
                    RotaryConfig.read(config, hidden / heads),
                    Bias.of(config.flag("bias")),
                    norms(config, isNew));
        }

        private static Norms norms(ConfigReader config, boolean isNew) {
            if (isNew) {
                int count = config.positive("num_ln_in_parallel_attn", 2);
                if (count > 2) {
                    throw config.wrong("num_ln_in_parallel_attn", "1 or 2");
                }
                return count == 2 ? Norms.APART : Norms.SHARED;
            }
            return config.flag("parallel_attn") ? Norms.SHARED : Norms.IN_TURN;
        }

        int headSize() {
            return hidden / heads;
        }

        /** Query heads that share K and V. */
        int sharing() {
            return heads / keyValueHeads;
        }
    }

    private static Layer layer(String prefix, Sizes sizes) {
        NormTensors first = norm(prefix + (sizes.norms() == Norms.APART ? "ln_attn" : "input_layernorm"), Bias.PRESENT);
        Optional<NormTensors> second = switch (sizes.norms()) {
            case SHARED -> Optional.empty();
            case APART -> Optional.of(norm(prefix + "ln_mlp", Bias.PRESENT));
            case IN_TURN -> Optional.of(norm(prefix + "post_attention_layernorm", Bias.PRESENT));
        };
        String fused = prefix + "self_attention.query_key_value";
        List<ModuleRows> keyValue = new ArrayList<>(rows(fused, sizes, sizes.sharing(), 1));
        keyValue.addAll(rows(fused, sizes, sizes.sharing() + 1, 1));
        return new Layer(
                Optional.of(first),
                Attention.plain(
                        sizes.heads(),
                        sizes.keyValueHeads(),
                        sizes.headSize(),
                        sizes.positions(),
                        linear(rows(fused, sizes, 0, sizes.sharing()), sizes.bias()),
                        linear(keyValue, sizes.bias()),
                        linear(prefix + "self_attention.dense", sizes.hidden(), sizes.bias())),
                Optional.empty(),
                second,
                new FeedForward.Plain(
                        sizes.activation(),
                        sizes.feedForward(),
                        linear(prefix + "mlp.dense_h_to_4h", sizes.feedForward(), sizes.bias()),
                        linear(prefix + "mlp.dense_4h_to_h", sizes.hidden(), sizes.bias())),
                Optional.empty(),
                sizes.norms() == Norms.IN_TURN ? Wiring.SEQUENTIAL : Wiring.PARALLEL,
                1,
                Optional.empty());
    }

    /** The fused matrix has, for each head of K and V, the query heads that share it, then its K, then its V. */
    private static List<ModuleRows> rows(String fused, Sizes sizes, int firstHead, int heads) {
        List<ModuleRows> rows = new ArrayList<>();
        for (int group = 0; group < sizes.keyValueHeads(); group++) {
            int head = group * (sizes.sharing() + 2) + firstHead;
            rows.add(new ModuleRows(fused, head * sizes.headSize(), heads * sizes.headSize()));
        }
        return rows;
    }
}
