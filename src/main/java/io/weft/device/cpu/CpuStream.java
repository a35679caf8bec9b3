package io.weft.device.cpu;

import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceException;
import io.weft.device.DeviceRows;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import org.jspecify.annotations.Nullable;

/** A stream: a thread with a queue. */
final class CpuStream implements Stream {
    /** An operation that the thread runs. */
    @FunctionalInterface
    interface Operation {
        void run();
    }

    private final String name;
    private final LinkDirection toDevice;
    private final LinkDirection toHost;
    private final LinkedBlockingQueue<Operation> operations = new LinkedBlockingQueue<>();
    private final Thread thread;
    /** The operations of the current capture; null if there is none. */
    private @Nullable List<Operation> captured;

    /** When the last awaited mark was reached; only the thread uses it. */
    private long awaitedNanos = System.nanoTime();

    private volatile boolean closing;
    private volatile @Nullable Throwable failure;

    CpuStream(String name, LinkDirection toDevice, LinkDirection toHost) {
        this.name = name;
        this.toDevice = toDevice;
        this.toHost = toHost;
        this.thread = Thread.ofPlatform().name("weft-" + name).daemon().start(this::work);
    }

    @Override
    public String name() {
        return name;
    }

    /** Adds an operation. An exception that it throws stops the stream. */
    void issue(Operation operation) {
        if (closing) {
            throw new IllegalStateException("the device is closed");
        }
        if (captured != null) {
            captured.add(operation);
            return;
        }
        operations.add(() -> {
            if (failure == null) {
                operation.run();
            }
        });
    }

    /** Captures what {@code issuing} issues on this stream instead of running it. */
    CpuGraph capture(Runnable issuing) {
        List<Operation> kept = new ArrayList<>();
        captured = kept;
        try {
            issuing.run();
        } finally {
            captured = null;
        }
        return new CpuGraph(kept);
    }

    private void requireNoCapture() {
        if (captured != null) {
            throw new IllegalStateException("a graph has no events");
        }
    }

    @Override
    public void record(Event event) {
        requireNoCapture();
        if (closing) {
            throw new IllegalStateException("the device is closed");
        }
        CpuEvent.Mark mark = ((CpuEvent) event).renew();
        operations.add(() -> {
            Throwable error = failure;
            if (error == null) {
                mark.complete(System.nanoTime());
            } else {
                mark.completeExceptionally(error);
            }
        });
    }

    @Override
    public void await(Event event) {
        requireNoCapture();
        CpuEvent.Mark mark = ((CpuEvent) event).mark();
        if (mark != null) {
            issue(() -> awaitedNanos = Math.max(awaitedNanos, mark.join()));
        }
    }

    @Override
    public void copyToDevice(List<HostBuffer> from, DeviceBuffer to) {
        Stream.requireSameLength(HostBuffer.bytes(from), to.bytes());
        long issuedNanos = System.nanoTime();
        issue(() -> {
            long at = to.address();
            for (HostBuffer piece : from) {
                toDevice.copy(piece.address(), at, piece.bytes(), Math.max(issuedNanos, awaitedNanos));
                at += piece.bytes();
            }
        });
    }

    @Override
    public void copyToHost(DeviceBuffer from, HostBuffer to) {
        Stream.requireSameLength(from.bytes(), to.bytes());
        long issuedNanos = System.nanoTime();
        issue(() -> toHost.copy(from.address(), to.address(), to.bytes(), Math.max(issuedNanos, awaitedNanos)));
    }

    @Override
    public void copyOnDevice(DeviceBuffer from, DeviceBuffer to) {
        Stream.requireSameLength(from.bytes(), to.bytes());
        issue(() -> Memory.copy(from.address(), to.address(), to.bytes()));
    }

    @Override
    public void copyOnDevice(DeviceRows from, DeviceRows to) {
        from.requireSameRows(to);
        issue(() -> {
            for (int row = 0; row < from.rows(); row++) {
                Memory.copy(
                        from.memory().address() + row * from.pitchBytes(),
                        to.memory().address() + row * to.pitchBytes(),
                        from.rowBytes());
            }
        });
    }

    private void work() {
        while (!(closing && operations.isEmpty())) {
            try {
                operations.take().run();
            } catch (InterruptedException e) {
                failure = new DeviceException("stream " + name + " was interrupted", e);
            } catch (CompletionException e) {
                failure = e.getCause();
            } catch (Throwable e) {
                failure = new DeviceException("stream " + name + " failed: " + e, e);
            }
        }
    }

    /** Runs the operations that were issued, then ends the thread. */
    void close() {
        operations.add(() -> closing = true);
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
