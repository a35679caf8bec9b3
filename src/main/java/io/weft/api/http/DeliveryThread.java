package io.weft.api.http;

import io.netty.channel.EventLoop;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * A thread that turns events of the engine into bytes and passes these to event loops. It wakes once a step, runs what
 * the step left for it, and then gives each event loop one task that writes the step's bytes of all its responses. It
 * never waits for anything else.
 */
public final class DeliveryThread implements Executor {
    private static final Logger LOG = Logger.getLogger(DeliveryThread.class);

    private final LongSupplier nanoTime;
    private final long sweepNanos;
    private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final Runnable handOver = this::handOver;
    private final AtomicBoolean woken = new AtomicBoolean();
    private final Thread thread;
    private volatile boolean closed;

    /** The responses that are not written to their end. Used on this thread only, as are the next two. */
    private final List<ResponseStream> open = new ArrayList<>();

    private final List<ResponseStream> written = new ArrayList<>();
    private long sweptNanos;

    /**
     * Starts the thread.
     *
     * @param nanoTime clock of slow readers
     * @param sweepNanos how often it looks for slow readers
     */
    DeliveryThread(String name, LongSupplier nanoTime, long sweepNanos) {
        this.nanoTime = nanoTime;
        this.sweepNanos = sweepNanos;
        this.sweptNanos = nanoTime.getAsLong();
        this.thread = Thread.ofPlatform().name(name).daemon().start(this::run);
    }

    /** Leaves a task for when the thread is {@linkplain #wake woken}. Tasks run in order. */
    public void leave(Runnable task) {
        tasks.add(task);
    }

    /** Runs the tasks that were left, and has written what they wrote. */
    void wake() {
        if (!tasks.isEmpty()) {
            // In its place among the tasks: an engine that is ahead must not hold up what is complete.
            tasks.add(handOver);
            unpark();
        }
    }

    /** Runs a task after those that were left, and has written what it wrote. */
    @Override
    public void execute(Runnable task) {
        tasks.add(task);
        tasks.add(handOver);
        unpark();
    }

    private void unpark() {
        if (!woken.getAndSet(true)) {
            LockSupport.unpark(thread);
        }
    }

    /** Ends the thread after the tasks that were left. */
    void close() {
        closed = true;
        unpark();
        boolean interrupted = false;
        while (thread.isAlive() && thread != Thread.currentThread()) {
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

    long nanoTime() {
        return nanoTime.getAsLong();
    }

    /** Watches a response until it is {@linkplain ResponseStream#isDone done}. */
    void watch(ResponseStream response) {
        open.add(response);
    }

    /** Has a response's bytes written once the tasks at hand have run. */
    void written(ResponseStream response) {
        written.add(response);
    }

    private void run() {
        while (!closed) {
            if (woken.getAndSet(false)) {
                runTasks();
            } else if (open.isEmpty()) {
                LockSupport.park(this);
            } else {
                LockSupport.parkNanos(this, sweepNanos);
            }
            long now = nanoTime();
            if (!open.isEmpty() && now - sweptNanos >= sweepNanos) {
                sweptNanos = now;
                sweep();
            }
        }
        runTasks();
        handOver();
    }

    private void runTasks() {
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
            try {
                task.run();
            } catch (Exception | Error e) {
                // One response's fault; the thread has others.
                LOG.error("a response was not delivered", e);
            }
        }
    }

    private void handOver() {
        Map<EventLoop, List<Runnable>> writes = new HashMap<>();
        for (ResponseStream response : written) {
            response.nextWrite()
                    .ifPresent(write -> writes.computeIfAbsent(response.eventLoop(), loop -> new ArrayList<>())
                            .add(write));
        }
        written.clear();
        writes.forEach((loop, ofLoop) -> loop.execute(() -> ofLoop.forEach(Runnable::run)));
    }

    /** Ends the responses whose readers are slow, and forgets those that are done. */
    private void sweep() {
        open.removeIf(ResponseStream::isDone);
        List.copyOf(open).forEach(ResponseStream::requireProgress);
        handOver();
    }
}
