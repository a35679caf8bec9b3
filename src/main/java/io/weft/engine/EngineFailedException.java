package io.weft.engine;

import org.jspecify.annotations.Nullable;

/** The device failed while a request was running. */
public final class EngineFailedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public EngineFailedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
