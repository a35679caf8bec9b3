package io.weft.profile;

import io.weft.device.AttentionWork;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceRows;
import io.weft.device.Event;
import io.weft.device.ForwardingDevice;
import io.weft.device.Graph;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.Stream;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.DoubleUnaryOperator;

/**
 * A machine whose figures are known, on a clock that only its own work moves. Memory and weights are another device's;
 * kernels and copies compute nothing and take as long as these figures say, so that a profile of it is exact, and the
 * same on every machine that runs the tests.
 *
 * <p>The thread that issues work has a time, and so has each stream: work starts when it has been issued, what was
 * issued before it on its stream has run, and, for a copy, its direction of the link is free.
 */
final class TimedDevice extends ForwardingDevice implements HostClock {
    static final double LINK_IN_BYTES_PER_SECOND = 0.5e9;
    static final double LINK_OUT_BYTES_PER_SECOND = 0.25e9;
    /** Time of the issuing thread for a kernel or a copy. */
    static final double ISSUE_NANOS = 300;
    /** A kernel in a graph starts faster. */
    static final double START_NANOS = 5000;

    static final double GRAPH_START_NANOS = 2000;
    static final double ROW_NANOS = 1000;
    /** For each pair of the row of a sequence and a token. */
    static final double PAIR_NANOS = 10;
    /** The same if a sequence has many rows, */
    static final double PREFILL_PAIR_NANOS = 0.1;
    /** of which fewer than this many take as long. */
    static final int PREFILL_ROWS_LEAST = 256;
    /** Until a stream notices an event of another, */
    static final double HANDOFF_NANOS = 7000;
    /** and until a thread does. */
    static final double WAKE_NANOS = 20_000;

    private final List<Double> capturedNanos = new ArrayList<>();
    private boolean isCapturing;
    private double hostNanos;
    private double linkInFreeNanos;
    private double linkOutFreeNanos;
    private DoubleUnaryOperator slowness = _ -> 1;
    private DoubleUnaryOperator compilingNanos = _ -> 0;

    /** @param memory whose memory and weights to use */
    TimedDevice(Device memory) {
        super(memory);
    }

    /** Lets everything take {@code slowness} times as long: a function of seconds since the start. */
    void setSlowness(DoubleUnaryOperator slowness) {
        this.slowness = slowness;
    }

    /** Lets the just-in-time compiler have worked for so many seconds: a function of seconds since the start. */
    void setCompiling(DoubleUnaryOperator compilingSeconds) {
        this.compilingNanos = nanos -> 1e9 * compilingSeconds.applyAsDouble(nanos / 1e9);
    }

    @Override
    public long nanos() {
        return Math.round(hostNanos);
    }

    @Override
    public long compilingNanos() {
        return Math.round(compilingNanos.applyAsDouble(hostNanos));
    }

    private final class TimedEvent implements Event {
        private double reachedNanos;

        @Override
        public boolean isReached() {
            return reachedNanos <= hostNanos;
        }

        @Override
        public void onReached(ReachedCallback callback) {
            join();
            callback.reached(null);
        }

        @Override
        public void join() {
            if (!isReached()) {
                hostNanos = reachedNanos + WAKE_NANOS;
            }
        }

        @Override
        public long nanosSince(Event origin) {
            return Math.round(reachedNanos) - Math.round(((TimedEvent) origin).reachedNanos);
        }
    }

    private final class TimedStream implements Stream {
        private final String name;
        /** When all that was issued has run. */
        private double nanos;

        TimedStream(String name) {
            this.name = name;
        }

        /** @param freeNanos not before then */
        private void run(double freeNanos, double takesNanos) {
            double now = Math.max(hostNanos, Math.max(nanos, freeNanos));
            nanos = now + takesNanos * slowness.applyAsDouble(now / 1e9);
            hostNanos += ISSUE_NANOS;
        }

        private void kernel(double takesNanos) {
            if (isCapturing) {
                capturedNanos.add(takesNanos);
            } else {
                run(0, START_NANOS + takesNanos);
            }
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public void record(Event event) {
            ((TimedEvent) event).reachedNanos = Math.max(nanos, hostNanos);
        }

        @Override
        public void await(Event event) {
            nanos = Math.max(nanos, ((TimedEvent) event).reachedNanos + HANDOFF_NANOS);
        }

        @Override
        public void copyToDevice(List<HostBuffer> from, DeviceBuffer to) {
            Stream.requireSameLength(HostBuffer.bytes(from), to.bytes());
            run(linkInFreeNanos, 1e9 * to.bytes() / LINK_IN_BYTES_PER_SECOND);
            linkInFreeNanos = nanos;
        }

        @Override
        public void copyToHost(DeviceBuffer from, HostBuffer to) {
            Stream.requireSameLength(from.bytes(), to.bytes());
            run(linkOutFreeNanos, 1e9 * to.bytes() / LINK_OUT_BYTES_PER_SECOND);
            linkOutFreeNanos = nanos;
        }

        @Override
        public void copyOnDevice(DeviceBuffer from, DeviceBuffer to) {
            Stream.requireSameLength(from.bytes(), to.bytes());
            kernel(0);
        }

        @Override
        public void copyOnDevice(DeviceRows from, DeviceRows to) {
            from.requireSameRows(to);
            kernel(ROW_NANOS * from.rows());
        }
    }

    @Override
    public Kernels kernels() {
        return (Kernels) Proxy.newProxyInstance(
                Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, (proxy, kernel, arguments) -> {
                    ((TimedStream) arguments[0]).kernel(kernelNanos(arguments));
                    return null;
                });
    }

    /** By the pairs of attention, else by the rows, which are the last int of a kernel. */
    private static double kernelNanos(Object[] arguments) {
        for (Object argument : arguments) {
            if (argument instanceof AttentionWork work) {
                double rowNanos = work.maxRows() == 1
                        ? PAIR_NANOS
                        : PREFILL_PAIR_NANOS * Math.max(PREFILL_ROWS_LEAST, work.maxRows());
                return rowNanos * work.spanCount() * work.maxTokens();
            }
        }
        return Arrays.stream(arguments)
                .filter(Integer.class::isInstance)
                .mapToDouble(rows -> ROW_NANOS * (Integer) rows)
                .reduce((first, last) -> last)
                .orElse(0);
    }

    @Override
    public Optional<Graph> capture(Stream stream, Runnable operations) {
        capturedNanos.clear();
        isCapturing = true;
        operations.run();
        isCapturing = false;
        double nanos = capturedNanos.stream()
                .mapToDouble(takes -> GRAPH_START_NANOS + takes)
                .sum();
        return Optional.of(new Graph() {
            @Override
            public void launch(Stream on) {
                ((TimedStream) on).run(0, nanos);
            }

            @Override
            public void close() {}
        });
    }

    @Override
    public Stream stream(String name) {
        return new TimedStream(name);
    }

    @Override
    public Event event(Event.Timing timing) {
        return new TimedEvent();
    }
}
