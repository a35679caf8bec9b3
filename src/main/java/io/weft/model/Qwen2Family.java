package io.weft.model;

import io.weft.model.LlamaShape.Biases;
import java.util.OptionalInt;
import java.util.Set;

/** Qwen2 and Qwen2.5: Llama with biases on Q, K and V. */
final class Qwen2Family implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("qwen2");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        config.requireFlag("use_sliding_window", false, false);
        return LlamaShape.read(config).architecture(OptionalInt.empty(), new Biases(true, false, false));
    }
}
