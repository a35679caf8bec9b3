package io.weft.device.cuda;

import io.weft.device.DeviceException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** The first error of a device. A CUDA context does not recover from an error, so there is no way back. */
final class CudaHealth {
    private final AtomicReference<@Nullable DeviceException> failure = new AtomicReference<>();

    /** Fails the device, if it has not failed yet. */
    void fail(DeviceException error) {
        failure.compareAndSet(null, error);
    }

    /** The error that failed the device; null if there is none. */
    @Nullable
    DeviceException failure() {
        return failure.get();
    }

    boolean failed() {
        return failure.get() != null;
    }

    /** Issues a call, and fails the device if it is refused. */
    void guard(Runnable call) {
        try {
            call.run();
        } catch (DeviceException e) {
            fail(e);
        }
    }
}
