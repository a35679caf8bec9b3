package io.weft.device.cuda;

import io.weft.device.DeviceException;
import io.weft.device.Event;

/** A CUDA event. One that was never recorded counts as reached, here as in CUDA. */
final class CudaEvent implements Event, EventWatcher.Mark {
    private static final double NANOS_PER_MILLI = 1e6;

    private final CudaContext context;
    private final CudaHealth health;
    private final EventWatcher watcher;
    private final Timing timing;
    private final long handle;
    private volatile long stream;

    CudaEvent(CudaContext context, CudaHealth health, EventWatcher watcher, Timing timing) {
        this.context = context;
        this.health = health;
        this.watcher = watcher;
        this.timing = timing;
        this.handle = switch (timing) {
            case TIMED -> context.createTimedEvent();
            case UNTIMED -> context.createUntimedEvent();
        };
    }

    @Override
    public long handle() {
        return handle;
    }

    /** Must be called before each mark. */
    void recordedOn(long streamHandle) {
        stream = streamHandle;
    }

    @Override
    public long stream() {
        return stream;
    }

    @Override
    public boolean isReached() {
        context.bind();
        return health.failed() || watcher.isReached(this);
    }

    @Override
    public void onReached(ReachedCallback callback) {
        watcher.watch(this, callback);
    }

    @Override
    public void join() {
        context.bind();
        watcher.waitFor(this);
        DeviceException failure = health.failure();
        if (failure != null) {
            throw new DeviceException("the stream failed before the event: " + failure.getMessage(), failure);
        }
    }

    @Override
    public long nanosSince(Event origin) {
        CudaEvent start = (CudaEvent) origin;
        if (timing != Timing.TIMED || start.timing != Timing.TIMED) {
            throw new IllegalStateException("events are " + start.timing + " and " + timing + ", must be TIMED");
        }
        context.bind();
        try {
            return Math.round(DriverCalls.elapsedMillis(start.handle, handle) * NANOS_PER_MILLI);
        } catch (DeviceException e) {
            throw new IllegalStateException("the time between two events that are not both reached", e);
        }
    }
}
