package io.weft.model;

import java.nio.file.Path;

/** Where a model comes from. */
public sealed interface ModelSource {
    /** A Hugging Face model directory. */
    record Directory(Path path) implements ModelSource {}

    /** The model that is built in, under {@code models/demo} on the class path. */
    record Demo() implements ModelSource {}

    /** {@code demo}, or a directory. */
    static ModelSource parse(String text) {
        return text.equals("demo") ? new Demo() : new Directory(Path.of(text));
    }
}
