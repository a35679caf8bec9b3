package io.weft.profile;

import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.Event;
import io.weft.device.Stream;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelWeights;
import io.weft.plan.Curve;
import io.weft.plan.HardwareProfile;
import io.weft.profile.Stopwatch.Work;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * Measures a {@link HardwareProfile} on a device, with the model's own weights. A size is measured as long as it fits
 * the memory at hand and does not take too long; the curves go on from there at the last rate.
 */
public final class Profiler {
    private static final List<Long> COPY_BYTES =
            List.of(4L << 10, 16L << 10, 64L << 10, 256L << 10, 1L << 20, 4L << 20, 16L << 20);
    private static final List<Long> DEVICE_COPY_BYTES = List.of(4L << 10, 64L << 10, 1L << 20);
    private static final List<Long> ROWS = List.of(1L, 2L, 4L, 8L, 16L, 32L, 64L, 256L, 1024L);
    private static final List<Long> TOKENS = List.of(16L, 64L, 128L, 256L, 512L, 1024L, 4096L, 16_384L);
    private static final List<Long> HEAD_ROWS = List.of(1L, 2L, 4L, 8L, 32L);
    private static final int PREFILL_ROWS = 64;

    /** A size that would take longer is not measured. */
    private static final double LONGEST_NANOS = 15e6;
    /** Copies are issued in a row until they take about this long, so that one hides the start of the next. */
    private static final double BATCH_NANOS = 500_000;

    private static final int BATCH_MOST = 16;
    private static final int HANDOFFS = 32;
    private static final int LAUNCHES = 32;

    private final Device device;
    private final LayerProbe probe;
    private final Scratch scratch;
    private final CacheGeometry geometry;
    private final Stream compute;
    private final Stopwatch watch;
    private final long warmUpNanos;

    /**
     * @param weights loaded onto {@code device}
     * @param geometry of the cache
     * @param memory overwritten
     * @param warmUpNanos that are spent on running kernels before anything is timed; what a just-in-time compiler needs
     */
    public Profiler(
            Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory, long warmUpNanos) {
        this.device = device;
        this.geometry = geometry;
        this.compute = device.stream("profile");
        this.watch = new Stopwatch(device, compute);
        this.scratch = new Scratch(device, memory, compute);
        this.probe = new LayerProbe(device, weights, geometry, scratch);
        this.warmUpNanos = warmUpNanos;
    }

    /** Measures. Nothing else may run on the device meanwhile. */
    public HardwareProfile measure() {
        scratch.fillWithNoise();
        warmUp();
        long bothBytes = Math.min(scratch.hostBytes(), scratch.deviceBytes());
        Curve linkIn = linkCurve(copies(COPY_BYTES, bothBytes, this::copyIn));
        Curve linkOut = linkCurve(copies(COPY_BYTES, bothBytes, this::copyOut));
        Curve deviceCopy = Curve.measured(copies(DEVICE_COPY_BYTES, scratch.deviceBytes() / 2, this::copyOnDevice));
        return new HardwareProfile(
                device.info().name(),
                linkIn,
                linkOut,
                deviceCopy,
                curve(ROWS, probe::embed),
                curve(ROWS, probe::project),
                curve(TOKENS, probe::keyValues),
                curve(TOKENS, probe::attentionReads),
                attentionPairs(),
                curve(ROWS, probe::complete),
                curve(HEAD_ROWS, probe::head),
                launchNanos(),
                handoffNanos());
    }

    private void warmUp() {
        List<IntFunction<List<Work>>> kernels =
                List.of(probe::project, probe::complete, probe::keyValues, probe::attentionReads, probe::head);
        for (IntFunction<List<Work>> kernel : kernels) {
            // Kernels may take another path for one row, a few and many.
            for (int size : new int[] {1, 13, 64}) {
                for (Work work : kernel.apply(size)) {
                    watch.warmUp(warmUpNanos / (3L * kernels.size()), work);
                }
            }
        }
    }

    private Work copyIn(int bytes) {
        DeviceBuffer to = scratch.device(bytes);
        return (stream, repeat) -> stream.copyToDevice(scratch.host(bytes), to);
    }

    private Work copyOut(int bytes) {
        DeviceBuffer from = scratch.device(bytes);
        return (stream, repeat) -> stream.copyToHost(from, scratch.host(bytes));
    }

    private Work copyOnDevice(int bytes) {
        DeviceBuffer both = scratch.device(2L * bytes);
        return (stream, repeat) -> stream.copyOnDevice(both.slice(0, bytes), both.slice(bytes, bytes));
    }

    /**
     * A small copy never has a better rate than a large one. Where it seems so, it passed through before the link's
     * limit was felt (the CPU device's link lets short bursts through).
     */
    private static Curve linkCurve(List<Curve.Point> measured) {
        List<Curve.Point> points = new ArrayList<>();
        double nanosPerByte = 0;
        for (Curve.Point point : measured.reversed()) {
            nanosPerByte = Math.max(nanosPerByte, point.nanos() / point.size());
            points.addFirst(new Curve.Point(point.size(), nanosPerByte * point.size()));
        }
        return Curve.measured(points);
    }

    private List<Curve.Point> copies(List<Long> sizes, long bytesMost, IntFunction<Work> copy) {
        List<Curve.Point> points = new ArrayList<>();
        for (long size : sizes) {
            long bytes = Math.min(size, bytesMost);
            if (!isWorthMeasuring(points, bytes)) {
                break;
            }
            Work work = copy.apply((int) bytes);
            double single = watch.medianNanos(1, work);
            int batch = Math.clamp((long) (BATCH_NANOS / Math.max(single, 1)), 1, BATCH_MOST);
            points.add(new Curve.Point(bytes, batch == 1 ? single : watch.medianNanos(batch, work)));
        }
        return points;
    }

    /**
     * @param kernel the work for a size, or none if there is not enough memory for it; for size 1 there always is
     */
    private Curve curve(List<Long> sizes, IntFunction<List<Work>> kernel) {
        List<Curve.Point> points = new ArrayList<>();
        for (long size : sizes) {
            List<Work> works = kernel.apply((int) size);
            if (works.isEmpty() || !isWorthMeasuring(points, size)) {
                break;
            }
            points.add(new Curve.Point(size, watch.medianNanos(1, works.getFirst())));
        }
        return Curve.measured(points);
    }

    private Curve attentionPairs() {
        List<Curve.Point> points = new ArrayList<>();
        for (long tokens : TOKENS) {
            long pairs = LayerProbe.pairs((int) tokens, PREFILL_ROWS);
            List<Work> works = probe.attentionPairs((int) tokens, PREFILL_ROWS);
            if (works.isEmpty() || !isWorthMeasuring(points, pairs)) {
                break;
            }
            points.add(new Curve.Point(pairs, watch.medianNanos(1, works.getFirst())));
        }
        return Curve.measured(points);
    }

    private static boolean isWorthMeasuring(List<Curve.Point> before, long size) {
        if (before.isEmpty()) {
            return true;
        }
        Curve.Point last = before.getLast();
        return size > last.size() && last.nanos() / last.size() * size <= LONGEST_NANOS;
    }

    /** Time of the calling thread for a stage: a layer of one row is issued as three. */
    private double launchNanos() {
        List<IntFunction<List<Work>>> layer = List.of(probe::project, probe::attentionReads, probe::complete);
        // One after the other, since they share the memory.
        return layer.stream()
                .mapToDouble(stage -> issueNanos(stage.apply(1).getFirst()))
                .average()
                .orElseThrow();
    }

    private double issueNanos(Work work) {
        Event end = device.event(Event.Timing.UNTIMED);
        double best = Double.POSITIVE_INFINITY;
        for (int run = 0; run < 3; run++) {
            long started = System.nanoTime();
            for (int i = 0; i < LAUNCHES; i++) {
                work.issue(compute, i);
            }
            best = Math.min(best, (System.nanoTime() - started) / (double) LAUNCHES);
            compute.record(end);
            end.join();
        }
        return best;
    }

    /** Two streams that wait for each other in turn. */
    private double handoffNanos() {
        Stream other = device.stream("profile-handoff");
        List<Event> events = new ArrayList<>();
        for (int i = 0; i <= 2 * HANDOFFS; i++) {
            boolean edge = i == 0 || i == 2 * HANDOFFS;
            events.add(device.event(edge ? Event.Timing.TIMED : Event.Timing.UNTIMED));
        }
        double best = Double.POSITIVE_INFINITY;
        for (int run = 0; run < 3; run++) {
            compute.record(events.getFirst());
            for (int i = 1; i <= 2 * HANDOFFS; i++) {
                Stream next = i % 2 == 1 ? other : compute;
                next.await(events.get(i - 1));
                next.record(events.get(i));
            }
            events.getLast().join();
            best = Math.min(best, events.getLast().nanosSince(events.getFirst()) / (double) (2 * HANDOFFS));
        }
        return best;
    }
}
