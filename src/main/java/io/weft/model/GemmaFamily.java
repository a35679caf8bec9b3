package io.weft.model;

import io.weft.model.LlamaShape.Biases;
import java.util.OptionalInt;
import java.util.Set;

/** Gemma: Llama with embeddings times √D, norms whose gain is stored less 1, GELU, and a head that is always tied. */
final class GemmaFamily implements ModelFamily {
    @Override
    public Set<String> modelTypes() {
        return Set.of("gemma");
    }

    @Override
    public Architecture describe(ConfigReader config) {
        config.requireFlag("tie_word_embeddings", true, true);
        LlamaShape shape = LlamaShape.read(config);
        float scale = (float) Math.sqrt(shape.dimensions().hiddenSize());
        return shape.with(1, scale)
                .architecture(
                        OptionalInt.empty(),
                        new Biases(config.flag("attention_bias", false), config.flag("attention_bias", false), false));
    }
}
