package io.weft.pipeline;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import io.weft.model.Architecture;
import io.weft.model.Architecture.Positions;
import io.weft.model.ConfigReader;
import io.weft.model.ModelFamily;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * What Hugging Face transformers computes for a small model with random weights; {@code tools/goldens} makes them.
 *
 * @param prompts some prompts, with what follows
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record Golden(List<Prompt> prompts) {
    static final List<String> NAMES =
            List.of("opt", "opt-fp16", "llama-mha", "llama3-gqa", "mistral", "qwen2", "phi3", "gemma", "gpt-neox");

    /**
     * A prompt.
     *
     * @param inputIds tokens
     * @param lastLogits behind the last one
     * @param allArgmax the likeliest token behind each one
     * @param greedy the next tokens, each the likeliest
     */
    record Prompt(
            List<Integer> inputIds,
            List<Float> lastLogits,
            List<Integer> allArgmax,
            List<Integer> greedy,
            double greedyMargin) {}

    static Path directory(String name) {
        return Path.of("src/test/resources/goldens", name);
    }

    static Golden read(String name) {
        try {
            return new ObjectMapper()
                    .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false)
                    .setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
                    .readValue(directory(name).resolve("golden.json").toFile(), Golden.class);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    static ModelFiles model(String name) {
        List<ModelFamily> families = name.equals("llama3-gqa")
                ? ModelFamily.all().stream()
                        .<ModelFamily>map(CastToBfloat16::new)
                        .toList()
                : ModelFamily.all();
        return ModelFiles.open(new ModelSource.Directory(directory(name)), families);
    }

    /**
     * The reference for {@code llama3-gqa} was computed after {@code model.to(bfloat16).float()}, which casts the
     * rotary frequencies with the weights. Transformers keeps them in fp32 when it loads a checkpoint, and so does
     * Weft: rounded to eight bits, they turn a token at position 8000 by the wrong angle.
     */
    private record CastToBfloat16(ModelFamily family) implements ModelFamily {
        @Override
        public Set<String> modelTypes() {
            return family.modelTypes();
        }

        @Override
        public Architecture describe(ConfigReader config) {
            Architecture exact = family.describe(config);
            Positions positions = switch (exact.positions()) {
                case Positions.Learned learned -> learned;
                case Positions.Rotary(List<Float> frequencies, float magnitude) ->
                    new Positions.Rotary(
                            frequencies.stream().map(CastToBfloat16::round).toList(), magnitude);
            };
            return new Architecture(
                    exact.dimensions(),
                    exact.embedding(),
                    positions,
                    exact.attentionScale(),
                    exact.attentionWindow(),
                    exact.normKind(),
                    exact.feedForward(),
                    exact.wiring(),
                    exact.layer(),
                    exact.finalNorm(),
                    exact.head());
        }

        /** To the nearest value with eight significant bits, ties to even. */
        private static float round(float value) {
            int bits = Float.floatToRawIntBits(value);
            return Float.intBitsToFloat((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
        }
    }

    /** The longest prompt. */
    Prompt longest() {
        return prompts.getLast();
    }
}
