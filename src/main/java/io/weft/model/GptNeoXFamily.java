package io.weft.model;

import static io.weft.model.TensorNames.linear;
import static io.weft.model.TensorNames.norm;

import io.weft.device.Norm;
import io.weft.model.Architecture.EmbeddingTensors;
import io.weft.model.Architecture.FeedForward;
import io.weft.model.Architecture.LayerTensors;
import io.weft.model.Architecture.TensorRows;
import io.weft.model.Architecture.Wiring;
import io.weft.model.ModelDimensions.FeedForwardKind;
import io.weft.model.TensorNames.Bias;
import io.weft.model.TensorNames.ModuleRows;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

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
        int heads = config.positive("num_attention_heads");
        if (hidden % heads != 0) {
            throw config.wrong("num_attention_heads", "a divisor of hidden_size, " + hidden);
        }
        ModelDimensions dimensions = new ModelDimensions(
                config.positive("num_hidden_layers"),
                hidden,
                heads,
                heads,
                hidden / heads,
                config.positive("intermediate_size"),
                FeedForwardKind.PLAIN,
                config.positive("vocab_size"),
                config.positive("max_position_embeddings"));
        String embedding = PREFIX + "embed_in.weight";
        String head = config.flag("tie_word_embeddings") ? embedding : "embed_out.weight";
        Bias attentionBias = Bias.of(config.flag("attention_bias"));
        return new Architecture(
                dimensions,
                new EmbeddingTensors(embedding, Optional.empty(), 0, 1),
                RotaryConfig.read(config, dimensions.headSize()),
                (float) (1 / Math.sqrt(dimensions.headSize())),
                OptionalInt.empty(),
                new Norm.Kind.LayerNorm((float) config.positiveNumber("layer_norm_eps")),
                new FeedForward.Plain(Activations.read(config, "hidden_act")),
                config.flag("use_parallel_residual") ? Wiring.PARALLEL : Wiring.SEQUENTIAL,
                layer -> layer(PREFIX + "layers." + layer + ".", dimensions, attentionBias),
                norm(PREFIX + "final_layer_norm", Bias.PRESENT),
                new TensorRows(head, 0, dimensions.vocabularySize()));
    }

    private static LayerTensors layer(String prefix, ModelDimensions dimensions, Bias attentionBias) {
        String fused = prefix + "attention.query_key_value";
        List<ModuleRows> query = new ArrayList<>(headRows(fused, dimensions, 0));
        List<ModuleRows> keyValue = new ArrayList<>(headRows(fused, dimensions, 1));
        keyValue.addAll(headRows(fused, dimensions, 2));
        return new LayerTensors(
                norm(prefix + "input_layernorm", Bias.PRESENT),
                linear(query, attentionBias),
                linear(keyValue, attentionBias),
                linear(prefix + "attention.dense", dimensions.hiddenSize(), attentionBias),
                norm(prefix + "post_attention_layernorm", Bias.PRESENT),
                linear(prefix + "mlp.dense_h_to_4h", dimensions.feedForwardSize(), Bias.PRESENT),
                linear(prefix + "mlp.dense_4h_to_h", dimensions.hiddenSize(), Bias.PRESENT));
    }

    /** Rows of the fused matrix are (heads, 3, headSize): part 0 is Q, 1 is K, 2 is V. */
    private static List<ModuleRows> headRows(String fused, ModelDimensions dimensions, int part) {
        int headSize = dimensions.headSize();
        List<ModuleRows> rows = new ArrayList<>();
        for (int head = 0; head < dimensions.heads(); head++) {
            rows.add(new ModuleRows(fused, (3 * head + part) * headSize, headSize));
        }
        return rows;
    }
}
