package io.weft.model;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** Makes the {@link Architecture} of a {@code config.json} whose {@code model_type} it knows. */
public interface ModelFamily {
    /** The values of {@code model_type} that this family reads. */
    Set<String> modelTypes();

    /**
     * Describes the model.
     *
     * @throws ModelLoadException if the configuration lacks a field, or asks for something the family cannot do
     */
    Architecture describe(ConfigReader config);

    /**
     * The family that reads a configuration.
     *
     * @throws ModelLoadException if none does
     */
    static ModelFamily of(ConfigReader config) {
        String type = config.text("model_type").orElse("");
        return all().stream()
                .filter(family -> family.modelTypes().contains(type))
                .findFirst()
                .orElseThrow(() -> refusal(config, type));
    }

    private static ModelLoadException refusal(ConfigReader config, String type) {
        return UnservedTypes.reason(config)
                .map(reason -> new ModelLoadException(config.file(), "model_type is \"" + type + "\": " + reason))
                .orElseGet(() -> config.wrong("model_type", "one of " + String.join(", ", knownTypes())));
    }

    private static Set<String> knownTypes() {
        Set<String> known = new TreeSet<>();
        all().forEach(family -> known.addAll(family.modelTypes()));
        return known;
    }

    /** All families. */
    static List<ModelFamily> all() {
        return List.of(
                new OptFamily(),
                new LlamaFamily(),
                new MixtralFamily(),
                new Qwen2Family(),
                new Qwen3Family(),
                new Phi3Family(),
                new GemmaFamily(),
                new Gemma4Family(),
                new OlmoFamily(),
                new GptOssFamily(),
                new SmolLm3Family(),
                new GraniteFamily(),
                new GlmFamily(),
                new CohereFamily(),
                new StableLmFamily(),
                new Starcoder2Family(),
                new GptNeoXFamily(),
                new Gpt2Family(),
                new GptJFamily(),
                new PhiFamily(),
                new FalconFamily());
    }
}
