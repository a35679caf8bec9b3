package io.weft.profile;

import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.Event;
import io.weft.device.Graph;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import io.weft.model.LayerGroup;
import io.weft.model.ModelWeights;
import io.weft.plan.machine.CodeCurves;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.machine.LayerCurves;
import io.weft.plan.prediction.CostModel;
import io.weft.profile.Stopwatch.Work;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.function.IntToLongFunction;
import java.util.function.LongSupplier;
import java.util.function.ToDoubleFunction;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;

/**
 * Measures a {@link HardwareProfile} on a device, with the model's own weights. It measures sizes as long as they fit
 * the available memory and do not take too long; beyond that, curves continue at the last rate.
 */
public final class Profiler {
    private static final List<Long> COPY_BYTES =
            List.of(4L << 10, 16L << 10, 64L << 10, 256L << 10, 1L << 20, 4L << 20, 16L << 20);
    private static final List<Integer> GATHERED_BLOCKS = List.of(1, 8, 64, 256, 1024);
    private static final List<Integer> CODED_BLOCKS = List.of(1, 32, 256);
    private static final List<Integer> ROWS = List.of(1, 2, 4, 8, 16, 32, 64, 256, 1024);
    private static final List<Integer> TOKENS = List.of(16, 64, 128, 256, 512, 1024, 4096, 16_384);
    private static final List<Integer> ATTENDED_TOKENS = List.of(16, 64, 256, 1024, 4096, 16_384, 32_768, 65_536);
    /**
     * The numbers of recomputed tokens to measure, if there is time. Matrix products run in waves of tiles: on an H100,
     * 896 tokens of D 4096 take 40 % longer than 768, so no line between 512 and 1024 holds.
     */
    private static final List<Integer> RECOMPUTED_TOKENS = List.of(
            16, 64, 128, 192, 256, 384, 512, 640, 768, 896, 1024, 1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048, 2560,
            3072, 4096, 6144, 8192, 16_384);

    private static final List<Integer> HEAD_ROWS = List.of(1, 2, 4, 8, 32, 64, 256);
    /**
     * The rows of a piece of a prompt. With fewer, a GPU has too few tiles to be busy: 64 rows of 32 heads leave three
     * quarters of an H200 idle, and all longer pieces would seem as slow.
     */
    private static final int PREFILL_ROWS = 512;
    /** The tokens that such a piece sees, and that end with it. */
    private static final List<Integer> PREFILL_TOKENS = List.of(16, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536);
    /** Kernels are not steady while a just-in-time compiler works for more than this part of the time. */
    private static final double COMPILING_RATIO = 0.3;
    /**
     * A kernel that was compiled after its measurement takes less than this part of the measured time, often a
     * hundredth.
     */
    private static final double COMPILED_SINCE_RATIO = 1.0 / 16;
    /** Fewer passes prove nothing: on a busy machine a single one may be over before a kernel is compiled. */
    private static final int STEADY_PASSES = 5;

    /** Sizes that would take longer are not measured. */
    private static final double LONGEST_NANOS = 5e6;

    /** A GPU at full load lowers its clock until its mean power over about a second is within its limit. */
    private static final Duration HEATING_UP = Duration.ofSeconds(3);

    private static final int BATCH_MOST = 16;
    /** Shorter kernels do not keep a GPU at full load. */
    private static final double ROW_KERNEL_NANOS_LEAST = 100_000;
    /** The part of a row that runs before a single kernel, */
    private static final int AHEAD_PART = 10;
    /** but no more than needed to hide the issuing, since the load heats the GPU. */
    private static final double AHEAD_NANOS_MOST = 1e6;
    /** The numbers of recomputed tokens that may run before a measurement: they leave most of the memory to it. */
    private static final List<Integer> AHEAD_TOKENS = List.of(16, 64, 128, 256, 512, 1024);
    /** A lane that is idle for this long sleeps. */
    private static final double IDLE_NANOS = 1e6;

    /** The number of layers in a measured graph. */
    private static final int GRAPH_LAYERS = 8;

    private static final int GRAPH_ROWS_MOST = 1 << 20;
    /** The number of sequences of a layer, if there is enough memory. */
    private static final int SEQUENCES_MOST = 8;

    /** So few layers that the clock stays as the load has left it. */
    private static final int LAYERS_APART = 2;

    private static final int SHORT_SEQUENCES = 64;
    private static final int SHORT_TOKENS = 128;

    private static final int HANDOFFS = 9;
    private static final int LAUNCHES = 32;

    private final Device device;
    private final CacheGeometry geometry;
    private final LayerProbe probe;
    private final Scratch scratch;
    private final Stream compute;
    private final Stream link;
    private final Stopwatch watch;
    private final Effort effort;
    private final HostClock clock;

    /**
     * @param weights loaded onto {@code device}
     * @param geometry of the cache
     * @param memory memory that is overwritten
     * @param clock of the calling thread
     */
    Profiler(
            Device device,
            ModelWeights weights,
            CacheGeometry geometry,
            ProfilingMemory memory,
            Effort effort,
            HostClock clock) {
        this.device = device;
        this.geometry = geometry;
        this.compute = device.stream("profile");
        this.link = device.stream("profile-link");
        this.watch = new Stopwatch(device, compute, effort.enoughNanos());
        this.scratch = new Scratch(device, memory, compute);
        this.probe = new LayerProbe(device, weights, geometry, scratch);
        this.effort = effort;
        this.clock = clock;
    }

    /**
     * How long to measure.
     *
     * @param warmUpMost the most time to run kernels before anything is timed
     * @param steady kernels are steady once none has become faster and little was compiled for this long
     * @param fasterRatio a kernel has become faster if it takes at most this share of its former time
     * @param enoughNanos the time after which a measurement with its least number of runs ends
     * @param rowNanos length of the rows in which long work is measured
     */
    record Effort(Duration warmUpMost, Duration steady, double fasterRatio, double enoughNanos, double rowNanos) {
        /** For a service that starts. On two processors, kernels of the CPU device are compiled within two seconds. */
        static final Effort START = new Effort(Duration.ofMillis(2500), Duration.ofMillis(200), 0.5, 4e6, 1.5e6);

        /** A GPU at full load lowers its clock within tens of milliseconds. */
        private static final double ROW_NANOS = 50e6;

        private static final double BATCH_NANOS_LEAST = 0.5e6;
        private static final int BATCHES_OF_A_ROW = 25;
        /** One row takes at most this part of the time for warming up. */
        private static final int ROW_PART = 100;

        /** For measurements in which the last percent of a prediction matters. */
        static Effort patient(Duration warmUpMost) {
            double rowNanos = Math.min(ROW_NANOS, (double) warmUpMost.toNanos() / ROW_PART);
            return new Effort(warmUpMost, Duration.ofSeconds(1), 0.8, 8e6, rowNanos);
        }

        /**
         * Short work is issued in a row until it takes about this long, or has run often enough: one run hides the
         * start of the next, and the start of the first, some 20 µs after other work, is a small part of the total.
         */
        double batchNanos() {
            return Math.max(BATCH_NANOS_LEAST, rowNanos / BATCHES_OF_A_ROW);
        }

        boolean hasFullRows() {
            return rowNanos >= ROW_NANOS;
        }
    }

    /**
     * The result of measuring.
     *
     * @param profile the measured profile
     * @param isSteady whether kernels had stopped becoming faster; if not, the machine is faster than the profile says
     */
    public record Measurement(HardwareProfile profile, boolean isSteady) {}

    /** Measures. Nothing else may run on the device meanwhile. */
    Measurement measure() {
        try {
            return measured();
        } finally {
            compute.release();
        }
    }

    /**
     * The factor of the link's current time over that of a known profile, for its largest copies.
     *
     * @param known curve of the link to the device
     */
    double linkTimes(Curve known) {
        try {
            Curve.Point largest = known.points().getLast();
            int bytes = (int) Math.min(largest.size(), Math.min(scratch.hostBytes(), scratch.deviceBytes()));
            // One call per copy would cost a hundredth of the copy's time; a slow link takes long for several.
            long most = Math.min(scratch.deviceBytes() / bytes, (long) (effort.rowNanos() / known.nanos(bytes)));
            int pieces = Math.clamp(most, 1, BATCH_MOST);
            double nanos = pieces * known.nanos(bytes);
            int calls = (int) Math.max(1, effort.rowNanos() / nanos);
            return watch.medianNanosInARow(calls, copiesIn(bytes, pieces)) / nanos;
        } finally {
            compute.release();
        }
    }

    private Measurement measured() {
        scratch.fillWithNoise();
        Kernel embed = new Kernel(ROWS, rows -> rows, probe::embed);
        List<GroupKernels> groups = new ArrayList<>();
        for (LayerGroup group : geometry.dimensions().groups()) {
            groups.add(groupKernels(group));
        }
        Kernel keyValues =
                new Kernel(effort.hasFullRows() ? RECOMPUTED_TOKENS : TOKENS, tokens -> tokens, probe::keyValues);
        long blockBytes = probe.activationBlockBytes();
        Kernel gather = new Kernel(GATHERED_BLOCKS, blocks -> blocks * blockBytes, probe::gather);
        Kernel head = new Kernel(HEAD_ROWS, rows -> rows, probe::head);
        List<Kernel> all = new ArrayList<>(List.of(embed, keyValues, gather, head));
        groups.forEach(group -> all.addAll(group.warmedUp()));
        List<CodeKernels> codes = codeKernels();
        codes.forEach(code -> all.addAll(List.of(code.encode(), code.decode())));
        boolean steady = warmUp(all);

        long bothBytes = Math.min(scratch.hostBytes(), scratch.deviceBytes());
        List<Curve.Point> copiesIn = copies(COPY_BYTES, bothBytes, this::copiesIn);
        List<Curve.Point> copiesOut = copies(COPY_BYTES, bothBytes, this::copiesOut);
        // Codes and what copies brought are no ordinary numbers.
        scratch.fillWithNoise();
        Curve linkIn = linkCurve(copiesIn);
        double aheadNanos = effort.rowNanos() / AHEAD_PART;
        Kernel shorter = new Kernel(AHEAD_TOKENS, tokens -> tokens, probe::keyValues);
        Curve.Point largest = largest(Curve.measured(measure(shorter, watch::nanos)), aheadNanos);
        // The work that is measured after it has its arrays in place before it runs.
        Work before = probe.keptKeyValues(Math.toIntExact(largest.size()));
        Load ahead = new Load(before, besideTheLink(before, largest.nanos(), linkIn), largest.nanos());
        int aheadRuns = ahead.runs(Math.min(AHEAD_NANOS_MOST, aheadNanos));
        // Issued after other work, kernels run as in a step: without waiting for the thread that issues them.
        ToDoubleFunction<Work> afterLoad = work -> watch.medianNanosAfter(aheadRuns, ahead.work(), batch(work), work);
        Curve gathering = Curve.measured(measure(gather, afterLoad));
        Curve embedding = Curve.measured(measure(embed, afterLoad));
        List<LayerCurves> layers =
                groups.stream().map(group -> group.measure(afterLoad)).toList();
        LayerGroup main = probe.recomputed();
        LayerCurves mainCurves =
                layers.get(geometry.dimensions().groupOf(main.layers().getFirst()));
        // A service that starts skips these too.
        int sequences = effort.hasFullRows() ? sequencesThatFit() : 1;
        double shortSequenceNanos =
                effort.hasFullRows() ? shortSequenceNanos(main, mainCurves.attentionReads(), afterLoad) : 0;
        Curve choosing = Curve.measured(measure(head, afterLoad));
        double launch = launchNanos();
        double handoff = handoffNanos(ahead);
        double pause = pauseNanos(ahead);
        Curve graphGain = graphGain(sequences, aheadRuns, ahead, afterLoad);
        double layerNanos = mainCurves.project().nanos(sequences)
                + mainCurves.attentionReads().nanos((long) sequences * HardwareProfile.SEQUENCE_TOKENS)
                + mainCurves.feedForward().nanos(sequences);
        InSteps inSteps = inSteps(keyValues, sequences, layerNanos, ahead, aheadRuns, linkIn);
        List<CodeCurves> coding =
                codes.stream().map(code -> code.measure(afterLoad)).toList();
        finish(link);
        scratch.keepNothing();
        HardwareProfile profile = new HardwareProfile(
                device.info().name(),
                linkCurve(faster(copiesIn, copies(COPY_BYTES, bothBytes, this::copiesIn))),
                linkCurve(faster(copiesOut, copies(COPY_BYTES, bothBytes, this::copiesOut))),
                gathering,
                embedding,
                layers,
                inSteps.recomputation(),
                coding,
                shortSequenceNanos,
                choosing,
                launch,
                handoff,
                pause,
                inSteps.stageNanos(),
                inSteps.linkContentionFactor(),
                graphGain);
        boolean lasting = isAsSlow(keyValues, inSteps.recomputation()) && isAsSlow(head, choosing);
        for (int group = 0; group < groups.size(); group++) {
            LayerCurves curves = layers.get(group);
            lasting = lasting
                    && isAsSlow(groups.get(group).project(), curves.project())
                    && isAsSlow(groups.get(group).attentionReads(), curves.attentionReads())
                    && isAsSlow(groups.get(group).feedForward(), curves.feedForward());
        }
        return new Measurement(profile, steady && lasting);
    }

    /** The kernels of one layer of a group. */
    private record GroupKernels(
            Kernel project, Kernel attentionReads, Kernel loneReads, Kernel attentionPairs, Kernel feedForward) {
        List<Kernel> warmedUp() {
            return List.of(project, attentionReads, attentionPairs, feedForward);
        }

        LayerCurves measure(ToDoubleFunction<Work> nanos) {
            Curve projection = Curve.measured(Profiler.measure(project, nanos));
            List<Curve.Point> reads = Profiler.measure(attentionReads, nanos);
            List<Curve.Point> lone = lone(reads, Profiler.measure(loneReads, nanos));
            return new LayerCurves(
                    projection,
                    Curve.measured(reads),
                    Curve.measured(lone),
                    Curve.measured(Profiler.measure(attentionPairs, nanos)),
                    Curve.measured(Profiler.measure(feedForward, nanos)));
        }
    }

    /** The kernels of an encoding. */
    private record CodeKernels(Encoding encoding, Kernel encode, Kernel decode) {
        CodeCurves measure(ToDoubleFunction<Work> nanos) {
            return new CodeCurves(
                    encoding,
                    Curve.measured(Profiler.measure(encode, nanos)),
                    Curve.measured(Profiler.measure(decode, nanos)));
        }
    }

    /** Of the encodings that blocks may have. */
    private List<CodeKernels> codeKernels() {
        List<CodeKernels> kernels = new ArrayList<>();
        for (Encoding encoding : geometry.encodings()) {
            if (encoding.isCoded()
                    && geometry.isUseful(new CacheForm(encoding, Place.HOST))
                    && !probe.encode(encoding, 1).isEmpty()) {
                long blockBytes = geometry.blockLayerBytes(encoding.raw());
                kernels.add(new CodeKernels(
                        encoding,
                        new Kernel(
                                CODED_BLOCKS, blocks -> blocks * blockBytes, blocks -> probe.encode(encoding, blocks)),
                        new Kernel(
                                CODED_BLOCKS,
                                blocks -> blocks * blockBytes,
                                blocks -> probe.decode(encoding, blocks))));
            }
        }
        return kernels;
    }

    private GroupKernels groupKernels(LayerGroup group) {
        int window = group.layer().window();
        // A service that starts skips these: they would add a tenth to the time of measuring.
        List<Integer> longer = ATTENDED_TOKENS.stream()
                .filter(tokens -> effort.hasFullRows() && tokens > HardwareProfile.SEQUENCE_TOKENS && tokens <= window)
                .toList();
        return new GroupKernels(
                new Kernel(ROWS, rows -> rows, rows -> probe.project(group, rows)),
                new Kernel(ATTENDED_TOKENS, tokens -> tokens, tokens -> probe.attentionReads(group, tokens)),
                new Kernel(longer, tokens -> tokens, tokens -> probe.attentionReads(group, 1, tokens)),
                new Kernel(
                        PREFILL_TOKENS,
                        tokens -> LayerProbe.pairs(tokens, PREFILL_ROWS, window),
                        tokens -> probe.attentionPairs(group, tokens, PREFILL_ROWS)),
                new Kernel(ROWS, rows -> rows, rows -> probe.feedForward(group, rows)));
    }

    /** Up to the tokens of one of several sequences, the curve of several is that of a lone one. */
    private static List<Curve.Point> lone(List<Curve.Point> ofSeveral, List<Curve.Point> longer) {
        if (longer.isEmpty()) {
            return ofSeveral;
        }
        List<Curve.Point> lone = new ArrayList<>(ofSeveral);
        lone.removeIf(point -> point.size() > HardwareProfile.SEQUENCE_TOKENS);
        lone.addAll(longer);
        return lone;
    }

    /**
     * Whether a kernel has not become faster since it was measured. On a busy machine a compiler may have done little
     * for a while because it had no processor.
     */
    private boolean isAsSlow(Kernel kernel, Curve measured) {
        // Other work on the machine disturbs the largest size least.
        Curve.Point largest = measured.points().getLast();
        int size = kernel.sizes().stream()
                .filter(candidate -> kernel.amount().applyAsLong(candidate) == largest.size())
                .findFirst()
                .orElseThrow();
        Work work = kernel.work().apply(size).getFirst();
        return watch.medianNanosInARow(1, work) >= COMPILED_SINCE_RATIO * largest.nanos();
    }

    /** The faster of two measurements of the same copies: other users of the link make it slower, never faster. */
    private static List<Curve.Point> faster(List<Curve.Point> once, List<Curve.Point> again) {
        List<Curve.Point> points = new ArrayList<>();
        for (int i = 0; i < Math.min(once.size(), again.size()); i++) {
            points.add(once.get(i).nanos() <= again.get(i).nanos() ? once.get(i) : again.get(i));
        }
        return points;
    }

    /**
     * A kernel to measure at several sizes.
     *
     * @param sizes ascending
     * @param amount the size in the curve for a measured size
     * @param work the work for a size, or none if there is not enough memory; there always is for the first size
     */
    private record Kernel(List<Integer> sizes, IntToLongFunction amount, IntFunction<List<Work>> work) {}

    /**
     * Runs all kernels in turn until for a while none has become faster, as clocks rise, and the just-in-time compiler
     * has had little to do. Until it is compiled, a kernel of the CPU device takes 100 times as long, perhaps at a
     * constant rate for a second. Warming up makes the very calls that are measured later, since other sizes may run
     * other code.
     */
    private boolean warmUp(List<Kernel> kernels) {
        long started = clock.nanos();
        long since = started;
        int passes = 0;
        long compiledNanos = clock.compilingNanos();
        Map<Kernel, Double> nanosPerUnit = new HashMap<>();
        while (clock.nanos() - started < effort.warmUpMost().toNanos()) {
            boolean isFaster = false;
            for (Kernel kernel : kernels) {
                Curve.Point largest = measure(kernel, watch::nanos).getLast();
                double nanos = largest.nanos() / largest.size();
                if (nanos < effort.fasterRatio() * nanosPerUnit.getOrDefault(kernel, Double.POSITIVE_INFINITY)) {
                    nanosPerUnit.put(kernel, nanos);
                    isFaster = true;
                }
            }
            passes++;
            long nanos = clock.nanos() - since;
            if (isFaster || (passes >= STEADY_PASSES && nanos >= effort.steady().toNanos())) {
                long compilingNanos = clock.compilingNanos() - compiledNanos;
                if (!isFaster && compilingNanos < COMPILING_RATIO * nanos) {
                    return true;
                }
                since = clock.nanos();
                passes = 0;
                compiledNanos = clock.compilingNanos();
            }
        }
        return false;
    }

    /** The number of times to issue short work, so that one run hides the start of the next. */
    private int batch(Work work) {
        return Math.clamp((long) (effort.batchNanos() / Math.max(watch.nanos(work), 1)), 1, BATCH_MOST);
    }

    /**
     * A recomputation that runs before a measurement.
     *
     * @param work work that takes {@code nanos}
     * @param besideLink the same work, with copies on the link that take about as long
     */
    private record Load(Work work, Work besideLink, double nanos) {
        /** The number of runs that take at least {@code wantedNanos}. */
        int runs(double wantedNanos) {
            return (int) Math.ceil(wantedNanos / nanos);
        }
    }

    /**
     * The conditions in a step.
     *
     * @param recomputation curve of recomputation, with the time that other stages lose by it
     * @param stageNanos time that a stage takes beyond its curve
     * @param linkContentionFactor factor on the time of other stages while the link is at work
     */
    private record InSteps(Curve recomputation, double stageNanos, double linkContentionFactor) {}

    /**
     * Measures recomputation during transfers and at the clock of a sustained load: after a load of the same length,
     * without rests. A clock that is limited by power slows the other stages of a layer as well, and that is a cost of
     * recomputation. A service that starts measures only with the busy link.
     *
     * @param sequences number of sequences of a layer whose other stages take {@code layerNanos} by their curves
     * @param ahead a load of which {@code aheadRuns} runs are not yet a sustained load
     */
    private InSteps inSteps(
            Kernel recompute, int sequences, double layerNanos, Load ahead, int aheadRuns, Curve linkIn) {
        if (!effort.hasFullRows()) {
            List<Curve.Point> rows =
                    measure(recompute, work -> watch.medianNanosInARow(rowOf(work), besideTheLink(work, linkIn)));
            return new InSteps(Curve.measured(rows), 0, 1);
        }
        finish(link);
        Event end = device.event(Event.Timing.UNTIMED);
        Consumer<Stream> apart = stream -> stream.record(end);
        UnaryOperator<Work> besideLink = work -> besideTheLink(work, layerNanos, linkIn);
        // A CPU that reads more than its caches hold is slower than its curves, but not because stages are apart.
        double togetherNanos = Math.max(
                layerNanos, othersNanos(layerNanos, sequences, aheadRuns, ahead.work(), _ -> {}, work -> work));
        double apartNanos = othersNanos(togetherNanos, sequences, aheadRuns, ahead.work(), apart, work -> work);
        double besideLinkNanos = othersNanos(apartNanos, sequences, aheadRuns, ahead.besideLink(), apart, besideLink);
        Work load = ahead.besideLink();
        int runs = ahead.runs(effort.rowNanos());
        long started = clock.nanos();
        while (clock.nanos() - started < HEATING_UP.toNanos()) {
            watch.medianNanosAfter(runs, load, 1, ahead.work());
        }
        Curve alone = Curve.measured(measure(
                recompute, work -> watch.medianNanosAfter(runs, load, rowOf(work), besideTheLink(work, linkIn))));
        double underLoadNanos = othersNanos(besideLinkNanos, sequences, runs, load, apart, besideLink);
        double lostNanos = Math.max(0, underLoadNanos - besideLinkNanos);
        double startsNanos = Math.max(0, apartNanos - togetherNanos);
        return new InSteps(
                alone.times(1 + lostNanos / alone.nanos((long) sequences * HardwareProfile.SEQUENCE_TOKENS)),
                startsNanos / CostModel.STAGES_OF_A_LAYER,
                Math.max(1, (besideLinkNanos - startsNanos) / togetherNanos));
    }

    /**
     * The time of the stages of a layer that do not recompute, after other work.
     *
     * @param otherwiseNanos the result if there is not enough memory
     * @param between work after each stage
     * @param beside adds work that runs during a layer
     */
    private double othersNanos(
            double otherwiseNanos,
            int sequences,
            int runs,
            Work before,
            Consumer<Stream> between,
            UnaryOperator<Work> beside) {
        List<Work> stages = probe.decode(probe.recomputed(), sequences, HardwareProfile.SEQUENCE_TOKENS);
        if (stages.isEmpty()) {
            return otherwiseNanos;
        }
        Work layer = (stream, repeat) -> stages.forEach(stage -> {
            stage.issue(stream, repeat);
            between.accept(stream);
        });
        return watch.medianNanosAfter(runs, before, LAYERS_APART, beside.apply(layer));
    }

    /** The number of times to issue work that keeps a GPU at full load. */
    private int rowOf(Work work) {
        double single = watch.nanos(work);
        return single < ROW_KERNEL_NANOS_LEAST ? batch(work) : (int) Math.max(1, effort.rowNanos() / single);
    }

    /** The same work, with copies on the link that take about as long; without them if it is short. */
    private Work besideTheLink(Work work, Curve linkIn) {
        double single = watch.nanos(work);
        return single < ROW_KERNEL_NANOS_LEAST ? work : besideTheLink(work, single, linkIn);
    }

    /** The same work, with copies on the link that take about as long. */
    private Work besideTheLink(Work work, double nanos, Curve linkIn) {
        long wantedBytes = Math.max(COPY_BYTES.getFirst(), (long) (nanos / 1e9 * linkIn.unitsPerSecond()));
        int copies = (int) Math.ceilDiv(wantedBytes, scratch.arrivalBytes());
        long copyBytes = wantedBytes / copies;
        HostBuffer from = scratch.host(copyBytes);
        return (stream, repeat) -> {
            for (int i = 0; i < copies; i++) {
                link.copyToDevice(from, scratch.arrivals(copyBytes));
            }
            work.issue(stream, repeat);
        };
    }

    /** The largest size that takes at most {@code nanosMost}, or else the smallest. */
    private static Curve.Point largest(Curve curve, double nanosMost) {
        return curve.points().reversed().stream()
                .filter(point -> point.nanos() <= nanosMost)
                .findFirst()
                .orElse(curve.points().getFirst());
    }

    private void finish(Stream stream) {
        Event done = device.event(Event.Timing.UNTIMED);
        stream.record(done);
        done.join();
    }

    private static List<Curve.Point> measure(Kernel kernel, ToDoubleFunction<Work> nanos) {
        List<Curve.Point> points = new ArrayList<>();
        for (int size : kernel.sizes()) {
            long amount = kernel.amount().applyAsLong(size);
            List<Work> works = kernel.work().apply(size);
            if (works.isEmpty() || !isWorthMeasuring(points, amount)) {
                break;
            }
            points.add(new Curve.Point(amount, nanos.applyAsDouble(works.getFirst())));
        }
        return points;
    }

    /** Makes work of some copies of one size. */
    @FunctionalInterface
    private interface Copies {
        Work of(int bytes, int count);
    }

    /** Copies in one call, like the pieces of a chunk. */
    private Work copiesIn(int bytes, int count) {
        List<HostBuffer> from = Collections.nCopies(count, scratch.host(bytes));
        DeviceBuffer to = scratch.device((long) count * bytes);
        return (stream, repeat) -> stream.copyToDevice(from, to);
    }

    private Work copiesOut(int bytes, int count) {
        DeviceBuffer from = scratch.device(bytes);
        return (stream, repeat) -> {
            for (int i = 0; i < count; i++) {
                stream.copyToHost(from, scratch.host(bytes));
            }
        };
    }

    /**
     * A small copy never has a better rate than a large one. If it seems so, it passed before the link's limit took
     * effect (the CPU device's link lets short bursts through).
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

    private List<Curve.Point> copies(List<Long> sizes, long bytesMost, Copies copies) {
        List<Curve.Point> points = new ArrayList<>();
        for (long size : sizes) {
            long bytes = Math.min(size, bytesMost);
            if (!isWorthMeasuring(points, bytes)) {
                break;
            }
            int count = (int) Math.min(batch(copies.of((int) bytes, 1)), scratch.deviceBytes() / bytes);
            points.add(new Curve.Point(bytes, watch.medianNanosInARow(1, copies.of((int) bytes, count)) / count));
        }
        return points;
    }

    private static boolean isWorthMeasuring(List<Curve.Point> before, long size) {
        if (before.isEmpty()) {
            return true;
        }
        Curve.Point last = before.getLast();
        return size > last.size() && last.nanos() / last.size() * size <= LONGEST_NANOS;
    }

    /** The calling thread's time for a stage: a layer of one row is issued as three. */
    private double launchNanos() {
        LayerGroup group = probe.recomputed();
        List<IntFunction<List<Work>>> layer = List.of(
                rows -> probe.project(group, rows),
                tokens -> probe.attentionReads(group, tokens),
                rows -> probe.feedForward(group, rows));
        // One after the other, since they share the memory.
        return layer.stream()
                .mapToDouble(stage -> issueNanos(stage.apply(1).getFirst()))
                .average()
                .orElseThrow();
    }

    /** The curve of {@link #graphGainNanos} over rows: measured for one row and for several, and constant beyond. */
    private Curve graphGain(int rows, int aheadRuns, Load ahead, ToDoubleFunction<Work> afterLoad) {
        double oneRowNanos = graphGainNanos(1, aheadRuns, ahead, afterLoad);
        double rowsNanos = rows == 1 ? oneRowNanos : graphGainNanos(rows, aheadRuns, ahead, afterLoad);
        // A smaller gain with more rows would be noise.
        double mostNanos = Math.max(oneRowNanos, rowsNanos);
        return new Curve(List.of(
                new Curve.Point(1, oneRowNanos),
                new Curve.Point(Math.max(2, rows), mostNanos),
                new Curve.Point(GRAPH_ROWS_MOST, mostNanos)));
    }

    /** The number of sequences of a layer for which there is enough memory; at least 1. */
    private int sequencesThatFit() {
        int sequences = SEQUENCES_MOST;
        while (sequences > 1
                && probe.decode(probe.recomputed(), sequences, HardwareProfile.SEQUENCE_TOKENS)
                        .isEmpty()) {
            sequences /= 2;
        }
        return sequences;
    }

    /**
     * How much less than its curve a stage of a layer takes in a graph: its kernels start faster there, and the first
     * of them begin before the previous stage ends. 0 if the device has no graphs.
     */
    private double graphGainNanos(int rows, int aheadRuns, Load ahead, ToDoubleFunction<Work> afterLoad) {
        LayerGroup group = probe.recomputed();
        List<Work> layer = probe.decode(group, rows, HardwareProfile.SEQUENCE_TOKENS);
        if (layer.isEmpty()) {
            return 0;
        }
        // Run once, since a capture must not look anything up.
        layer.forEach(watch::nanos);
        Optional<Graph> captured = device.capture(compute, () -> {
            for (int i = 0; i < GRAPH_LAYERS; i++) {
                for (Work stage : layer) {
                    stage.issue(compute, i);
                }
            }
        });
        if (captured.isEmpty()) {
            return 0;
        }
        double graphNanos;
        try (Graph graph = captured.get()) {
            graphNanos = watch.medianNanosAfter(aheadRuns, ahead.work(), 1, (stream, repeat) -> graph.launch(stream));
        }
        // One after the other, since they share the memory.
        double stagesNanos = afterLoad.applyAsDouble(probe.project(group, rows).getFirst())
                + afterLoad.applyAsDouble(probe.attentionReads(group, rows, HardwareProfile.SEQUENCE_TOKENS)
                        .getFirst())
                + afterLoad.applyAsDouble(probe.feedForward(group, rows).getFirst());
        return Math.max(0, (stagesNanos - graphNanos / GRAPH_LAYERS) / CostModel.STAGES_OF_A_LAYER);
    }

    /** The time that each of many short sequences adds to attention. */
    private double shortSequenceNanos(LayerGroup group, Curve reading, ToDoubleFunction<Work> afterLoad) {
        int sequences = SHORT_SEQUENCES;
        while (probe.attentionReads(group, sequences, SHORT_TOKENS).isEmpty()) {
            sequences /= 2;
            if (sequences < 2) {
                return 0;
            }
        }
        int tokens = sequences * SHORT_TOKENS;
        double moreSequences = sequences - Math.max(1, (double) tokens / HardwareProfile.SEQUENCE_TOKENS);
        Work attention = probe.attentionReads(group, sequences, SHORT_TOKENS).getFirst();
        return Math.max(0, afterLoad.applyAsDouble(attention) - reading.nanos(tokens)) / moreSequences;
    }

    private double issueNanos(Work work) {
        Event end = device.event(Event.Timing.UNTIMED);
        double best = Double.POSITIVE_INFINITY;
        for (int run = 0; run < 3; run++) {
            long started = clock.nanos();
            for (int i = 0; i < LAUNCHES; i++) {
                work.issue(compute, i);
            }
            best = Math.min(best, (clock.nanos() - started) / (double) LAUNCHES);
            compute.record(end);
            end.join();
        }
        return best;
    }

    /**
     * The time from the end of work on one stream to the start of work on another that has waited for it long enough to
     * be asleep, as lanes wait in a step.
     */
    private double handoffNanos(Load load) {
        Stream other = device.stream("profile-handoff");
        Event end = device.event(Event.Timing.TIMED);
        Event noticed = device.event(Event.Timing.TIMED);
        return medianNanos(() -> {
            keepBusy(load);
            compute.record(end);
            other.await(end);
            other.record(noticed);
            noticed.join();
            return noticed.nanosSince(end);
        });
    }

    /**
     * The time from the end of work to the start of work that is issued by a thread that has waited for it, as steps
     * follow each other.
     */
    private double pauseNanos(Load load) {
        Event end = device.event(Event.Timing.TIMED);
        Event next = device.event(Event.Timing.TIMED);
        return medianNanos(() -> {
            keepBusy(load);
            compute.record(end);
            CompletableFuture<Boolean> told = new CompletableFuture<>();
            end.onReached(error -> told.complete(true));
            told.join();
            compute.record(next);
            next.join();
            return next.nanosSince(end);
        });
    }

    /** Keeps a stream busy for long enough that whoever waits is asleep. */
    private void keepBusy(Load load) {
        for (int i = 0; i < load.runs(IDLE_NANOS); i++) {
            load.besideLink().issue(compute, i);
        }
    }

    private static double medianNanos(LongSupplier run) {
        return LongStream.generate(run).limit(HANDOFFS).sorted().toArray()[HANDOFFS / 2];
    }
}
