package io.weft.model;

import java.util.List;
import java.util.Set;

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

    /** All families. */
    static List<ModelFamily> all() {
        return List.of(
                new OptFamily(),
                new LlamaFamily(),
                new Qwen2Family(),
                new Phi3Family(),
                new GemmaFamily(),
                new GptNeoXFamily());
    }
}
