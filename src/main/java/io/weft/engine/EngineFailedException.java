package io.weft.engine;

import io.weft.device.DeviceException;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/** The device failed while a request was running. The message is for people, and names what failed. */
public final class EngineFailedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public EngineFailedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    /** The failure of a step that had begun: the device's, or else of the code that issued it. */
    static EngineFailedException of(RuntimeException failure) {
        Throwable cause =
                failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure;
        return new EngineFailedException(
                cause instanceof DeviceException
                        ? "the device failed: " + cause.getMessage()
                        : "a step broke off: " + cause,
                cause);
    }
}
