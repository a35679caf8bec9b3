package io.weft.model;

import io.weft.model.LlamaShape.Biases;
import java.util.Set;

/** Qwen2 and Qwen2.5: Llama with biases on Q, K and V. */
final class Qwen2Family implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("qwen2");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        // Layers from max_window_layers on have the window; often there are none.
        boolean isWindowed = config.flag("use_sliding_window")
                && config.has("sliding_window")
                && config.whole("max_window_layers", 0).orElse(0) < config.positive("num_hidden_layers");
        if (isWindowed) {
            throw config.wrong("use_sliding_window", "false, or max_window_layers at least num_hidden_layers");
        }
        return LlamaShape.read(config).architecture(LayerDimensions.NO_WINDOW, new Biases(true, false, false));
    }
}
