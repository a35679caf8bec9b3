package io.weft.device.cuda;

import io.weft.device.DeviceException;
import io.weft.device.Event.ReachedCallback;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;

/**
 * Waits for events by polling: a host callback in a stream would stop the stream until Java has returned. Callbacks run
 * on one thread, in the order of their registration wherever that is also the order of the marks.
 */
final class EventWatcher implements AutoCloseable {
    /** The pause between two polls; the system makes it about 60 µs. */
    private static final long PAUSE_NANOS = 10_000;

    private record Watched(CudaEvent event, ReachedCallback callback) {}

    private final CudaContext context;
    private final CudaHealth health;
    private final FaultRecord faults;
    private final Deque<Watched> arrivals = new ArrayDeque<>();
    private final Thread thread;
    private boolean closing;

    EventWatcher(CudaContext context, CudaHealth health, FaultRecord faults) {
        this.context = context;
        this.health = health;
        this.faults = faults;
        this.thread = Thread.ofPlatform().name("weft-cuda-events").daemon().start(this::work);
    }

    /** Whether an event's mark is reached; a stream that failed reaches all of them. */
    boolean isReached(CudaEvent event) {
        try {
            if (!DriverCalls.isReached(event.handle())) {
                return false;
            }
        } catch (DeviceException e) {
            health.fail(e);
        }
        DeviceException fault = faults.fault();
        if (fault != null) {
            health.fail(fault);
        }
        return true;
    }

    /** Blocks until an event's mark is reached or the device has failed. */
    void waitFor(CudaEvent event) {
        while (!health.failed() && !isReached(event)) {
            LockSupport.parkNanos(this, PAUSE_NANOS);
        }
    }

    /** Calls back once an event's mark is reached, at once if it already is. */
    void watch(CudaEvent event, ReachedCallback callback) {
        synchronized (arrivals) {
            if (closing) {
                throw new IllegalStateException("the device is closed");
            }
            arrivals.add(new Watched(event, callback));
            arrivals.notifyAll();
        }
    }

    private void work() {
        context.bind();
        List<Watched> waiting = new ArrayList<>();
        while (takeArrivals(waiting)) {
            try {
                if (!callReached(waiting)) {
                    LockSupport.parkNanos(this, PAUSE_NANOS);
                }
            } catch (RuntimeException | Error e) {
                // The thread goes on: everybody who waits has to learn that the device has failed.
                health.fail(new DeviceException("waiting for events failed: " + e, e));
                Thread thread = Thread.currentThread();
                thread.getUncaughtExceptionHandler().uncaughtException(thread, e);
            }
        }
    }

    /** Takes out the events that are reached and calls back; whether there was one. */
    private boolean callReached(List<Watched> waiting) {
        BitSet reached = reached(waiting);
        int called = 0;
        for (int i = reached.nextSetBit(0); i >= 0; i = reached.nextSetBit(i + 1)) {
            // Taken out before: a callback that throws is not called again.
            call(waiting.remove(i - called++).callback());
        }
        return called > 0;
    }

    /**
     * Finds the events that are reached. A query takes the driver's lock, which the issuing thread needs, so the
     * polling of a stream stops at its first event that is not reached. It repeats over all streams until nothing new
     * is found: so the marks that led to a mark on another stream are found with it, and called back before it.
     */
    private BitSet reached(List<Watched> waiting) {
        BitSet reached = new BitSet(waiting.size());
        Set<Long> pending = new HashSet<>();
        int before;
        do {
            before = reached.cardinality();
            pending.clear();
            for (int i = reached.nextClearBit(0); i < waiting.size(); i = reached.nextClearBit(i + 1)) {
                CudaEvent event = waiting.get(i).event();
                if (pending.contains(event.stream())) {
                    continue;
                }
                if (health.failed() || isReached(event)) {
                    reached.set(i);
                } else {
                    pending.add(event.stream());
                }
            }
        } while (reached.cardinality() > before);
        return reached;
    }

    /** Adds new events to {@code waiting}, and blocks while there are none at all; false at the end. */
    private boolean takeArrivals(List<Watched> waiting) {
        synchronized (arrivals) {
            while (arrivals.isEmpty() && waiting.isEmpty()) {
                if (closing) {
                    return false;
                }
                try {
                    arrivals.wait();
                } catch (InterruptedException e) {
                    // Nobody interrupts this thread; it ends when the device closes.
                }
            }
            waiting.addAll(arrivals);
            arrivals.clear();
            return true;
        }
    }

    private void call(ReachedCallback callback) {
        try {
            callback.reached(health.failure());
        } catch (RuntimeException e) {
            System.getLogger(EventWatcher.class.getName())
                    .log(System.Logger.Level.ERROR, "a callback of an event failed", e);
        }
    }

    /** Ends the thread once all watched events have been reached. */
    @Override
    public void close() {
        synchronized (arrivals) {
            closing = true;
            arrivals.notifyAll();
        }
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
