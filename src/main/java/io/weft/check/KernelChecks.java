package io.weft.check;

import io.weft.check.AttentionCase.Division;
import io.weft.device.Activation;
import io.weft.device.AttentionShape;
import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceException;
import io.weft.device.DeviceRows;
import io.weft.device.ElementType;
import io.weft.device.Embedding;
import io.weft.device.Epilogue;
import io.weft.device.Event;
import io.weft.device.Graph;
import io.weft.device.HostBuffer;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RandomTensor;
import io.weft.device.RotaryTable;
import io.weft.device.RowPlaces;
import io.weft.device.Stream;
import io.weft.device.Tensor;
import io.weft.device.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Runs every kernel of one device and of a reference on the same inputs, which both can hold exactly. Errors are
 * relative to the largest value of the reference; a bound is a multiple of the tested element type's epsilon, plus what
 * fp32 sums of that length may differ by.
 */
public final class KernelChecks {
    private static final int[] ALL_ROWS = {1, 7, 33, 257};
    private static final int[] FEW_ROWS = {7, 33};
    /** Rows of a batch of which each must have the bits that it has alone. */
    private static final int[] BATCHES = {7, 16, 33, 64, 65, 257};

    private static final int LARGE_FEATURES = 1024;

    /** Columns that a GPU spreads over its multiprocessors in different ways. */
    private static final int[] WIDTHS = {1032, 5120, 6136, 8192, 12_288, 16_392};

    /** No multiple of what a kernel brings at a time. */
    private static final int WIDTHS_IN_FEATURES = 1568;

    private static final int[] WIDTHS_ROWS = {3, 16, 17, 31, 32};

    /** Rows as in recomputation, a little above those that fill a GPU evenly. */
    private static final int[] MANY_ROWS = {528, 1040, 2064};

    private static final int MANY_ROWS_FEATURES = 2048;
    private static final int PIECE_ROWS = 16;

    /** Of rotary tables. */
    private static final int POSITIONS = 400;

    private static final int LARGE_ROWS = 65;
    /** An fp32 sum of n terms of size 1 may differ by about n times this. */
    private static final double SUM_EPSILON = 0x1p-22;

    private final Extent extent;
    private final Workbench reference;
    private final Workbench tested;
    private final ElementType type;
    private final Consumer<Result> results;
    private final SplittableRandom random = new SplittableRandom(20241127);

    /**
     * One check.
     *
     * @param name kernel, sizes, and what is compared
     * @param error the largest error, or how many elements differ; NaN if an element was not written
     * @param bound the largest error that passes
     */
    public record Result(String name, double error, double bound) {
        /** A NaN passes nothing. */
        public boolean passed() {
            return error <= bound;
        }

        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT, "%-4s %-76s error %.2e, bound %.2e", passed() ? "ok" : "FAIL", name, error, bound);
        }
    }

    private KernelChecks(Device reference, Device tested, Extent extent, Consumer<Result> results) {
        this.extent = extent;
        this.reference = new Workbench(reference);
        this.tested = new Workbench(tested);
        this.type = tested.elementType();
        this.results = results;
    }

    /**
     * Runs all checks. Takes 192 MiB of device and host memory of each device, and some for weights.
     *
     * @param reference a device whose elements hold whatever the tested device's do
     * @param tested may be of the same kind
     * @param extent how many sizes
     * @param results told of each check as it is done
     */
    public static void run(Device reference, Device tested, Extent extent, Consumer<Result> results) {
        KernelChecks checks = new KernelChecks(reference, tested, extent, results);
        checks.copies();
        checks.pieces();
        checks.rowsBetweenPitches();
        checks.graphs();
        checks.weights();
        checks.embed();
        checks.norms();
        checks.gates();
        checks.rotate();
        checks.place();
        checks.rowCopies();
        checks.results();
        checks.tokens();
        checks.linear();
        checks.largeLinear();
        checks.widths();
        checks.manyRows();
        checks.productsInOneCall();
        checks.attention();
    }

    /** Rows of a call, one after the other. */
    private int[] rowCounts() {
        return switch (extent) {
            case ALL -> ALL_ROWS;
            case SMALL -> FEW_ROWS;
        };
    }

    /** What a check runs on each of the two devices; the answer is read back at once. */
    @FunctionalInterface
    private interface Run {
        float[] on(Workbench bench);
    }

    private void compare(String name, double bound, Run run) {
        attempt(name, () -> {
            reference.clear();
            float[] expected = run.on(reference);
            tested.clear();
            float[] actual = run.on(tested);
            results.accept(new Result(name, error(expected, actual), bound));
        });
    }

    /** A check that throws has failed; the others may still be told. */
    private void attempt(String name, Runnable check) {
        try {
            check.run();
        } catch (DeviceException | IllegalArgumentException | IndexOutOfBoundsException e) {
            results.accept(new Result(name + ": " + e, Double.NaN, 0));
        }
    }

    /** A check that runs a kernel hundreds of times. */
    private void attemptIfAll(String name, Runnable check) {
        switch (extent) {
            case ALL -> attempt(name, check);
            case SMALL -> {}
        }
    }

    /** The largest difference, relative to the largest expected value; NaN if anything is NaN. */
    private static double error(float[] expected, float[] actual) {
        double scale = 0;
        double worst = expected.length == actual.length ? 0 : Double.POSITIVE_INFINITY;
        for (int i = 0; i < Math.min(expected.length, actual.length); i++) {
            scale = Math.max(scale, Math.abs(expected[i]));
            double difference = Math.abs((double) expected[i] - actual[i]);
            worst = Double.isNaN(difference) ? Double.NaN : Math.max(worst, difference);
            if (Double.isNaN(worst)) {
                return worst;
            }
        }
        return worst == 0 ? 0 : worst / scale;
    }

    private void sameBits(String name, float[] expected, float[] actual) {
        int different = expected.length == actual.length ? 0 : Integer.MAX_VALUE;
        for (int i = 0; i < Math.min(expected.length, actual.length); i++) {
            if (Float.isNaN(actual[i])) {
                results.accept(new Result(name, Double.NaN, 0));
                return;
            }
            if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(actual[i])) {
                different++;
            }
        }
        results.accept(new Result(name, different, 0));
    }

    private float[] values(int count, double scale) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = Workbench.round(type, (float) (random.nextDouble(-1, 1) * scale));
        }
        return values;
    }

    private int[] integers(int count, int below) {
        int[] values = new int[count];
        for (int i = 0; i < count; i++) {
            values[i] = random.nextInt(below);
        }
        return values;
    }

    /** A tensor as a file would hold it, in an element type of the file's. */
    private static TensorView tensor(
            Arena arena, String name, ElementType fileType, List<Integer> shape, float[] values) {
        MemorySegment data = arena.allocate((long) values.length * fileType.bytes(), Float.BYTES);
        for (int i = 0; i < values.length; i++) {
            Workbench.encode(fileType, data, i, values[i]);
        }
        return new TensorView(name, fileType, shape, data);
    }

    private double epsilon() {
        return Workbench.epsilon(type);
    }

    private void copies() {
        for (int count : new int[] {1, 7, 33, 257, 1 << 20}) {
            float[] in = values(count, 1);
            tested.clear();
            DeviceBuffer first = tested.elements(in);
            DeviceBuffer second = tested.elements(count);
            Stream other = tested.device().stream("copies " + count);
            Event arrived = tested.device().event(Event.Timing.TIMED);
            Event copied = tested.device().event(Event.Timing.TIMED);
            tested.stream().record(arrived);
            other.await(arrived);
            other.copyOnDevice(first, second);
            other.record(copied);
            tested.stream().await(copied);
            sameBits("copies of %d elements".formatted(count), in, tested.read(second));
            boolean ordered = copied.isReached() && copied.nanosSince(arrived) >= 0;
            results.accept(new Result("events around a copy of %d elements".formatted(count), ordered ? 0 : 1, 0));
        }
    }

    /** Blocks of both contents in several layers become blocks of one. */
    private void rowsBetweenPitches() {
        int rows = 7;
        for (int width : new int[] {1, 33, 4096}) {
            int pitch = 3 * width;
            float[] in = values(rows * pitch, 1);
            float[] expected = new float[rows * width];
            for (int row = 0; row < rows; row++) {
                System.arraycopy(in, row * pitch + width, expected, row * width, width);
            }
            tested.clear();
            long rowBytes = (long) width * tested.elementBytes();
            DeviceBuffer from = tested.elements(in).from(rowBytes);
            DeviceBuffer to = tested.elements(expected.length);
            tested.stream()
                    .copyOnDevice(
                            new DeviceRows(from, 3 * rowBytes, rowBytes, rows),
                            new DeviceRows(to, rowBytes, rowBytes, rows));
            sameBits("copies of %d rows of %d elements".formatted(rows, width), expected, tested.read(to));
        }
    }

    /** What is launched as a graph has the bits of what is issued call by call, with whatever its memory holds. */
    private void graphs() {
        int width = LARGE_FEATURES;
        try (Arena arena = Arena.ofConfined()) {
            Tensor gain = tensor(arena, "gain", type, List.of(width), values(width, 2));
            Norm norm = tested.device().norm(new Norm.Kind.RmsNorm(1e-6f, 0), gain, null);
            RandomTensor random = new RandomTensor("weights", List.of(width, width), 3, 0, 0.05f);
            Linear weights = tested.device().linear("check", List.of(random), List.of());
            for (int rows : rowCounts()) {
                String name = "graph of a norm and products of %d rows".formatted(rows);
                attempt(name, () -> graph(name, norm, weights, rows));
            }
        }
    }

    private void graph(String name, Norm norm, Linear weights, int rows) {
        tested.clear();
        float[] first = values(rows * norm.width(), 1);
        float[] second = values(rows * norm.width(), 1);
        DeviceBuffer in = tested.elements(first);
        DeviceBuffer normed = tested.elements(first.length);
        DeviceBuffer out = tested.elements(first.length);
        Stream stream = tested.stream();
        Runnable operations = () -> {
            tested.kernels().norm(stream, norm, in, normed, rows);
            tested.kernels().linear(stream, weights, normed, out, rows, new Epilogue.Store());
            tested.kernels().linear(stream, weights, normed, out, rows, new Epilogue.AddToOutput());
        };
        operations.run();
        float[] expectedFirst = tested.read(out);
        tested.write(in, second);
        operations.run();
        float[] expectedSecond = tested.read(out);
        Optional<Graph> captured = tested.device().capture(stream, operations);
        results.accept(new Result(name + " is captured", captured.isPresent() ? 0 : 1, 0));
        captured.ifPresent(graph -> {
            tested.write(in, first);
            graph.launch(stream);
            sameBits(name, expectedFirst, tested.read(out));
            tested.write(in, second);
            graph.launch(stream);
            graph.launch(stream);
            sameBits(name + ", twice", expectedSecond, tested.read(out));
            graph.close();
        });
    }

    /** Pieces of unequal length from the host, the last in memory first. */
    private void pieces() {
        for (int count : new int[] {1, 7, 33, 257}) {
            int[] starts = new int[count + 1];
            for (int i = 0; i < count; i++) {
                starts[i + 1] = starts[i] + 1 + 37 * i % 101;
            }
            int elements = starts[count];
            float[] in = values(elements, 1);
            float[] expected = new float[elements];
            HostBuffer host = tested.device().allocateHost("pieces", (long) elements * tested.elementBytes());
            tested.clear();
            List<HostBuffer> onHost = new ArrayList<>();
            int at = 0;
            for (int i = count - 1; i >= 0; i--) {
                int length = starts[i + 1] - starts[i];
                System.arraycopy(in, starts[i], expected, at, length);
                at += length;
                long offset = (long) starts[i] * tested.elementBytes();
                onHost.add(host.slice(offset, (long) length * tested.elementBytes()));
            }
            for (int i = 0; i < elements; i++) {
                Workbench.encode(type, host.segment(), i, in[i]);
            }
            DeviceBuffer fromHost = tested.elements(elements);
            tested.stream().copyToDevice(onHost, fromHost);
            sameBits("%d pieces from the host".formatted(count), expected, tested.read(fromHost));
            DeviceBuffer whole = tested.elements(elements);
            tested.kernels().readHost(tested.stream(), host.slice(0, whole.bytes()), whole);
            sameBits("readHost of %d bytes".formatted(whole.bytes()), in, tested.read(whole));
        }
    }

    /** Weights from files of every element type, and made on the device, must be the nearest numbers. */
    private void weights() {
        int rows = 33;
        int width = 100;
        int[] ids = new int[rows];
        for (int i = 0; i < rows; i++) {
            ids[i] = i;
        }
        try (Arena arena = Arena.ofConfined()) {
            float[] values = values(rows * width, 4);
            for (ElementType fileType : ElementType.values()) {
                TensorView view = tensor(arena, "weights", fileType, List.of(rows, width), values);
                sameWeights("weights from a file of " + fileType, view, ids);
            }
            sameWeights(
                    "weights made on the device",
                    new RandomTensor("random", List.of(rows, width), 1L << 40, 0.25f, 0.1f),
                    ids);
        }
    }

    private void sameWeights(String name, Tensor tensor, int[] ids) {
        float[] expected = new float[(int) tensor.elements()];
        for (int i = 0; i < expected.length; i++) {
            expected[i] = Workbench.round(type, tensor.element(i));
        }
        tested.clear();
        Embedding table = tested.device().embedding(tensor, null, 0, 1);
        DeviceBuffer out = tested.elements(expected.length);
        DeviceBuffer places = tested.ints(new int[ids.length]);
        tested.kernels().embed(tested.stream(), table, tested.ints(ids), places, out, ids.length);
        sameBits(name, expected, tested.read(out));
    }

    private void embed() {
        int vocabulary = 101;
        int places = 61;
        int offset = 2;
        try (Arena arena = Arena.ofConfined()) {
            for (int width : new int[] {64, 100}) {
                Tensor tokens =
                        tensor(arena, "tokens", type, List.of(vocabulary, width), values(vocabulary * width, 1));
                Tensor learned = tensor(arena, "positions", type, List.of(places, width), values(places * width, 1));
                for (@Nullable Tensor positions : new Tensor[] {learned, null}) {
                    Embedding expected = reference.device().embedding(tokens, positions, offset, 1.5f);
                    Embedding actual = tested.device().embedding(tokens, positions, offset, 1.5f);
                    for (int rows : rowCounts()) {
                        int[] ids = integers(rows, vocabulary);
                        int[] at = integers(rows, places - offset);
                        String name = "embed %d x %d%s"
                                .formatted(rows, width, positions == null ? "" : ", learned positions");
                        compare(name, epsilon(), bench -> {
                            DeviceBuffer out = bench.elements((long) rows * width);
                            Embedding table = bench == reference ? expected : actual;
                            bench.kernels().embed(bench.stream(), table, bench.ints(ids), bench.ints(at), out, rows);
                            return bench.read(out);
                        });
                    }
                }
            }
        }
    }

    private void norms() {
        try (Arena arena = Arena.ofConfined()) {
            for (int width : new int[] {64, 100, 2304, 4096}) {
                Tensor gain = tensor(arena, "gain", type, List.of(width), values(width, 2));
                Tensor bias = tensor(arena, "bias", type, List.of(width), values(width, 1));
                List<Norm.Kind> kinds = List.of(new Norm.Kind.LayerNorm(1e-5f), new Norm.Kind.RmsNorm(1e-6f, 1));
                for (Norm.Kind kind : kinds) {
                    Norm expected = reference.device().norm(kind, gain, bias);
                    Norm actual = tested.device().norm(kind, gain, bias);
                    for (int rows : rowCounts()) {
                        float[] in = values(rows * width, 3);
                        String name =
                                "%s %d x %d, in place".formatted(kind.getClass().getSimpleName(), rows, width);
                        compare(name, epsilon() + width * SUM_EPSILON, bench -> {
                            DeviceBuffer values = bench.elements(in);
                            Norm norm = bench == reference ? expected : actual;
                            bench.kernels().norm(bench.stream(), norm, values, values, rows);
                            return bench.read(values);
                        });
                    }
                }
            }
        }
    }

    private void gates() {
        for (Activation activation : Activation.values()) {
            for (int width : new int[] {64, 101}) {
                for (int rows : rowCounts()) {
                    float[] in = values(rows * 2 * width, 4);
                    compare("gate %s %d x %d".formatted(activation, rows, width), 2 * epsilon(), bench -> {
                        DeviceBuffer out = bench.elements((long) rows * width);
                        bench.kernels().gate(bench.stream(), activation, bench.elements(in), out, rows, width);
                        return bench.read(out);
                    });
                }
            }
        }
    }

    private RotaryTable rotaryTable(Device device, int rotaryWidth) {
        float[] frequencies = new float[rotaryWidth / 2];
        for (int j = 0; j < frequencies.length; j++) {
            frequencies[j] = (float) Math.pow(10_000, -(double) j / frequencies.length);
        }
        return device.rotaryTable(frequencies, 1.1f, POSITIONS);
    }

    private void rotate() {
        record Size(int heads, int headSize, int rotaryWidth, int rowWidth) {}
        List<Size> sizes = List.of(
                new Size(4, 64, 64, 256),
                new Size(2, 64, 32, 256),
                new Size(3, 20, 10, 70),
                new Size(2, 128, 128, 512));
        for (Size size : sizes) {
            RotaryTable expected = rotaryTable(reference.device(), size.rotaryWidth());
            RotaryTable actual = rotaryTable(tested.device(), size.rotaryWidth());
            for (int rowsPerPosition : new int[] {1, 16}) {
                for (int rows : rowCounts()) {
                    float[] in = values(rows * size.rowWidth(), 1);
                    int[] at = integers(Math.ceilDiv(rows, rowsPerPosition), POSITIONS - rowsPerPosition);
                    String name = "rotate %d x %d heads of %d (%d), %d rows a position"
                            .formatted(rows, size.heads(), size.headSize(), size.rotaryWidth(), rowsPerPosition);
                    compare(name, 2 * epsilon(), bench -> {
                        DeviceBuffer values = bench.elements(in);
                        bench.kernels()
                                .rotate(
                                        bench.stream(),
                                        bench == reference ? expected : actual,
                                        values,
                                        size.rowWidth(),
                                        size.heads(),
                                        size.headSize(),
                                        bench.ints(at),
                                        rowsPerPosition,
                                        rows);
                        return bench.read(values);
                    });
                }
            }
        }
    }

    /** New rows go to scattered places, with and without rotary positions; queries turn where they are. */
    private void place() {
        record Size(int heads, int keyValueHeads, int headSize, int rotaryWidth, int width) {}
        List<Size> sizes = List.of(
                new Size(4, 4, 64, 64, 256),
                new Size(8, 2, 128, 128, 1024),
                new Size(4, 2, 64, 32, 100),
                new Size(3, 3, 20, 10, 61),
                new Size(4, 4, 64, 0, 256),
                new Size(2, 1, 20, 0, 33));
        for (Size size : sizes) {
            AttentionShape shape = new AttentionShape(
                    size.heads(), size.keyValueHeads(), size.headSize(), 1, Integer.MAX_VALUE, 16, 64);
            boolean rotates = size.rotaryWidth() > 0;
            @Nullable RotaryTable expected = rotates ? rotaryTable(reference.device(), size.rotaryWidth()) : null;
            @Nullable RotaryTable actual = rotates ? rotaryTable(tested.device(), size.rotaryWidth()) : null;
            for (int rows : rowCounts()) {
                float[] queries = values(rows * shape.queryWidth(), 1);
                float[] keyValues = values(rows * shape.keyValueWidth(), 1);
                float[] activations = values(rows * size.width(), 1);
                int[] positions = integers(rows, POSITIONS);
                int[] order = permutation(rows);
                int slot = shape.keyValueWidth() + size.width();
                String name = "place %d x %d/%d heads of %d (%d) and %d"
                        .formatted(
                                rows,
                                size.heads(),
                                size.keyValueHeads(),
                                size.headSize(),
                                size.rotaryWidth(),
                                size.width());
                compare(name, 2 * epsilon(), bench -> {
                    long[] keyValueOffsets = new long[rows];
                    long[] activationOffsets = new long[rows];
                    for (int i = 0; i < rows; i++) {
                        keyValueOffsets[i] = (long) order[i] * slot * bench.elementBytes();
                        activationOffsets[i] = keyValueOffsets[i] + (long) shape.keyValueWidth() * bench.elementBytes();
                    }
                    DeviceBuffer turned = bench.elements(queries);
                    DeviceBuffer base = bench.elements((long) rows * slot);
                    RowPlaces places = new RowPlaces(
                            bench.ints(positions), bench.longs(keyValueOffsets), bench.longs(activationOffsets));
                    bench.kernels()
                            .place(
                                    bench.stream(),
                                    shape,
                                    bench == reference ? expected : actual,
                                    turned,
                                    bench.elements(keyValues),
                                    bench.elements(activations),
                                    size.width(),
                                    places,
                                    base,
                                    rows);
                    float[] placed = bench.read(base);
                    float[] both = Arrays.copyOf(placed, placed.length + queries.length);
                    System.arraycopy(bench.read(turned), 0, both, placed.length, queries.length);
                    return both;
                });
            }
        }
    }

    private void rowCopies() {
        for (int width : new int[] {1, 33, 64, 20_011}) {
            for (int rows : rowCounts()) {
                float[] in = values(rows * width, 1);
                int[] order = permutation(rows);
                compare("gatherRows %d x %d".formatted(rows, width), 0, bench -> {
                    int rowBytes = width * bench.elementBytes();
                    long[] offsets = Arrays.stream(order)
                            .mapToLong(row -> (long) row * rowBytes)
                            .toArray();
                    DeviceBuffer out = bench.elements((long) rows * width);
                    bench.kernels()
                            .gatherRows(bench.stream(), bench.elements(in), rowBytes, bench.longs(offsets), out, rows);
                    return bench.read(out);
                });
            }
        }
    }

    private int[] permutation(int count) {
        int[] order = new int[count];
        for (int i = 0; i < count; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }

    private void results() {
        for (int width : new int[] {1, 33, 384, 5001}) {
            for (int rows : rowCounts()) {
                float[] in = values(rows * width, 1);
                compare("toFloat %d x %d".formatted(rows, width), 0, bench -> {
                    DeviceBuffer out = bench.poisoned((long) in.length * Float.BYTES);
                    bench.kernels().toFloat(bench.stream(), bench.elements(in), out, in.length);
                    return bench.readFloats(out);
                });
            }
        }
    }

    /**
     * Weights come from the same operations on every device and sums are of whole numbers, so there is nothing to
     * tolerate. Rounded logits have many equals, and every fifth row has what no model should make.
     */
    private void tokens() {
        record Size(int rows, int vocabulary) {}
        List<Size> sizes = switch (extent) {
            case ALL ->
                List.of(
                        new Size(33, 1),
                        new Size(33, 2),
                        new Size(257, 7),
                        new Size(257, 33),
                        new Size(257, 257),
                        new Size(33, 1024),
                        new Size(33, 5001),
                        new Size(33, 50_272),
                        new Size(3, 262_145));
            case SMALL -> List.of(new Size(3, 257));
        };
        for (Size size : sizes) {
            for (double scale : new double[] {0.5, 20}) {
                ChoiceCase choice = new ChoiceCase(size.rows(), size.vocabulary(), scale, type, random);
                String name = "chooseTokens %d x %d, logits to %s".formatted(size.rows(), size.vocabulary(), scale);
                compare(name, 0, bench -> choice.run(bench, size.rows()));
                attemptIfAll(name + ", alone", () -> {
                    tested.clear();
                    float[] together = choice.run(tested, size.rows());
                    tested.clear();
                    sameBits(name + ", same as alone", together, choice.run(tested, 1));
                });
            }
        }
    }

    private void linear() {
        record Size(int outFeatures, int inFeatures) {}
        List<Size> sizes = List.of(
                new Size(64, 64), new Size(50, 100), new Size(384, 160), new Size(257, 33), new Size(512, 1024));
        List<Epilogue> epilogues = List.of(
                new Epilogue.Store(),
                new Epilogue.AddToOutput(),
                new Epilogue.Activate(Activation.RELU),
                new Epilogue.Activate(Activation.SILU),
                new Epilogue.Activate(Activation.GELU),
                new Epilogue.Activate(Activation.GELU_TANH));
        try (Arena arena = Arena.ofConfined()) {
            for (Size size : sizes) {
                int n = size.outFeatures();
                int k = size.inFeatures();
                double weightScale = 1 / Math.sqrt(k);
                int cut = n / 3;
                List<Tensor> weights = List.of(
                        tensor(arena, "first", type, List.of(cut, k), values(cut * k, weightScale)),
                        tensor(arena, "rest", type, List.of(n - cut, k), values((n - cut) * k, weightScale)));
                Tensor oneBias = tensor(arena, "bias", type, List.of(n), values(n, 1));
                for (List<Tensor> bias : List.of(List.<Tensor>of(), List.of(oneBias))) {
                    Linear expected = reference.device().linear("check", weights, bias);
                    Linear actual = tested.device().linear("check", weights, bias);
                    for (Epilogue epilogue : epilogues) {
                        for (int rows : rowCounts()) {
                            linear(bias.isEmpty() ? "" : ", bias", expected, actual, epilogue, rows);
                        }
                        String suffix = bias.isEmpty() ? "" : ", bias";
                        attemptIfAll(
                                "linear %s: same bits".formatted(describe(suffix, actual, epilogue)),
                                () -> linearBits(suffix, actual, epilogue, ALL_ROWS[ALL_ROWS.length - 1]));
                    }
                }
            }
        }
    }

    /** Sizes of real models, where a device may choose other kernels. */
    private void largeLinear() {
        for (int inFeatures : new int[] {4096, 11_008}) {
            Linear weights = tested.device()
                    .linear(
                            "check",
                            List.of(new RandomTensor("weights", List.of(LARGE_FEATURES, inFeatures), 1, 0, 0.05f)),
                            List.of(new RandomTensor("bias", List.of(LARGE_FEATURES), 2, 0, 1)));
            for (Epilogue epilogue :
                    List.of(new Epilogue.Store(), new Epilogue.AddToOutput(), new Epilogue.Activate(Activation.RELU))) {
                attemptIfAll(
                        "linear %s: same bits".formatted(describe(", bias", weights, epilogue)),
                        () -> linearBits(", bias", weights, epilogue, LARGE_ROWS));
            }
        }
    }

    /** Outputs of any width, for as many rows as are still few. */
    private void widths() {
        for (int outFeatures : WIDTHS) {
            Linear weights = randomLinear(outFeatures, outFeatures, WIDTHS_IN_FEATURES);
            for (Epilogue epilogue : List.of(new Epilogue.Store(), new Epilogue.AddToOutput())) {
                attemptIfAll(
                        "linear %s: same bits".formatted(describe(", bias", weights, epilogue)),
                        () -> linearBits(", bias", weights, epilogue, WIDTHS_ROWS));
            }
        }
    }

    /** Rows at once have the bits that they have in pieces. */
    private void manyRows() {
        int k = 4096;
        RandomTensor matrix = new RandomTensor("weights", List.of(MANY_ROWS_FEATURES, k), 1, 0, 0.05f);
        Linear plain = tested.device().linear("check", List.of(matrix), List.of());
        Linear biased = tested.device()
                .linear(
                        "check",
                        List.of(matrix),
                        List.of(new RandomTensor("bias", List.of(MANY_ROWS_FEATURES), 2, 0, 1)));
        for (int rows : MANY_ROWS) {
            attemptIfAll("linear " + rows + " rows", () -> linearPieces("", plain, new Epilogue.Store(), rows));
            attemptIfAll(
                    "linear " + rows + " rows",
                    () -> linearPieces(", bias", biased, new Epilogue.Activate(Activation.RELU), rows));
        }
    }

    private void linearPieces(String suffix, Linear weights, Epilogue epilogue, int rows) {
        tested.clear();
        DeviceBuffer in = tested.elements(values(rows * weights.inFeatures(), 1));
        long outBytes = (long) rows * weights.outFeatures() * tested.elementBytes();
        DeviceBuffer together = tested.poisoned(outBytes);
        DeviceBuffer pieces = tested.poisoned(outBytes);
        linearInBatches(weights, in, together, epilogue, rows, rows);
        linearInBatches(weights, in, pieces, epilogue, rows, PIECE_ROWS);
        sameBits(
                "linear %s: %d rows at once, same bits as in pieces of %d"
                        .formatted(describe(suffix, weights, epilogue), rows, PIECE_ROWS),
                tested.read(pieces),
                tested.read(together));
    }

    private void linearInBatches(
            Linear weights, DeviceBuffer in, DeviceBuffer out, Epilogue epilogue, int rows, int batch) {
        long inBytes = (long) weights.inFeatures() * tested.elementBytes();
        long outBytes = (long) weights.outFeatures() * tested.elementBytes();
        for (int row = 0; row < rows; row += batch) {
            int count = Math.min(batch, rows - row);
            tested.kernels()
                    .linear(
                            tested.stream(),
                            weights,
                            in.slice(row * inBytes, count * inBytes),
                            out.slice(row * outBytes, count * outBytes),
                            count,
                            epilogue);
        }
    }

    /** Products, and a gate, in one call have the bits that they have one by one. */
    private void productsInOneCall() {
        record Size(int inFeatures, int first, int second) {}
        for (Size size : List.of(
                new Size(64, 64, 64),
                new Size(160, 384, 72),
                new Size(33, 50, 20),
                new Size(1024, 4096, 1024),
                new Size(544, 5120, 72),
                new Size(544, 6136, 72),
                new Size(544, 8192, 72),
                new Size(544, 12_288, 4104))) {
            Linear first = randomLinear(1, size.first(), size.inFeatures());
            Linear second = randomLinear(2, size.second(), size.inFeatures());
            for (int rows : new int[] {1, 7, 16, 33}) {
                String pair = "linearPair %d rows x (%d and %d, %d)"
                        .formatted(rows, size.first(), size.second(), size.inFeatures());
                attempt(pair, () -> linearPair(pair, first, second, rows));
                for (Activation activation : Activation.values()) {
                    String gated = "gatedLinear %s %d rows x (%d, %d)"
                            .formatted(activation, rows, size.first(), size.inFeatures());
                    attempt(gated, () -> gatedLinear(gated, first, activation, rows));
                }
            }
        }
    }

    private Linear randomLinear(long seed, int outFeatures, int inFeatures) {
        float scale = (float) Math.sqrt(3.0 / inFeatures);
        return tested.device()
                .linear(
                        "check",
                        List.of(new RandomTensor("weights", List.of(outFeatures, inFeatures), seed, 0, scale)),
                        List.of(new RandomTensor("bias", List.of(outFeatures), seed, 0, 1)));
    }

    private void linearPair(String name, Linear first, Linear second, int rows) {
        tested.clear();
        DeviceBuffer in = tested.elements(values(rows * first.inFeatures(), 1));
        DeviceBuffer expectedFirst = tested.elements((long) rows * first.outFeatures());
        DeviceBuffer expectedSecond = tested.elements((long) rows * second.outFeatures());
        tested.kernels().linear(tested.stream(), first, in, expectedFirst, rows, new Epilogue.Store());
        tested.kernels().linear(tested.stream(), second, in, expectedSecond, rows, new Epilogue.Store());
        DeviceBuffer firstOut = tested.elements((long) rows * first.outFeatures());
        DeviceBuffer secondOut = tested.elements((long) rows * second.outFeatures());
        tested.kernels().linearPair(tested.stream(), first, second, in, firstOut, secondOut, rows);
        sameBits(name + ", first", tested.read(expectedFirst), tested.read(firstOut));
        sameBits(name + ", second", tested.read(expectedSecond), tested.read(secondOut));
    }

    private void gatedLinear(String name, Linear weights, Activation activation, int rows) {
        int width = weights.outFeatures() / 2;
        tested.clear();
        DeviceBuffer in = tested.elements(values(rows * weights.inFeatures(), 1));
        DeviceBuffer gateUp = tested.elements((long) rows * weights.outFeatures());
        DeviceBuffer expected = tested.elements((long) rows * width);
        tested.kernels().linear(tested.stream(), weights, in, gateUp, rows, new Epilogue.Store());
        tested.kernels().gate(tested.stream(), activation, gateUp, expected, rows, width);
        DeviceBuffer out = tested.elements((long) rows * width);
        tested.kernels()
                .gatedLinear(
                        tested.stream(),
                        weights,
                        activation,
                        in,
                        tested.elements((long) rows * weights.outFeatures()),
                        out,
                        rows);
        sameBits(name, tested.read(expected), tested.read(out));
    }

    private static String describe(String suffix, Linear linear, Epilogue epilogue) {
        String after = epilogue instanceof Epilogue.Activate(Activation activation)
                ? activation.name()
                : epilogue.getClass().getSimpleName();
        return "(%d, %d) %s%s".formatted(linear.outFeatures(), linear.inFeatures(), after, suffix);
    }

    private void linear(String suffix, Linear expected, Linear actual, Epilogue epilogue, int rows) {
        float[] in = values(rows * actual.inFeatures(), 1);
        float[] before = values(rows * actual.outFeatures(), 1);
        // An activation that is a kernel of its own reads what was rounded once.
        double bound = 2 * epsilon() + actual.inFeatures() * SUM_EPSILON;
        compare("linear %d rows x %s".formatted(rows, describe(suffix, actual, epilogue)), bound, bench -> {
            DeviceBuffer out = bench.elements(before);
            Linear weights = bench == reference ? expected : actual;
            bench.kernels().linear(bench.stream(), weights, bench.elements(in), out, rows, epilogue);
            return bench.read(out);
        });
    }

    /** Each row of a batch, and each row alone, for the batches of up to so many rows. */
    private void linearBits(String suffix, Linear weights, Epilogue epilogue, int rowsMost) {
        int[] batches =
                Arrays.stream(BATCHES).filter(batch -> batch <= rowsMost).toArray();
        linearBits(suffix, weights, epilogue, batches);
    }

    private void linearBits(String suffix, Linear weights, Epilogue epilogue, int[] batches) {
        int rows = Arrays.stream(batches).max().orElseThrow();
        int k = weights.inFeatures();
        int n = weights.outFeatures();
        tested.clear();
        DeviceBuffer in = tested.elements(values(rows * k, 1));
        float[] before = values(rows * n, 1);
        DeviceBuffer alone = tested.elements(before);
        linearInBatches(weights, in, alone, epilogue, rows, 1);
        float[] expected = tested.read(alone);
        for (int batch : batches) {
            DeviceBuffer out = tested.elements(before);
            linearInBatches(weights, in, out, epilogue, rows, batch);
            sameBits(
                    "linear %s: %d rows at once, same bits as alone"
                            .formatted(describe(suffix, weights, epilogue), batch),
                    expected,
                    tested.read(out));
        }
    }

    private void attention() {
        int noWindow = Integer.MAX_VALUE;
        // With 20 heads for K and V, 33 sequences give every multiprocessor of a large GPU its share.
        List<AttentionShape> shapes = List.of(
                new AttentionShape(4, 4, 16, 0.25f, noWindow, 16, 64),
                new AttentionShape(4, 2, 32, 0.2f, noWindow, 16, 256),
                new AttentionShape(24, 24, 64, 0.125f, noWindow, 16, 64),
                new AttentionShape(8, 2, 128, 0.09f, noWindow, 16, 64),
                new AttentionShape(40, 20, 128, 0.09f, noWindow, 16, 64),
                new AttentionShape(20, 20, 128, 0.09f, 40, 32, 128),
                new AttentionShape(22, 22, 80, 0.11f, noWindow, 8, 48),
                new AttentionShape(2, 1, 96, 0.1f, noWindow, 1, 7),
                new AttentionShape(20, 1, 64, 0.125f, 100, 16, 96),
                new AttentionShape(2, 2, 20, 0.22f, noWindow, 4, 20),
                new AttentionShape(2, 1, 256, 0.06f, noWindow, 16, 64));
        long seed = 1;
        for (AttentionShape shape : shapes) {
            for (int sequences : sequenceCounts()) {
                attention("decode", shape, sequences, 1, seed++);
            }
            attention("prefill", shape, 1, 257, seed++);
            attention("prefill", shape, 3, 33, seed++);
            attention("pieces of prompts", shape, 5, 7, seed++);
            if (extent == Extent.ALL) {
                attention("pieces of many prompts", shape, 33, 7, seed++);
            }
        }
    }

    private void attention(String what, AttentionShape shape, int sequences, int rowsMost, long seed) {
        SplittableRandom lengths = new SplittableRandom(seed);
        int[] rows = new int[sequences];
        int[] tokens = new int[sequences];
        for (int i = 0; i < sequences; i++) {
            rows[i] = i == 0 ? rowsMost : 1 + lengths.nextInt(rowsMost);
            tokens[i] = rows[i] + (i == 0 ? 300 : lengths.nextInt(200));
        }
        AttentionCase attention = new AttentionCase(shape, tokens, rows, seed, value -> Workbench.round(type, value));
        String name = "%s, %d sequences, %d rows, %d/%d heads of %d, cell %d%s"
                .formatted(
                        what,
                        sequences,
                        attention.rows(),
                        shape.heads(),
                        shape.keyValueHeads(),
                        shape.headSize(),
                        shape.cellTokens(),
                        shape.window() == Integer.MAX_VALUE ? "" : ", window " + shape.window());
        attempt("attend " + name, () -> attention(name, attention));
    }

    private int[] sequenceCounts() {
        return switch (extent) {
            case ALL -> new int[] {1, 7, 33};
            case SMALL -> new int[] {7};
        };
    }

    private List<Division> divisions() {
        return switch (extent) {
            case ALL -> List.of(Division.CALL_PER_CELL, Division.SPAN_PER_ROW, Division.CALL_PER_SEQUENCE);
            case SMALL -> List.of(Division.SPAN_PER_ROW);
        };
    }

    private void attention(String name, AttentionCase attention) {
        float[] whole = attention.run(tested, Division.WHOLE);
        double bound = 4 * epsilon() + 500 * SUM_EPSILON;
        results.accept(new Result("attend " + name, error(attention.run(reference, Division.WHOLE), whole), bound));
        for (Division division : divisions()) {
            sameBits(
                    "attend " + name + ", " + division.name().toLowerCase(Locale.ROOT),
                    whole,
                    attention.run(tested, division));
        }
    }
}
