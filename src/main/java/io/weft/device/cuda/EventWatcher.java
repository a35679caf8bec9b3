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
import java.util.function.LongPredicate;

/**
 * Waits for events by polling: a host callback in a stream would stop the stream until Java has returned. Callbacks run
 * on one thread, in the order of their registration wherever that is also the order of the marks.
 */
final class EventWatcher implements AutoCloseable {
    /** The pause between two polls; the system makes it about 60 µs. */
    private static final long PAUSE_NANOS = 10_000;

    /** An event of the driver. */
    interface Mark {
        long handle();

        /** The stream of the last mark; 0 if there is none. */
        long stream();
    }

    private record Watched(Mark event, ReachedCallback callback) {}

    private final Runnable bind;
    private final LongPredicate driver;
    private final CudaHealth health;
    private final FaultRecord faults;
    private final Deque<Watched> arrivals = new ArrayDeque<>();
    private final Thread thread;
    private boolean closing;

    EventWatcher(CudaContext context, CudaHealth health, FaultRecord faults) {
        this(context::bind, DriverCalls::isReached, health, faults);
    }

    /**
     * @param bind prepares the watcher's thread
     * @param driver asks whether the event of a handle is reached
     */
    EventWatcher(Runnable bind, LongPredicate driver, CudaHealth health, FaultRecord faults) {
        this.bind = bind;
        this.driver = driver;
        this.health = health;
        this.faults = faults;
        this.thread = Thread.ofPlatform().name("weft-cuda-events").daemon().start(this::work);
    }

    /** Whether an event's mark is reached; a stream that failed reaches all of them. */
    boolean isReached(Mark event) {
        try {
            if (!driver.test(event.handle())) {
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
    void waitFor(Mark event) {
        while (!health.failed() && !isReached(event)) {
            LockSupport.parkNanos(this, PAUSE_NANOS);
        }
    }

    /** Calls back once an event's mark is reached, at once if it already is. */
    void watch(Mark event, ReachedCallback callback) {
        synchronized (arrivals) {
            if (closing) {
                throw new IllegalStateException("the device is closed");
            }
            arrivals.add(new Watched(event, callback));
            arrivals.notifyAll();
        }
    }

    private void work() {
        guard(bind);
        List<Watched> waiting = new ArrayList<>();
        while (isOpen(waiting)) {
            guard(() -> {
                takeArrivals(waiting);
                if (!callReached(waiting)) {
                    LockSupport.parkNanos(this, PAUSE_NANOS);
                }
            });
        }
    }

    /** Fails the device if something fails here, and goes on: everybody who waits has to learn of it. */
    private void guard(Runnable work) {
        try {
            work.run();
        } catch (RuntimeException | Error e) {
            health.fail(new DeviceException("waiting for events failed: " + e, e));
            Thread current = Thread.currentThread();
            current.getUncaughtExceptionHandler().uncaughtException(current, e);
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
                Mark event = waiting.get(i).event();
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

    private void takeArrivals(List<Watched> waiting) {
        synchronized (arrivals) {
            waiting.addAll(arrivals);
            arrivals.clear();
        }
    }

    /** Blocks while there are no events at all; false at the end. */
    private boolean isOpen(List<Watched> waiting) {
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
