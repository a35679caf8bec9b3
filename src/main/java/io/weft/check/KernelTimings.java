package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.AttentionIndex;
import io.weft.device.AttentionShape;
import io.weft.device.AttentionWork;
import io.weft.device.BlockBases;
import io.weft.device.BlockBases.Base;
import io.weft.device.BlockCode;
import io.weft.device.BlockPlaces;
import io.weft.device.BlockValues;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.Epilogue;
import io.weft.device.Event;
import io.weft.device.ExpertChoices;
import io.weft.device.ExpertRouting;
import io.weft.device.ExpertWeights;
import io.weft.device.Experts;
import io.weft.device.Gating;
import io.weft.device.HostBuffer;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RandomCodes;
import io.weft.device.RandomTensor;
import io.weft.device.RotaryTable;
import io.weft.device.RowPlaces;
import io.weft.device.Stream;
import io.weft.device.TokenChoices;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.function.IntFunction;
import java.util.stream.LongStream;

/**
 * Times a device's kernels and copies at the sizes of 7-billion-parameter models, on random data that no cache holds.
 * For people who optimise kernels; plans use {@code profile}.
 */
public final class KernelTimings {
    private static final int WIDTH = 4096;
    private static final int FEED_FORWARD = 16_384;
    private static final int HEADS = 32;
    private static final int HEAD_SIZE = 128;
    /** With so many rows of a sequence, what counts is how fast the cache is read. */
    private static final int DRAFTED_ROWS_MOST = 9;

    private static final int BLOCK_TOKENS = 16;
    private static final int CELL_TOKENS = 64;
    private static final int VOCABULARY = 50_272;
    private static final int GROUP_COLUMNS = 128;
    private static final int ROWS_MOST = 4096;
    private static final long CACHE_BYTES = 1L << 30;
    private static final long HOST_BYTES = 256L << 20;
    private static final long DELAY_BYTES = 512L << 20;
    private static final int WARM_UPS = 3;
    private static final int REPEATS = 15;
    private static final int BATCH_COPIES = 16;
    /** The number of works between two events. */
    private static final int WORKS = 8;
    /**
     * The number of copies within device memory, of a quarter of a millisecond each, that are issued before the works.
     */
    private static final int DELAYS = 3;

    private final Device device;
    private final Stream stream;
    private final Event start;
    private final Event end;
    private final Consumer<Timing> results;
    private final int elementBytes;
    private final DeviceBuffer cache;
    private final DeviceBuffer delays;
    private final DeviceBuffer in;
    private final DeviceBuffer out;
    private final DeviceBuffer state;
    private final DeviceBuffer index;
    private final HostBuffer host;

    /**
     * One timing.
     *
     * @param name name of the work
     * @param nanos median on the device
     * @param issueNanos median that the calling thread spent on issuing it
     * @param bytes the least bytes that it must read and write; 0 if they are not its limit
     * @param operations floating-point operations; 0 if they are not its limit
     */
    public record Timing(String name, long nanos, long issueNanos, long bytes, long operations) {
        @Override
        public String toString() {
            String rates = (bytes > 0 ? String.format(Locale.ROOT, "  %8.1f GB/s", (double) bytes / nanos) : "")
                    + (operations > 0 ? String.format(Locale.ROOT, "  %8.1f TFLOP/s", operations / (1e3 * nanos)) : "");
            return String.format(
                    Locale.ROOT, "%-58s %10.1f µs, issued in %6.1f µs%s", name, nanos / 1e3, issueNanos / 1e3, rates);
        }
    }

    private KernelTimings(Device device, Consumer<Timing> results) {
        this.device = device;
        this.results = results;
        this.elementBytes = device.elementType().bytes();
        this.stream = device.stream("timings");
        this.start = device.event(Event.Timing.TIMED);
        this.end = device.event(Event.Timing.TIMED);
        this.cache = device.allocate("timings", CACHE_BYTES);
        this.delays = device.allocate("timings", 2 * DELAY_BYTES);
        long rowBytes = 2L * FEED_FORWARD * elementBytes;
        this.in = device.allocate("timings", ROWS_MOST * rowBytes);
        this.out = device.allocate("timings", ROWS_MOST * rowBytes);
        this.state = device.allocate("timings", ROWS_MOST * shape(HEADS).stateBytesPerRow());
        this.index = device.allocate("timings", 8L << 20);
        this.host = device.allocateHost("timings", HOST_BYTES);
    }

    /**
     * Times everything. Takes about 4 GB of device memory and 256 MiB of host memory.
     *
     * @param results receives each timing
     */
    public static void run(Device device, Consumer<Timing> results) {
        KernelTimings timings = new KernelTimings(device, results);
        timings.fill();
        timings.copies();
        timings.products();
        timings.quantisedProducts();
        timings.rows();
        timings.attention();
        timings.tokens();
        timings.experts();
        timings.blocks();
    }

    /**
     * Times the codes of cache blocks, which have other sizes in each element type.
     *
     * @param results receives each timing
     */
    public static void runBlocks(Device device, Consumer<Timing> results) {
        KernelTimings timings = new KernelTimings(device, results);
        timings.fillNormal();
        timings.blocks();
    }

    private static AttentionShape shape(int keyValueHeads) {
        return new AttentionShape(
                HEADS,
                keyValueHeads,
                HEAD_SIZE,
                (float) (1 / Math.sqrt(HEAD_SIZE)),
                0,
                Integer.MAX_VALUE,
                BLOCK_TOKENS,
                CELL_TOKENS);
    }

    /** Random elements of either sign below 1, everywhere. */
    private void fill() {
        SplittableRandom random = new SplittableRandom(1);
        MemorySegment segment = host.segment();
        int distinct = 1 << 20;
        for (int i = 0; i < distinct; i++) {
            Workbench.encode(device.elementType(), segment, i, (float) random.nextDouble(-1, 1));
        }
        long distinctBytes = (long) distinct * elementBytes;
        for (long at = distinctBytes; at < HOST_BYTES; at += distinctBytes) {
            MemorySegment.copy(segment, 0, segment, at, distinctBytes);
        }
        for (DeviceBuffer buffer : List.of(cache, in, out)) {
            for (long at = 0; at < buffer.bytes(); at += HOST_BYTES) {
                long bytes = Math.min(HOST_BYTES, buffer.bytes() - at);
                stream.copyToDevice(host.slice(0, bytes), buffer.slice(at, bytes));
            }
        }
        finish();
    }

    private void finish() {
        stream.record(end);
        end.join();
    }

    /**
     * Issues works while the stream is busy with something else, so that they run without waiting for the calling
     * thread.
     *
     * @param work issues the work, given how often it has run before
     */
    private void time(String name, long bytes, long operations, IntConsumer work) {
        long[] nanos = new long[REPEATS];
        long[] issueNanos = new long[REPEATS];
        for (int i = -WARM_UPS; i < REPEATS; i++) {
            for (int delay = 0; delay < DELAYS; delay++) {
                stream.copyOnDevice(delays.slice(0, DELAY_BYTES), delays.slice(DELAY_BYTES, DELAY_BYTES));
            }
            stream.record(start);
            long before = System.nanoTime();
            for (int j = 0; j < WORKS; j++) {
                work.accept((i + WARM_UPS) * WORKS + j);
            }
            long issued = System.nanoTime() - before;
            stream.record(end);
            end.join();
            if (i >= 0) {
                nanos[i] = end.nanosSince(start) / WORKS;
                issueNanos[i] = issued / WORKS;
            }
        }
        Arrays.sort(nanos);
        Arrays.sort(issueNanos);
        results.accept(new Timing(name, nanos[REPEATS / 2], issueNanos[REPEATS / 2], bytes, operations));
    }

    /** Normally distributed elements in the cache. */
    private void fillNormal() {
        SplittableRandom random = new SplittableRandom(3);
        int distinct = 1 << 20;
        for (int i = 0; i < distinct; i++) {
            Workbench.encode(device.elementType(), host.segment(), i, (float) random.nextGaussian());
        }
        long distinctBytes = (long) distinct * elementBytes;
        for (long at = 0; at < cache.bytes(); at += distinctBytes) {
            stream.copyToDevice(host.slice(0, distinctBytes), cache.slice(at, distinctBytes));
        }
        finish();
    }

    private void copies() {
        for (long bytes : new long[] {64L << 10, 256L << 10, 1L << 20, 4L << 20, 16L << 20, HOST_BYTES}) {
            String size = "of %,d KiB".formatted(bytes >> 10);
            DeviceBuffer onDevice = cache.slice(0, bytes);
            HostBuffer onHost = host.slice(0, bytes);
            time("copyToDevice " + size, bytes, 0, repeat -> stream.copyToDevice(onHost, onDevice));
            if (bytes <= HOST_BYTES / BATCH_COPIES) {
                List<HostBuffer> pieces = Collections.nCopies(BATCH_COPIES, onHost);
                DeviceBuffer all = cache.slice(0, BATCH_COPIES * bytes);
                time(
                        "copyToDevice of %d pieces %s".formatted(BATCH_COPIES, size),
                        all.bytes(),
                        0,
                        repeat -> stream.copyToDevice(pieces, all));
            }
            time("copyToHost " + size, bytes, 0, repeat -> stream.copyToHost(onDevice, onHost));
            DeviceBuffer other = cache.slice(CACHE_BYTES / 2, bytes);
            time("copyOnDevice " + size, 2 * bytes, 0, repeat -> stream.copyOnDevice(onDevice, other));
        }
    }

    private Linear linear(int outFeatures, int inFeatures) {
        float scale = (float) Math.sqrt(3.0 / inFeatures);
        return device.linear(
                "timings",
                List.of(new RandomTensor("weights", List.of(outFeatures, inFeatures), 1, 0, scale)),
                List.of(new RandomTensor("bias", List.of(outFeatures), 2, 0, scale)));
    }

    private void products() {
        Linear keyValue = linear(2 * WIDTH, WIDTH);
        Linear up = linear(FEED_FORWARD, WIDTH);
        Linear down = linear(WIDTH, FEED_FORWARD);
        for (int rows : new int[] {1, 8, 32, 64, 128, 1024, ROWS_MOST}) {
            product("K and V", keyValue, rows, new Epilogue.Store());
            product("feed-forward in, ReLU", up, rows, new Epilogue.Activate(Activation.RELU));
            product("feed-forward out, residual", down, rows, new Epilogue.AddToOutput());
        }
    }

    private void product(String name, Linear weights, int rows, Epilogue epilogue) {
        long operations = 2L * rows * weights.inFeatures() * weights.outFeatures();
        time(
                "linear %s: %d rows x (%d, %d)".formatted(name, rows, weights.outFeatures(), weights.inFeatures()),
                rows > 128 ? 0 : weights.bytes(),
                operations,
                repeat -> device.kernels().linear(stream, weights, in, out, rows, epilogue));
    }

    /** The matrices of a layer of Llama 3 8B. */
    private void quantisedProducts() {
        for (WeightCode code : List.of(WeightCode.FP8_E4M3, WeightCode.INT4)) {
            Linear attentionIn = quantised(code, 6144, WIDTH);
            Linear attentionOut = quantised(code, WIDTH, WIDTH);
            Linear gateUp = quantised(code, 28_672, WIDTH);
            Linear down = quantised(code, WIDTH, 14_336);
            for (int rows : new int[] {1, 8, 32, 64, 1024}) {
                product(code + " Q, K and V", attentionIn, rows, new Epilogue.Store());
                product(code + " attention out, residual", attentionOut, rows, new Epilogue.AddToOutput());
                product(code + " feed-forward out, residual", down, rows, new Epilogue.AddToOutput());
                time(
                        "gated linear %s: %d rows x (%d, %d)"
                                .formatted(code, rows, gateUp.outFeatures(), gateUp.inFeatures()),
                        rows > 128 ? 0 : gateUp.bytes(),
                        2L * rows * gateUp.inFeatures() * gateUp.outFeatures(),
                        repeat -> device.kernels().gatedLinear(stream, gateUp, Activation.SILU, in, delays, out, rows));
            }
        }
    }

    private Linear quantised(WeightCode code, int outFeatures, int inFeatures) {
        WeightEncoding encoding =
                new WeightEncoding(code, GROUP_COLUMNS, WeightEncoding.Zero.MIDDLE, device.elementType());
        double deviation = 1 / Math.sqrt(inFeatures);
        return device.linear(
                "timings",
                List.of(RandomCodes.tensor("weights", outFeatures, inFeatures, encoding, 1, deviation)),
                List.of());
    }

    private void rows() {
        RandomTensor gain = new RandomTensor("gain", List.of(WIDTH), 3, 1, 0);
        Norm layerNorm = device.norm(new Norm.Kind.LayerNorm(1e-5f), gain, gain);
        Norm rmsNorm = device.norm(new Norm.Kind.RmsNorm(1e-5f, 0), gain, null);
        RotaryTable table = device.rotaryTable(new float[HEAD_SIZE / 2], 1, ROWS_MOST, RotaryTable.Layout.HALVES);
        int[] zeros = new int[ROWS_MOST];
        DeviceBuffer positions = write(0, zeros);
        for (int rows : new int[] {1, 32, ROWS_MOST}) {
            long bytes = 2L * rows * WIDTH * elementBytes;
            time(
                    "layer norm, %d rows".formatted(rows),
                    bytes,
                    0,
                    repeat -> device.kernels().norm(stream, layerNorm, in, out, rows));
            time(
                    "RMS norm, %d rows".formatted(rows),
                    bytes,
                    0,
                    repeat -> device.kernels().norm(stream, rmsNorm, in, out, rows));
            time(
                    "rotate, %d rows".formatted(rows),
                    bytes,
                    0,
                    repeat -> device.kernels().rotate(stream, table, in, WIDTH, HEADS, HEAD_SIZE, positions, 1, rows));
            time(
                    "gate, %d rows of %d".formatted(rows, FEED_FORWARD),
                    3L * rows * FEED_FORWARD * elementBytes,
                    0,
                    repeat -> device.kernels().gate(stream, Activation.SILU, in, out, rows, FEED_FORWARD));
            long[] offsets = new long[rows];
            for (int row = 0; row < rows; row++) {
                offsets[row] = 3L * row * WIDTH * elementBytes;
            }
            DeviceBuffer places = write(1L << 20, offsets);
            RowPlaces rowPlaces = new RowPlaces(positions, places, places);
            time(
                    "place, %d rows".formatted(rows),
                    8L * rows * WIDTH * elementBytes,
                    0,
                    repeat -> device.kernels()
                            .place(stream, shape(HEADS), table, in, in, in, WIDTH, rowPlaces, out, rows));
        }
    }

    private void attention() {
        for (int keyValueHeads : new int[] {HEADS, HEADS / 4}) {
            attend(keyValueHeads, 1, 4096, 1);
            attend(keyValueHeads, 1, 16_384, 1);
            attend(keyValueHeads, 8, 1024, 1);
            attend(keyValueHeads, 16, 1024, 1);
            attend(keyValueHeads, 32, 1024, 1);
            attend(keyValueHeads, 33, 1000, 1);
            for (int rows : List.of(2, 4, 5, 9)) {
                attend(keyValueHeads, 1, 16_384, rows);
            }
            attend(keyValueHeads, 16, 1024, 9);
            attend(keyValueHeads, 32, 1024, 9);
            attend(keyValueHeads, 1, 1024, 1024);
            attend(keyValueHeads, 4, 1024, 1024);
            attend(keyValueHeads, 1, 4096, 4096);
            attend(keyValueHeads, 1, 16_384, 512);
        }
    }

    /** The last {@code rows} tokens of each of {@code sequences} sequences of {@code tokens} tokens. */
    private void attend(int keyValueHeads, int sequences, int tokens, int rows) {
        AttentionShape shape = shape(keyValueHeads);
        int blocks = Math.ceilDiv(tokens, BLOCK_TOKENS);
        long blockBytes = (long) BLOCK_TOKENS * shape.keyValueWidth() * elementBytes;
        int[] positions = new int[sequences * rows];
        int[] spans = new int[sequences * AttentionWork.SPAN_INTS];
        long[] table = new long[sequences * blocks];
        for (int i = 0; i < sequences; i++) {
            for (int row = 0; row < rows; row++) {
                positions[i * rows + row] = tokens - rows + row;
            }
            for (int block = 0; block < blocks; block++) {
                table[i * blocks + block] = Base.CLOSED.entry((i * blocks + block) * blockBytes);
            }
            int at = i * AttentionWork.SPAN_INTS;
            spans[at] = i;
            spans[at + 1] = i * rows;
            spans[at + 2] = rows;
            spans[at + 4] = tokens;
        }
        DeviceBuffer onDevice = write(0, positions);
        DeviceBuffer spansOnDevice = write(1L << 20, spans);
        DeviceBuffer tableOnDevice = write(2L << 20, table);
        AttentionIndex attention = new AttentionIndex(onDevice, tableOnDevice, blocks);
        AttentionWork work = new AttentionWork(spansOnDevice, sequences, rows, tokens, sequences);
        long cacheBytes = (long) sequences * blocks * blockBytes;
        int layers = (int) Math.max(1, CACHE_BYTES / cacheBytes);
        long pairs = (long) rows * tokens - (long) rows * (rows - 1) / 2;
        long operations = 4L * sequences * pairs * HEADS * HEAD_SIZE;
        boolean readsOnce = rows <= DRAFTED_ROWS_MOST;
        time(
                "attend: %d sequences, %d of %d tokens, %d/%d heads"
                        .formatted(sequences, rows, tokens, HEADS, keyValueHeads),
                readsOnce ? (long) sequences * tokens * shape.keyValueWidth() * elementBytes : 0,
                readsOnce ? 0 : operations,
                repeat -> {
                    long layer = cache.address() + repeat % layers * cacheBytes;
                    device.kernels()
                            .attend(
                                    stream,
                                    shape,
                                    null,
                                    attention,
                                    work,
                                    new BlockBases(layer, layer, layer, layer),
                                    in,
                                    state,
                                    out);
                });
    }

    private void tokens() {
        TokenChoices.Row likeliest = new TokenChoices.Row(0, 0, 1, 1, 1, 0, 0);
        TokenChoices.Row nucleus = new TokenChoices.Row(0, 0, 1, Integer.MAX_VALUE, 0.9, 0, Long.MAX_VALUE / 2);
        TokenChoices.Row filtered = new TokenChoices.Row(0, 0, 1, 50, 0.9, 0.01, Long.MAX_VALUE / 2);
        for (int rows : new int[] {1, 32}) {
            tokens("the likeliest", likeliest, rows);
            tokens("top-p", nucleus, rows);
            tokens("top-k, top-p, min-p", filtered, rows);
        }
    }

    private void tokens(String name, TokenChoices.Row row, int rows) {
        long[] words = TokenChoices.rowArray(Collections.nCopies(rows, row)).toArray(ValueLayout.JAVA_LONG);
        TokenChoices choices = new TokenChoices(write(0, words), index.slice(0, 0));
        DeviceBuffer tokens = index.from(1L << 20);
        time(
                "choose tokens: %s of %d, %d rows".formatted(name, VOCABULARY, rows),
                0,
                0,
                repeat -> device.kernels().chooseTokens(stream, in, choices, out, tokens, rows, VOCABULARY));
    }

    /** Experts of the size of Qwen3-30B-A3B; each repetition has others. */
    private void experts() {
        int width = 2048;
        int innerWidth = 768;
        ExpertRouting routing = new ExpertRouting(128, 8, ExpertRouting.Weights.SOFTMAX_OF_CHOSEN);
        List<ExpertWeights> weights = new ArrayList<>();
        for (int expert = 0; expert < routing.experts(); expert++) {
            weights.add(new ExpertWeights(
                    List.of(new RandomTensor("gate up", List.of(2 * innerWidth, width), expert, 0, 0.03f)),
                    List.of(new RandomTensor("down", List.of(width, innerWidth), expert, 0, 0.05f))));
        }
        Experts experts = device.experts("timings", weights);
        long expertBytes = experts.bytes() / routing.experts();
        SplittableRandom random = new SplittableRandom(2);
        int sets = 16;
        for (int rows : new int[] {1, 2, 8, 16, 17, 64, 512, ROWS_MOST}) {
            int chosen = routing.chosen();
            int[] ids = new int[sets * rows * chosen];
            for (int first = 0; first < ids.length; first += chosen) {
                int[] distinct = random.ints(0, routing.experts())
                        .distinct()
                        .limit(chosen)
                        .toArray();
                System.arraycopy(distinct, 0, ids, first, chosen);
            }
            DeviceBuffer idsOnDevice = write(0, ids);
            DeviceBuffer factors = index.from(idsOnDevice.bytes());
            long distinct = Arrays.stream(ids, 0, rows * chosen).distinct().count();
            long operations = 6L * rows * chosen * width * innerWidth;
            time(
                    "experts: %d rows to %d of %d".formatted(rows, chosen, routing.experts()),
                    rows > 128 ? 0 : distinct * expertBytes,
                    operations,
                    repeat -> device.kernels()
                            .experts(
                                    stream,
                                    experts,
                                    new Gating.Activated(Activation.SILU),
                                    in,
                                    new ExpertChoices(
                                            chosen,
                                            idsOnDevice.from((long) repeat % sets * rows * chosen * Integer.BYTES),
                                            factors),
                                    cache,
                                    out,
                                    rows,
                                    new Epilogue.AddToOutput()));
            ExpertChoices routed = new ExpertChoices(chosen, cache, cache.from(CACHE_BYTES / 2));
            time(
                    "route: %d rows to %d of %d".formatted(rows, chosen, routing.experts()),
                    0,
                    0,
                    repeat -> device.kernels().route(stream, routing, in, routed, rows));
        }
    }

    /**
     * Blocks of K and V of Llama 3 8B, and of the activations of OPT 6.7B: a few, as a decode step writes them out, and
     * as many as a long sequence has. Rates are of the bytes that are not coded.
     */
    private void blocks() {
        fillNormal();
        int keyValueWidth = 2 * 8 * HEAD_SIZE;
        for (BlockCode code : BlockCode.values()) {
            int tokens = code.isExact() ? BLOCK_TOKENS : CELL_TOKENS;
            BlockValues keyValues = new BlockValues(device.elementType(), tokens, keyValueWidth, HEAD_SIZE);
            for (int blocks : new int[] {4, 32, 1024 * BLOCK_TOKENS / tokens, 4096 * BLOCK_TOKENS / tokens}) {
                blocks("K and V", code, keyValues, blocks);
            }
        }
        BlockValues activations = new BlockValues(device.elementType(), BLOCK_TOKENS, WIDTH, WIDTH);
        blocks("activations", BlockCode.PACKED, activations, 1024);
    }

    private void blocks(String name, BlockCode code, BlockValues values, int blocks) {
        String what =
                "%s %s: %d blocks of %d tokens in %s".formatted(code, name, blocks, values.tokens(), values.type());
        long plainBytes = values.bytes() * blocks;
        long codedBytes = code.bytes(values) * blocks;
        int sets = (int) Math.max(1, Math.min(CACHE_BYTES / plainBytes, out.bytes() / codedBytes));
        DeviceBuffer plainOffsets = write(0, offsets(blocks, values.bytes()));
        DeviceBuffer codedOffsets = write(1L << 20, offsets(blocks, code.bytes(values)));
        DeviceBuffer misfits = write(2L << 20, new int[blocks]);
        IntFunction<BlockPlaces> plain =
                set -> new BlockPlaces(cache.slice(set % sets * plainBytes, plainBytes), plainOffsets);
        IntFunction<BlockPlaces> coded =
                set -> new BlockPlaces(out.slice(set % sets * codedBytes, codedBytes), codedOffsets);
        IntFunction<BlockPlaces> decoded = set ->
                new BlockPlaces(in.slice(set % (in.bytes() / plainBytes) * plainBytes, plainBytes), plainOffsets);
        for (int set = 0; set < sets; set++) {
            device.kernels().encodeBlocks(stream, code, values, plain.apply(set), coded.apply(set), misfits, blocks);
        }
        finish();
        time(
                "encode " + what,
                plainBytes,
                0,
                repeat -> device.kernels()
                        .encodeBlocks(stream, code, values, plain.apply(repeat), coded.apply(repeat), misfits, blocks));
        time(
                "decode " + what,
                plainBytes,
                0,
                repeat -> device.kernels()
                        .decodeBlocks(stream, code, values, coded.apply(repeat), decoded.apply(repeat), blocks));
    }

    private static long[] offsets(int blocks, long blockBytes) {
        return LongStream.range(0, blocks).map(block -> block * blockBytes).toArray();
    }

    private DeviceBuffer write(long offset, int[] values) {
        DeviceBuffer to = index.slice(offset, (long) values.length * Integer.BYTES);
        MemorySegment.copy(values, 0, host.segment(), ValueLayout.JAVA_INT, 0, values.length);
        stream.copyToDevice(host.slice(0, to.bytes()), to);
        finish();
        return to;
    }

    private DeviceBuffer write(long offset, long[] values) {
        DeviceBuffer to = index.slice(offset, (long) values.length * Long.BYTES);
        MemorySegment.copy(values, 0, host.segment(), ValueLayout.JAVA_LONG, 0, values.length);
        stream.copyToDevice(host.slice(0, to.bytes()), to);
        finish();
        return to;
    }
}
