package io.weft.device.cpu;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** Threads that share the tasks of one kernel at a time. The result does not depend on which thread runs a task. */
final class Workers {
    /** Kernels follow each other within microseconds, so a thread without work spins this often before it parks. */
    private static final int SPINS = 2_000;

    private final List<Thread> threads = new ArrayList<>();
    private volatile @Nullable Job job;
    private volatile boolean closed;

    /** Numbered tasks that threads take one by one. */
    private static final class Job {
        private final IntConsumer task;
        private final int tasks;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger left;
        private volatile @Nullable Throwable failure;

        Job(int tasks, IntConsumer task) {
            this.tasks = tasks;
            this.task = task;
            this.left = new AtomicInteger(tasks);
        }

        void work() {
            for (int i = next.getAndIncrement(); i < tasks; i = next.getAndIncrement()) {
                try {
                    task.accept(i);
                } catch (Throwable e) {
                    failure = e;
                } finally {
                    left.decrementAndGet();
                }
            }
        }
    }

    /** @param count threads that work on a kernel, the calling one included */
    Workers(int count) {
        for (int i = 1; i < count; i++) {
            threads.add(Thread.ofPlatform().name("weft-worker-" + i).daemon().start(this::help));
        }
    }

    /** The number of threads that work on a kernel. */
    int count() {
        return threads.size() + 1;
    }

    /** Runs {@code task} for 0 to {@code tasks − 1}, and returns when all are done. */
    synchronized void run(int tasks, IntConsumer task) {
        Job mine = new Job(tasks, task);
        if (tasks > 1 && !threads.isEmpty()) {
            job = mine;
            threads.forEach(LockSupport::unpark);
        }
        mine.work();
        while (mine.left.get() > 0) {
            Thread.onSpinWait();
        }
        job = null;
        Throwable failure = mine.failure;
        if (failure instanceof RuntimeException e) {
            throw e;
        }
        if (failure instanceof Error e) {
            throw e;
        }
    }

    private void help() {
        int idle = 0;
        while (!closed) {
            Job current = job;
            if (current != null && current.next.get() < current.tasks) {
                current.work();
                idle = 0;
            } else if (++idle < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.park(this);
                idle = 0;
            }
        }
    }

    void close() {
        closed = true;
        threads.forEach(LockSupport::unpark);
        for (Thread thread : threads) {
            while (thread.isAlive()) {
                LockSupport.unpark(thread);
                Thread.onSpinWait();
            }
        }
    }
}
