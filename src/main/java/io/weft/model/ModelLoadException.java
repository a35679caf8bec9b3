package io.weft.model;

import java.nio.file.Path;

/** A model cannot be read. The message is one line that names the file and the cause. */
public final class ModelLoadException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ModelLoadException(Path file, String cause) {
        super(file + ": " + cause);
    }

    public ModelLoadException(String message) {
        super(message);
    }
}
