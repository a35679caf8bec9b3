package io.weft.model;

import static io.weft.model.TensorNames.head;
import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.weft.device.Activation;
import io.weft.device.Norm;
import io.weft.device.RotaryTable.Layout;
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
import java.util.Set;
import java.util.stream.IntStream;

/**
 * GPT-J: attention and feed-forward network side by side after one layer norm, neighbouring pairs of a part of a head
 * rotated, biases in the network and the head alone.
 */
final class GptJFamily implements ModelFamily {
    private static final String PREFIX = "transformer.";

    @Override
    public Set<String> modelTypes() {
        return Set.of("gptj");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        int hidden = config.positive("n_embd");
        int heads = config.divisor("n_head", "n_embd");
        int vocabulary = config.positive("vocab_size");
        int feedForward = config.positive("n_inner", 4 * hidden);
        Activation activation = Activations.read(config, "activation_function");
        Positions positions = positions(config, hidden / heads);
        String embedding = PREFIX + "wte.weight";
        return Architecture.of(
                hidden,
                vocabulary,
                config.positive("n_positions"),
                EmbeddingTensors.of(embedding, 1),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("layer_norm_epsilon")),
                IntStream.range(0, config.positive("n_layer"))
                        .mapToObj(layer ->
                                layer(PREFIX + "h." + layer + ".", hidden, heads, positions, feedForward, activation))
                        .toList(),
                Head.biased(
                        norm(PREFIX + "ln_f", Bias.PRESENT),
                        head(config, embedding, "lm_head", vocabulary),
                        new TensorRows("lm_head.bias", 0, vocabulary)));
    }

    /** The configuration gives the rotated elements of a head, not their share. */
    private static Positions positions(ConfigReader config, int headSize) {
        int rotated = config.positive("rotary_dim");
        if (rotated > headSize || rotated % 2 != 0) {
            throw config.wrong("rotary_dim", "an even number, at most the size of a head, " + headSize);
        }
        ObjectNode json = config.json().deepCopy();
        json.put("partial_rotary_factor", Math.nextUp((double) rotated / headSize));
        return RotaryConfig.read(new ConfigReader(config.file(), json), headSize)
                .with(Layout.PAIRS);
    }

    private static Layer layer(
            String prefix, int hidden, int heads, Positions positions, int feedForward, Activation activation) {
        return new Layer(
                Optional.of(norm(prefix + "ln_1", Bias.PRESENT)),
                Attention.plain(
                        heads,
                        heads,
                        hidden / heads,
                        positions,
                        linear(prefix + "attn.q_proj", hidden, Bias.ABSENT),
                        linear(
                                List.of(
                                        new ModuleRows(prefix + "attn.k_proj", 0, hidden),
                                        new ModuleRows(prefix + "attn.v_proj", 0, hidden)),
                                Bias.ABSENT),
                        linear(prefix + "attn.out_proj", hidden, Bias.ABSENT)),
                Optional.empty(),
                Optional.empty(),
                new FeedForward.Plain(
                        activation,
                        feedForward,
                        linear(prefix + "mlp.fc_in", feedForward, Bias.PRESENT),
                        linear(prefix + "mlp.fc_out", hidden, Bias.PRESENT)),
                Optional.empty(),
                Wiring.PARALLEL,
                1,
                Optional.empty());
    }
}
