package io.weft.model;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The built-in model as a directory: its files are copied out of the jar, since they are mapped into memory. */
final class DemoModel {
    private static final String FOLDER = "/models/demo/";
    /** A directory with the model, for a jar without it: the portable bundle keeps the model next to itself. */
    private static final String UNPACKED = "weft.demo-model";

    private static final List<String> FILES = List.of(
            "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json");

    private DemoModel() {}

    static Path unpack() {
        Path unpacked = Path.of(System.getProperty(UNPACKED, ""));
        if (Files.isRegularFile(unpacked.resolve(FILES.getFirst()))) {
            return unpacked;
        }
        try {
            Path directory = Files.createTempDirectory("weft-demo-");
            for (String file : FILES) {
                try (InputStream in = DemoModel.class.getResourceAsStream(FOLDER + file)) {
                    if (in == null) {
                        throw new ModelLoadException("the built-in model lacks " + file
                                + ": unpack weft-demo-model.tar.gz next to the bundle");
                    }
                    Files.copy(in, directory.resolve(file));
                }
            }
            return directory;
        } catch (IOException e) {
            throw new ModelLoadException("the built-in model cannot be unpacked: " + e);
        }
    }

    static void delete(Path directory) {
        if (directory.equals(Path.of(System.getProperty(UNPACKED, "")))) {
            return;
        }
        try {
            for (String file : FILES) {
                Files.deleteIfExists(directory.resolve(file));
            }
            Files.deleteIfExists(directory);
        } catch (IOException e) {
            // A temporary directory that remains harms nobody, and closing must go on.
            System.getLogger(DemoModel.class.getName()).log(System.Logger.Level.DEBUG, "cannot delete " + directory, e);
        }
    }
}
