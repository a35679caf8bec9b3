package io.weft.device.cpu;

import io.weft.device.DeviceException;
import io.weft.device.Event;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/** An event: the mark that was recorded last. */
final class CpuEvent implements Event {
    /** Completed with the time at which a stream reached the mark. */
    static final class Mark extends CompletableFuture<Long> {}

    private final Timing timing;
    private volatile @Nullable Mark mark;

    CpuEvent(Timing timing) {
        this.timing = timing;
    }

    /** Creates a mark, which becomes the last one. */
    Mark renew() {
        Mark next = new Mark();
        mark = next;
        return next;
    }

    /** The last mark; null if none was recorded. */
    @Nullable
    Mark mark() {
        return mark;
    }

    @Override
    public boolean isReached() {
        Mark last = mark;
        return last == null || last.isDone();
    }

    @Override
    public void onReached(ReachedCallback callback) {
        Mark last = mark;
        if (last == null) {
            callback.reached(null);
        } else {
            var _ = last.whenComplete((nanos, error) -> callback.reached(error));
        }
    }

    @Override
    public void join() {
        Mark last = mark;
        if (last == null) {
            return;
        }
        try {
            last.join();
        } catch (CompletionException e) {
            throw new DeviceException("the stream failed before the event: " + e.getCause(), e);
        }
    }

    @Override
    public long nanosSince(Event origin) {
        return reachedNanos() - ((CpuEvent) origin).reachedNanos();
    }

    private long reachedNanos() {
        Mark last = mark;
        if (timing != Timing.TIMED || last == null || last.state() != CompletableFuture.State.SUCCESS) {
            throw new IllegalStateException("event is " + timing + " and " + (isReached() ? "" : "not ") + "reached");
        }
        return last.resultNow();
    }
}
