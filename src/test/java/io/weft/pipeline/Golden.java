package io.weft.pipeline;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * What Hugging Face transformers, or its formulas in NumPy, compute for a small model with random weights;
 * {@code tools/goldens} makes them.
 *
 * @param prompts some prompts, with what follows
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record Golden(List<Prompt> prompts) {
    /** Models whose layers are alike, in 16 bits, each with something of its own. */
    static final List<String> UNIFORM = List.of("opt", "llama-mha", "llama3-gqa", "phi3", "gemma", "gpt-neox");

    /** Models with layers that differ, with more in a layer, or with quantised weights. */
    static final List<String> OTHERS = List.of(
            "opt-fp16",
            "mistral",
            "qwen2",
            "llama-fp8-block",
            "llama-fp8-channel",
            "llama-gptq",
            "llama-w4a16",
            "qwen3-awq",
            "mistral-window",
            "qwen3",
            "qwen3-moe",
            "gemma2",
            "gemma3",
            "gemma4",
            "olmo2",
            "olmo3",
            "phi3-longrope",
            "gpt-oss",
            "smollm3",
            "granite",
            "opt-350m-style",
            "mixtral",
            "qwen2-moe",
            "qwen2-window",
            "glm4",
            "stablelm",
            "stablelm-parallel",
            "starcoder2",
            "cohere",
            "cohere2",
            "gpt2",
            "gptj",
            "phi",
            "falcon",
            "falcon-new",
            "falcon-in-turn");

    static final List<String> NAMES =
            Stream.concat(UNIFORM.stream(), OTHERS.stream()).toList();

    /**
     * A prompt.
     *
     * @param inputIds tokens
     * @param lastLogits logits after the last one
     * @param allArgmax the likeliest token after each one
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
        return ModelFiles.open(new ModelSource.Directory(directory(name)));
    }

    /** The longest prompt. */
    Prompt longest() {
        return prompts.getLast();
    }
}
