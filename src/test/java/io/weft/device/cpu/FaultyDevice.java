package io.weft.device.cpu;

import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceException;
import io.weft.device.DeviceRows;
import io.weft.device.Event;
import io.weft.device.ExpertWeights;
import io.weft.device.Experts;
import io.weft.device.ForwardingDevice;
import io.weft.device.Graph;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.Linear;
import io.weft.device.Stream;
import io.weft.device.Tensor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A CPU device that fails on purpose, once: the n-th copy or kernel, counted in order of issue. It compares both sides
 * of each copy, so that a flipped bit is found. What it really computes is the CPU device's.
 */
public final class FaultyDevice extends ForwardingDevice {
    private static final long LATE_NANOS = 3_000_000;

    private final CpuDevice device;
    private final Fault fault;
    private final Kernels kernels;
    private final AtomicInteger operations = new AtomicInteger();
    private final CountDownLatch released = new CountDownLatch(1);
    private volatile boolean occurred;

    /** What goes wrong. */
    public enum Kind {
        NOTHING,
        /** Issuing the operation fails. */
        REFUSED,
        /** The operation fails when it runs. */
        FAILS,
        LATE,
        /** The operation never ends, until the device is {@link #release released}. */
        HANGS,
        /** A bit of the n-th copy is wrong. */
        FLIPS,
        /** The first logit of a row of the n-th choice of tokens is a NaN. */
        POISONS,
        /** Nothing can be captured. */
        NO_GRAPHS,
        /** The n-th allocation does not fit. */
        NO_MEMORY
    }

    /** @param at number of the operation, from 1 */
    public record Fault(Kind kind, int at) {}

    public FaultyDevice(CpuOptions options, Fault fault) {
        this(new CpuDevice(options), fault);
    }

    private FaultyDevice(CpuDevice device, Fault fault) {
        super(device);
        this.device = device;
        this.fault = fault;
        this.kernels = (Kernels)
                Proxy.newProxyInstance(Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, this::runKernel);
    }

    /** Whether the fault has occurred. */
    public boolean occurred() {
        return occurred;
    }

    /** Lets an operation that hangs end. */
    public void release() {
        released.countDown();
    }

    private @Nullable Object runKernel(Object proxy, Method method, Object[] arguments) throws Throwable {
        Kernels real = device.kernels();
        Object[] own = arguments.clone();
        if (!(own[0] instanceof FaultyStream stream)) {
            return call(real, method, own);
        }
        own[0] = stream.real;
        boolean isChoice = method.getName().equals("chooseTokens");
        if (fault.kind() == Kind.POISONS && isChoice && isNext()) {
            DeviceBuffer logits = (DeviceBuffer) own[1];
            stream.real.issue(() -> Memory.setFloat(logits.address(), Float.NaN));
        } else if (fault.kind() != Kind.POISONS && fault.kind() != Kind.FLIPS) {
            stream.before();
        }
        return call(real, method, own);
    }

    private static @Nullable Object call(Kernels real, Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(real, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private boolean isNext() {
        boolean next = operations.incrementAndGet() == fault.at();
        occurred |= next;
        return next;
    }

    /** Counts operations, and fails. */
    private final class FaultyStream implements Stream {
        private final CpuStream real;

        FaultyStream(CpuStream real) {
            this.real = real;
        }

        /** What precedes an operation; whether its copy is to have a wrong bit. */
        private boolean before() {
            switch (fault.kind()) {
                case NOTHING, POISONS, NO_GRAPHS, NO_MEMORY -> {
                    return false;
                }
                case REFUSED, FAILS, LATE, HANGS, FLIPS -> {}
            }
            if (!isNext()) {
                return false;
            }
            switch (fault.kind()) {
                case REFUSED -> throw new DeviceException("injected: refused operation " + fault.at());
                case FAILS ->
                    real.issue(() -> {
                        throw new DeviceException("injected: operation " + fault.at() + " failed");
                    });
                case LATE -> real.issue(() -> LockSupport.parkNanos(LATE_NANOS));
                case HANGS ->
                    real.issue(() -> {
                        try {
                            released.await();
                        } catch (InterruptedException e) {
                            throw new DeviceException("interrupted", e);
                        }
                    });
                case FLIPS, NOTHING, POISONS, NO_GRAPHS, NO_MEMORY -> {}
            }
            return fault.kind() == Kind.FLIPS;
        }

        private void copied(boolean flips, long from, long to, long bytes) {
            if (flips) {
                long at = to + bytes - Integer.BYTES;
                real.issue(() -> Memory.setInt(at, Memory.getInt(at) ^ 1));
            }
            if (fault.kind() == Kind.FLIPS) {
                real.issue(() -> requireSame(from, to, bytes));
            }
        }

        private void requireSame(long from, long to, long bytes) {
            for (long i = 0; i < bytes; i += Integer.BYTES) {
                if (Memory.getInt(from + i) != Memory.getInt(to + i)) {
                    throw new DeviceException("injected: a copy on " + name() + " differs at byte " + i);
                }
            }
        }

        @Override
        public String name() {
            return real.name();
        }

        @Override
        public void record(Event event) {
            real.record(event);
        }

        @Override
        public void await(Event event) {
            real.await(event);
        }

        @Override
        public void copyToDevice(List<HostBuffer> from, DeviceBuffer to) {
            boolean flips = before();
            real.copyToDevice(from, to);
            long at = to.address();
            for (int i = 0; i < from.size(); i++) {
                HostBuffer piece = from.get(i);
                copied(flips && i == from.size() - 1, piece.address(), at, piece.bytes());
                at += piece.bytes();
            }
        }

        @Override
        public void copyToHost(DeviceBuffer from, HostBuffer to) {
            boolean flips = before();
            real.copyToHost(from, to);
            if (to.bytes() > 0) {
                copied(flips, from.address(), to.address(), to.bytes());
            }
        }

        @Override
        public void copyOnDevice(DeviceBuffer from, DeviceBuffer to) {
            boolean flips = before();
            real.copyOnDevice(from, to);
            copied(flips, from.address(), to.address(), to.bytes());
        }

        @Override
        public void copyOnDevice(DeviceRows from, DeviceRows to) {
            before();
            real.copyOnDevice(from, to);
        }
    }

    @Override
    public DeviceBuffer allocate(String purpose, long bytes) {
        requireMemory(purpose);
        return device.allocate(purpose, bytes);
    }

    @Override
    public HostBuffer allocateHost(String purpose, long bytes) {
        requireMemory(purpose);
        return device.allocateHost(purpose, bytes);
    }

    private void requireMemory(String purpose) {
        if (fault.kind() == Kind.NO_MEMORY && isNext()) {
            throw new DeviceException("injected: no memory for " + purpose);
        }
    }

    @Override
    public Stream stream(String name) {
        return new FaultyStream((CpuStream) device.stream(name));
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }

    @Override
    public Optional<Graph> capture(Stream stream, Runnable captured) {
        if (fault.kind() == Kind.NO_GRAPHS) {
            occurred = true;
            return Optional.empty();
        }
        return device.capture(((FaultyStream) stream).real, captured).map(graph -> new Graph() {
            @Override
            public void launch(Stream on) {
                FaultyStream faulty = (FaultyStream) on;
                faulty.before();
                graph.launch(faulty.real);
            }

            @Override
            public void close() {
                graph.close();
            }
        });
    }

    @Override
    public Linear linear(String purpose, List<? extends Tensor> rows, List<? extends Tensor> bias) {
        requireMemory(purpose);
        return device.linear(purpose, rows, bias);
    }

    @Override
    public Experts experts(String purpose, List<ExpertWeights> experts) {
        requireMemory(purpose);
        return device.experts(purpose, experts);
    }
}
