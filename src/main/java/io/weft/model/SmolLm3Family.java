package io.weft.model;

import io.weft.model.Architecture.Positions;
import io.weft.model.LlamaShape.Biases;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** SmolLM3: Llama in which some layers have no positions, and perhaps a window. */
final class SmolLm3Family implements ModelFamily {
    private static final String ROTARY = "no_rope_layers";

    @Override
    public Set<String> modelTypes() {
        return Set.of("smollm3");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        LlamaShape shape = LlamaShape.read(config);
        Positions rotary = RotaryConfig.read(config, shape.headSize());
        List<Boolean> hasPositions = hasPositions(config);
        boolean hasWindows = config.flag("use_sliding_window") && config.has("sliding_window");
        List<LayerType> types = LayerType.read(config, layer -> hasWindows && !hasPositions.get(layer));
        Biases biases =
                new Biases(config.flag("attention_bias"), config.flag("attention_bias"), config.flag("mlp_bias"));
        return shape.architecture(layer -> {
            String prefix = LlamaShape.layerPrefix(layer);
            Positions positions = hasPositions.get(layer) ? rotary : new Positions.None();
            int window = hasWindows ? types.get(layer).window(config) : LayerDimensions.NO_WINDOW;
            return shape.preNorm(
                    prefix,
                    shape.attention(prefix, positions, biases).withWindow(window),
                    shape.feedForward(prefix, biases));
        });
    }

    /** Contrary to its name, the field has a 1 for each layer with positions. */
    private static List<Boolean> hasPositions(ConfigReader config) {
        int layers = config.positive("num_hidden_layers");
        int interval = config.positive("no_rope_layer_interval");
        List<Integer> flags = config.wholes(ROTARY)
                .orElseGet(() -> IntStream.range(0, layers)
                        .mapToObj(layer -> (layer + 1) % interval == 0 ? 0 : 1)
                        .toList());
        if (flags.size() < layers) {
            throw config.wrong(ROTARY, "a list of at least " + layers + " numbers");
        }
        return flags.stream().map(flag -> flag != 0).toList();
    }
}
