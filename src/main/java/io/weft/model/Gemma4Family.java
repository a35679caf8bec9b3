package io.weft.model;

import io.weft.model.Architecture.Attention;
import io.weft.model.Architecture.HeadNorm;
import io.weft.model.Architecture.Layer;
import io.weft.model.Architecture.NormTensors;
import io.weft.model.LlamaShape.Biases;
import io.weft.model.TensorNames.Bias;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Gemma 4, text and dense: as Gemma 3 with plain gains, scores that are not scaled, norms of values, a factor by layer,
 * and full layers with heads of their own, whose values may be their raw keys.
 */
final class Gemma4Family implements ModelFamily {
    private static final String BY_LAYER = "per_layer_config";
    private static final Set<String> OF_LAYER = Set.of("head_dim", "num_key_value_heads");

    @Override
    public Set<String> modelTypes() {
        return Set.of("gemma4_text", "gemma4");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        refuse(config);
        List<LayerType> types = new ArrayList<>(LayerType.everyFull(config, "sliding_window_pattern", 6));
        // The reference's last layer sees all, whatever its configuration says.
        types.set(types.size() - 1, LayerType.FULL);
        LlamaShape read =
                LlamaShape.read(config, GemmaFamily.activation(config), LlamaShape.rmsNorm(config, 0), Bias.ABSENT);
        LlamaShape shape = read.withEmbeddingScale((float) Math.sqrt(read.hiddenSize()));
        List<LlamaShape> layers = new ArrayList<>();
        for (int i = 0; i < types.size(); i++) {
            layers.add(heads(shape, types.get(i), i));
            int first = types.indexOf(types.get(i));
            if (width(layers.get(i)) != width(layers.get(first))) {
                throw config.wrong(
                        BY_LAYER,
                        "of equal K and V in all layers that are %s: layer %d has %d elements of a token, layer %d %d"
                                .formatted(
                                        types.get(i).label(),
                                        first,
                                        width(layers.get(first)),
                                        i,
                                        width(layers.get(i))));
            }
        }
        return shape.architecture(
                layer -> layer(layers.get(layer), types.get(layer), layer),
                1,
                GemmaFamily.cap(config, "final_logit_softcapping"));
    }

    private static int width(LlamaShape shape) {
        return 2 * shape.keyValueHeads() * shape.headSize();
    }

    private static void refuse(ConfigReader config) {
        if (config.whole("hidden_size_per_layer_input", 0).orElse(0) != 0) {
            throw config.wrong("hidden_size_per_layer_input", "0: embeddings of layers are not served");
        }
        if (config.whole("num_kv_shared_layers", 0).orElse(0) != 0) {
            throw config.wrong("num_kv_shared_layers", "0: layers without K and V of their own are not served");
        }
        config.requireFlag("enable_moe_block", false);
        // For text alone, "vision" is causal.
        if (config.text("use_bidirectional_attention").orElse("").equals("all")) {
            throw config.wrong("use_bidirectional_attention", "null or \"vision\"");
        }
    }

    /** Full layers have heads of another size, unless each layer has its own. */
    private static LlamaShape heads(LlamaShape shape, LayerType type, int layer) {
        ConfigReader config = shape.config();
        Optional<ConfigReader> byLayer = config.object(BY_LAYER);
        if (byLayer.isPresent()) {
            ConfigReader own = byLayer.get()
                    .object(String.valueOf(layer))
                    .or(() -> byLayer.get().object(type.label()))
                    .orElse(config);
            if (!own.equals(config)) {
                own.json().fieldNames().forEachRemaining(field -> {
                    if (!OF_LAYER.contains(field)) {
                        throw config.wrong(BY_LAYER, "of head_dim and num_key_value_heads alone, not " + field);
                    }
                });
            }
            return shape.withHeads(
                    own.positive("head_dim", shape.headSize()),
                    own.positive("num_key_value_heads", shape.keyValueHeads()));
        }
        return switch (type) {
            case SLIDING -> shape;
            case FULL ->
                shape.withHeads(
                        config.positive("global_head_dim", shape.headSize()),
                        config.flag("attention_k_eq_v")
                                ? config.positive("num_global_key_value_heads", shape.keyValueHeads())
                                : shape.keyValueHeads());
        };
    }

    private static Layer layer(LlamaShape shape, LayerType type, int index) {
        ConfigReader config = shape.config();
        String prefix = LlamaShape.layerPrefix(index);
        String modules = prefix + "self_attn.";
        boolean valuesAreKeys = config.flag("attention_k_eq_v") && type == LayerType.FULL;
        Biases biases = GemmaFamily.biases(config);
        HeadNorm ofValues = new HeadNorm(HeadNorm.Span.HEAD, new NormTensors(Optional.empty(), Optional.empty()));
        Attention attention = shape.normed(
                shape.attention(
                                prefix,
                                RotaryConfig.read(config, shape.headSize(), type, "rope_local_base_freq"),
                                biases)
                        .withScores(1, 0)
                        .withValueNorm(ofValues)
                        .withWindow(type.window(config)),
                prefix,
                HeadNorm.Span.HEAD);
        if (valuesAreKeys) {
            attention = attention.withSharedProjection(
                    TensorNames.linear(modules + "k_proj", width(shape) / 2, Bias.of(biases.projections())),
                    attention.keyNorm().orElseThrow(),
                    ofValues);
        }
        Layer plain = shape.sandwich(prefix, attention, shape.feedForward(prefix, Biases.NONE));
        return plain.with(1, Optional.of(prefix + "layer_scalar"));
    }
}
