package io.weft.model;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What the configuration of a directory says.
 *
 * @param config {@code config.json}
 * @param architecture the model's
 * @param quantisation how weights are stored
 */
record ModelDescription(ConfigReader config, Architecture architecture, Quantisation quantisation) {
    /**
     * Reads the configuration; weights need not be there.
     *
     * @throws ModelLoadException with one line that names file and cause
     */
    static ModelDescription read(Path directory) {
        if (!Files.isDirectory(directory)) {
            throw new ModelLoadException(
                    directory, Files.exists(directory) ? "is not a directory" : "there is no such directory");
        }
        Path file = directory.resolve("config.json");
        ConfigReader config = new ConfigReader(file, ModelFiles.json(file));
        Quantisation quantisation = Quantisation.read(config);
        ModelFamily family = ModelFamily.of(config);
        return new ModelDescription(config, family.describe(FamilyDefaults.complete(config)), quantisation);
    }

    /** The {@code model_type}. */
    String modelType() {
        return config.text("model_type").orElse("");
    }
}
