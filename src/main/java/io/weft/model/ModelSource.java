package io.weft.model;

import java.nio.file.Path;

/** Where a model comes from. */
public sealed interface ModelSource {
    /** The prefix of a preset's name. */
    String RANDOM = "random:";

    /** A Hugging Face model directory. */
    record Directory(Path path) implements ModelSource {}

    /** The model that is built in, under {@code models/demo} on the class path. */
    record Demo() implements ModelSource {}

    /**
     * A well-known shape with random weights.
     *
     * @param preset which
     */
    record Random(ModelPreset preset) implements ModelSource {}

    /** Parses {@code demo}, {@code random:} with a preset's name, or a directory. */
    static ModelSource parse(String text) {
        if (text.startsWith(RANDOM)) {
            return new Random(ModelPreset.of(text.substring(RANDOM.length())));
        }
        return text.equals("demo") ? new Demo() : new Directory(Path.of(text));
    }
}
