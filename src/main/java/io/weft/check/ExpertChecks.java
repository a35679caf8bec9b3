package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.Epilogue;
import io.weft.device.ExpertChoices;
import io.weft.device.ExpertRouting;
import io.weft.device.ExpertRouting.Weights;
import io.weft.device.ExpertWeights;
import io.weft.device.Experts;
import io.weft.device.Gating;
import io.weft.device.Graph;
import io.weft.device.QuantisedTensor;
import io.weft.device.RandomCodes;
import io.weft.device.RandomTensor;
import io.weft.device.StridedView;
import io.weft.device.Tensor;
import io.weft.device.TensorView;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Checks mixtures of experts: routing, with many equal logits, and the experts' outputs, against their formulas; and
 * that a row's bits depend neither on the number of rows nor on who else chose its experts.
 */
final class ExpertChecks {
    private static final int[] ROWS = {1, 2, 17, 100};
    private static final int[] SMALL_ROWS = {2, 17};

    /** The rows of batches in which each row must have the same bits as alone. */
    private static final int[] BATCHES = {2, 16, 17, 100, 130};

    private static final int[] SMALL_BATCHES = {17};
    private static final int[] AWKWARD_BATCHES = {2, 17, 65};

    private static final int GRAPH_ROWS = 20;

    /** Columns that share a scale: the least that kernels read, more, a whole row. */
    private static final int[] GROUP_COLUMNS = {32, 64, 1024};

    private final CheckBench bench;
    private final Workbench tested;

    ExpertChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    private record Size(int experts, int chosen, int width, int innerWidth) {
        @Override
        public String toString() {
            return "%d of %d experts of %d by %d".formatted(chosen, experts, width, innerWidth);
        }
    }

    /** Weights on the device, and their source. */
    private record Layer(Size size, Experts experts, List<ExpertReference> formulas) {}

    private static List<Size> sizes() {
        return List.of(
                new Size(1, 1, 40, 24),
                new Size(8, 2, 64, 48),
                new Size(4, 2, 64, 176),
                new Size(6, 6, 16, 40),
                new Size(5, 3, 13, 7),
                new Size(33, 4, 72, 100));
    }

    /** Of real models, with fewer experts; not against the formula. */
    private static List<Size> largeSizes() {
        return List.of(new Size(32, 8, 2048, 768), new Size(4, 4, 2880, 2880), new Size(4, 2, 4096, 1792));
    }

    void run() {
        routes();
        shared();
        try (Arena arena = Arena.ofShared()) {
            List<Gating> gatings = List.of(
                    new Gating.Activated(Activation.SILU),
                    new Gating.Activated(Activation.GELU_TANH),
                    new Gating.ClampedSwiGlu(1.5f, 1.702f));
            for (int i = 0; i < sizes().size(); i++) {
                Layer layer = layer(arena, sizes().get(i), i % 2 == 1);
                for (Gating gating : gatings) {
                    experts(layer, gating);
                }
                sameBits("experts, " + layer.size(), layer.size(), layer.experts(), gatings.get(i % gatings.size()));
            }
            strides(arena);
            quantised(arena);
        }
        switch (bench.extent()) {
            case ALL ->
                largeSizes().forEach(size -> {
                    Experts experts = random(size);
                    sameBits("experts, " + size, size, experts, new Gating.Activated(Activation.SILU));
                });
            case BRIEF, AWKWARD, SMALL -> {}
        }
        bench.attempt("graph of routing and experts", this::graph);
    }

    private int[] rowCounts() {
        return switch (bench.extent()) {
            case ALL, AWKWARD -> ROWS;
            case BRIEF, SMALL -> SMALL_ROWS;
        };
    }

    private int[] batches() {
        return switch (bench.extent()) {
            case ALL -> BATCHES;
            case BRIEF, AWKWARD -> AWKWARD_BATCHES;
            case SMALL -> SMALL_BATCHES;
        };
    }

    private void routes() {
        List<ExpertRouting> routings = new ArrayList<>();
        for (Weights weights : Weights.values()) {
            routings.add(new ExpertRouting(1, 1, weights));
            routings.add(new ExpertRouting(8, 2, weights));
            routings.add(new ExpertRouting(33, 33, weights));
            routings.add(new ExpertRouting(60, 4, weights));
            routings.add(new ExpertRouting(128, 8, weights));
            routings.add(new ExpertRouting(1024, 10, weights));
        }
        for (ExpertRouting routing : routings) {
            for (int rows : rowCounts()) {
                String name = "route %d rows to %d of %d, %s"
                        .formatted(rows, routing.chosen(), routing.experts(), routing.weights());
                bench.attempt(name, () -> route(name, routing, rows));
            }
        }
    }

    private void route(String name, ExpertRouting routing, int rows) {
        int experts = routing.experts();
        float[] logits = bench.values(rows * experts, 6);
        for (int i = 0; i < logits.length; i++) {
            // Every other row has many equal logits, and zeros of both signs.
            logits[i] = i / experts % 2 == 0 ? Math.round(logits[i] / 2) : logits[i];
        }
        tested.clear();
        ExpertChoices choices = choices(routing.chosen(), rows);
        tested.kernels().route(tested.stream(), routing, tested.elements(logits), choices, rows);
        int[] ids = tested.readInts(choices.ids());
        bench.sameNumbers(name + ", ids", ExpertReference.ids(routing, logits), ids);
        bench.within(
                name + ", weights",
                RoundingErrors.sum(experts + 1) + 2 * RoundingErrors.FUNCTION,
                ExpertReference.weights(routing, logits, ids),
                tested.readFloats(choices.weights()),
                ElementType.F32);
        for (int i = 0; i < logits.length; i++) {
            logits[i] = i % 7 == 3 ? Float.NaN : i % 11 == 5 ? Float.NEGATIVE_INFINITY : logits[i];
        }
        tested.kernels().route(tested.stream(), routing, tested.elements(logits), choices, rows);
        bench.sameNumbers(
                name + ", ids with NaN", ExpertReference.ids(routing, logits), tested.readInts(choices.ids()));
    }

    private ExpertChoices choices(int chosen, int rows) {
        long bytes = (long) rows * chosen * Float.BYTES;
        return new ExpertChoices(chosen, tested.poisoned(bytes), tested.poisoned(bytes));
    }

    private void shared() {
        for (int width : new int[] {64, 101}) {
            for (int rows : rowCounts()) {
                String name = "addGated %d x %d".formatted(rows, width);
                bench.attempt(name, () -> {
                    float[] logits = bench.values(rows, 5);
                    float[] values = bench.values(rows * width, 2);
                    float[] before = bench.values(rows * width, 1);
                    tested.clear();
                    DeviceBuffer out = tested.elements(before);
                    tested.kernels()
                            .addGated(
                                    tested.stream(),
                                    tested.elements(logits),
                                    tested.elements(values),
                                    out,
                                    rows,
                                    width);
                    bench.within(
                            name,
                            RoundingErrors.stored(bench.type()) + RoundingErrors.FUNCTION,
                            ExpertReference.addedGated(logits, values, before),
                            tested.read(out));
                });
            }
        }
    }

    private Layer layer(Arena arena, Size size, boolean biased) {
        int width = size.width();
        int innerWidth = size.innerWidth();
        List<ExpertWeights> weights = new ArrayList<>();
        List<ExpertReference> formulas = new ArrayList<>();
        for (int expert = 0; expert < size.experts(); expert++) {
            float[] gateUp = bench.values(2 * innerWidth * width, 3 / Math.sqrt(width));
            float[] down = bench.values(width * innerWidth, 2 / Math.sqrt(innerWidth));
            float[] gateUpBias = bench.values(2 * innerWidth, biased ? 1 : 0);
            float[] downBias = bench.values(width, biased ? 1 : 0);
            int cut = innerWidth * width;
            List<Tensor> gateUpParts = List.of(
                    bench.tensor(arena, "gate", List.of(innerWidth, width), Arrays.copyOf(gateUp, cut)),
                    bench.tensor(arena, "up", List.of(innerWidth, width), Arrays.copyOfRange(gateUp, cut, 2 * cut)));
            List<Tensor> downParts = List.of(bench.tensor(arena, "down", List.of(width, innerWidth), down));
            weights.add(
                    biased
                            ? new ExpertWeights(
                                    gateUpParts,
                                    List.of(bench.tensor(arena, "bias", List.of(2 * innerWidth), gateUpBias)),
                                    downParts,
                                    List.of(bench.tensor(arena, "bias", List.of(width), downBias)))
                            : new ExpertWeights(gateUpParts, downParts));
            formulas.add(new ExpertReference(gateUp, gateUpBias, down, downBias));
        }
        return new Layer(size, bench.device().experts("check", weights), formulas);
    }

    private Experts random(Size size) {
        List<ExpertWeights> weights = new ArrayList<>();
        for (int expert = 0; expert < size.experts(); expert++) {
            int width = size.width();
            int innerWidth = size.innerWidth();
            long seed = (2L * expert) << Integer.SIZE;
            float gateUpScale = (float) Math.sqrt(3.0 / width);
            float downScale = (float) Math.sqrt(3.0 / innerWidth);
            weights.add(new ExpertWeights(
                    List.of(new RandomTensor("gate up", List.of(2 * innerWidth, width), seed, 0, gateUpScale)),
                    List.of(new RandomTensor("bias", List.of(2 * innerWidth), seed, 0, 1)),
                    List.of(new RandomTensor("down", List.of(width, innerWidth), seed + (1L << 32), 0, downScale)),
                    List.of(new RandomTensor("bias", List.of(width), seed, 0, 1))));
        }
        return bench.device().experts("check", weights);
    }

    /** Distinct experts for each row. Of more than three, some are not chosen, and one is chosen by many rows. */
    private int[] ids(Size size, int rows) {
        int[] ids = new int[rows * size.chosen()];
        int most = Math.max(size.chosen(), size.experts() - size.experts() / 4);
        for (int row = 0; row < rows; row++) {
            int[] order = bench.permutation(most);
            int popular = most - 1;
            if (row % 3 == 0) {
                int at = 0;
                while (order[at] != popular) {
                    at++;
                }
                order[at] = order[0];
                order[0] = popular;
            }
            System.arraycopy(order, 0, ids, row * size.chosen(), size.chosen());
        }
        return ids;
    }

    private float[] weights(int count) {
        float[] weights = new float[count];
        for (int i = 0; i < count; i++) {
            weights[i] = bench.random().nextFloat();
        }
        return weights;
    }

    private void experts(Layer layer, Gating gating) {
        for (int rows : rowCounts()) {
            for (Epilogue epilogue : List.of(new Epilogue.Store(), new Epilogue.AddToOutput())) {
                String name = "experts %d rows to %s, %s, %s"
                        .formatted(
                                rows,
                                layer.size(),
                                describe(gating),
                                epilogue.getClass().getSimpleName());
                bench.attempt(name, () -> againstFormula(name, layer, gating, epilogue, rows));
            }
        }
    }

    private static String describe(Gating gating) {
        return switch (gating) {
            case Gating.Activated(Activation activation) -> activation.name();
            case Gating.ClampedSwiGlu clamped -> "clamped";
        };
    }

    private void againstFormula(String name, Layer layer, Gating gating, Epilogue epilogue, int rows) {
        Size size = layer.size();
        int[] ids = ids(size, rows);
        float[] weights = weights(ids.length);
        float[] in = bench.values(rows * size.width(), 1);
        float[] before = bench.values(in.length, 1);
        tested.clear();
        DeviceBuffer out = tested.elements(before);
        ExpertChoices choices = choices(size.chosen(), ids, weights);
        DeviceBuffer scratch = tested.poisoned(layer.experts().scratchBytes(rows, size.chosen()));
        tested.kernels()
                .experts(
                        tested.stream(),
                        layer.experts(),
                        gating,
                        tested.elements(in),
                        choices,
                        scratch,
                        out,
                        rows,
                        epilogue);
        float[] added = epilogue instanceof Epilogue.AddToOutput ? before : new float[before.length];
        Expected expected = ExpertReference.experts(layer.formulas(), gating, in, size.chosen(), ids, weights);
        double bound = 2 * RoundingErrors.stored(bench.type())
                + RoundingErrors.sum(size.width() + 1)
                + RoundingErrors.sum(size.innerWidth() + 1)
                + RoundingErrors.sum(size.chosen() + 1)
                + RoundingErrors.FUNCTION;
        bench.within(name, bound, Reference.added(added, expected), tested.read(out));
    }

    private ExpertChoices choices(int chosen, int[] ids, float[] weights) {
        return new ExpertChoices(chosen, tested.ints(ids), tested.bytes(MemorySegment.ofArray(weights)));
    }

    /** Each row of a batch and each row alone; all rows with too little scratch memory; all rows with one expert. */
    private void sameBits(String what, Size size, Experts experts, Gating gating) {
        bench.attempt(what + ": same bits", () -> {
            int rows = Arrays.stream(batches()).max().orElseThrow();
            int[] ids = ids(size, rows);
            tested.clear();
            DeviceBuffer in = tested.elements(bench.values(rows * size.width(), 1));
            float[] before = bench.values(rows * size.width(), 1);
            ExpertChoices choices = choices(size.chosen(), ids, weights(ids.length));
            DeviceBuffer scratch = tested.poisoned(experts.scratchBytes(rows, size.chosen()));
            DeviceBuffer little = scratch.slice(0, experts.scratchBytes(rows / 3, size.chosen()));
            DeviceBuffer alone = tested.elements(before);
            inBatches(experts, gating, in, choices, scratch, alone, rows, 1);
            float[] expected = tested.read(alone);
            for (int batch : batches()) {
                DeviceBuffer out = tested.elements(before);
                inBatches(experts, gating, in, choices, scratch, out, rows, batch);
                bench.sameBits(
                        what + ": %d rows at once, same bits as alone".formatted(batch), expected, tested.read(out));
            }
            DeviceBuffer out = tested.elements(before);
            inBatches(experts, gating, in, choices, little, out, rows, rows);
            bench.sameBits(what + ": same bits with little scratch memory", expected, tested.read(out));

            int[] popular = new int[ids.length];
            for (int i = 0; i < ids.length; i++) {
                popular[i] = i % size.chosen();
            }
            ExpertChoices together = choices(size.chosen(), popular, weights(ids.length));
            alone = tested.elements(before);
            inBatches(experts, gating, in, together, scratch, alone, rows, 1);
            out = tested.elements(before);
            inBatches(experts, gating, in, together, scratch, out, rows, rows);
            bench.sameBits(what + ": same bits where all choose the same", tested.read(alone), tested.read(out));
        });
    }

    private void inBatches(
            Experts experts,
            Gating gating,
            DeviceBuffer in,
            ExpertChoices choices,
            DeviceBuffer scratch,
            DeviceBuffer out,
            int rows,
            int batch) {
        long rowBytes = (long) experts.shape().width() * tested.elementBytes();
        long choiceBytes = (long) choices.perRow() * Float.BYTES;
        for (int row = 0; row < rows; row += batch) {
            int count = Math.min(batch, rows - row);
            tested.kernels()
                    .experts(
                            tested.stream(),
                            experts,
                            gating,
                            in.slice(row * rowBytes, count * rowBytes),
                            new ExpertChoices(
                                    choices.perRow(),
                                    choices.ids().slice(row * choiceBytes, count * choiceBytes),
                                    choices.weights().slice(row * choiceBytes, count * choiceBytes)),
                            scratch,
                            out.slice(row * rowBytes, count * rowBytes),
                            count,
                            new Epilogue.AddToOutput());
        }
    }

    /** Matrices that a file has transposed, with gates and values in turn, of any element type of files. */
    private void strides(Arena arena) {
        int width = 48;
        int innerWidth = 32;
        for (ElementType type : ElementType.values()) {
            String name = "experts stored transposed and interleaved in " + type;
            bench.attempt(name, () -> {
                TensorView gateUp = view(arena, type, List.of(2, width, 2 * innerWidth));
                TensorView gateUpBias = view(arena, type, List.of(2, 2 * innerWidth));
                TensorView down = view(arena, type, List.of(2, innerWidth, width));
                TensorView downBias = view(arena, type, List.of(2, width));
                List<ExpertWeights> weights = new ArrayList<>();
                List<ExpertReference> formulas = new ArrayList<>();
                for (int expert = 0; expert < 2; expert++) {
                    TensorView pairs = gateUp.at(expert);
                    TensorView pairsBias = gateUpBias.at(expert);
                    ExpertWeights ofOne = new ExpertWeights(
                            List.of(StridedView.ofColumns(pairs, 0, 2), StridedView.ofColumns(pairs, 1, 2)),
                            List.of(StridedView.ofRows(pairsBias, 0, 2), StridedView.ofRows(pairsBias, 1, 2)),
                            List.of(StridedView.ofColumns(down.at(expert), 0, 1)),
                            List.of(downBias.at(expert)));
                    weights.add(ofOne);
                    float[] gateUpRows = new float[2 * innerWidth * width];
                    float[] gateUpBiases = new float[2 * innerWidth];
                    float[] downRows = new float[width * innerWidth];
                    for (int j = 0; j < 2 * innerWidth; j++) {
                        int stored = j < innerWidth ? 2 * j : 2 * (j - innerWidth) + 1;
                        gateUpBiases[j] = rounded(pairsBias, stored);
                        for (int i = 0; i < width; i++) {
                            gateUpRows[j * width + i] = rounded(pairs, (long) i * 2 * innerWidth + stored);
                        }
                    }
                    for (int i = 0; i < width * innerWidth; i++) {
                        long stored = (long) (i % innerWidth) * width + i / innerWidth;
                        downRows[i] = rounded(down.at(expert), stored);
                    }
                    formulas.add(new ExpertReference(
                            gateUpRows, gateUpBiases, downRows, bench.elements(downBias.at(expert))));
                }
                Size size = new Size(2, 1, width, innerWidth);
                Layer layer = new Layer(size, bench.device().experts("check", weights), formulas);
                againstFormula(name, layer, new Gating.ClampedSwiGlu(7, 1.702f), new Epilogue.Store(), 3);
            });
        }
    }

    /** Weights of every code: against the formula, and with the bits of the elements that they stand for. */
    private void quantised(Arena arena) {
        List<Size> sizes = new ArrayList<>(List.of(
                new Size(3, 2, 64, 48), new Size(4, 2, 128, 200), new Size(2, 1, 320, 64), new Size(3, 2, 13, 7)));
        switch (bench.extent()) {
            case ALL -> sizes.add(new Size(16, 4, 576, 352));
            case BRIEF, AWKWARD, SMALL -> {}
        }
        for (WeightCode code : WeightCode.values()) {
            for (int i = 0; i < sizes.size(); i++) {
                WeightEncoding encoding = new WeightEncoding(
                        code,
                        GROUP_COLUMNS[i % GROUP_COLUMNS.length],
                        WeightEncoding.Zero.MIDDLE,
                        i % 2 == 0 ? ElementType.BF16 : ElementType.F16);
                Size size = sizes.get(i);
                bench.attempt(
                        "experts in %s, %s".formatted(encoding.label(), size), () -> quantised(arena, size, encoding));
            }
        }
    }

    private void quantised(Arena arena, Size size, WeightEncoding encoding) {
        int width = size.width();
        int innerWidth = size.innerWidth();
        List<ExpertWeights> stored = new ArrayList<>();
        List<ExpertWeights> made = new ArrayList<>();
        List<ExpertReference> formulas = new ArrayList<>();
        for (int expert = 0; expert < size.experts(); expert++) {
            QuantisedTensor gateUp = RandomCodes.tensor(
                    "codes", 2 * innerWidth, width, encoding, (2L * expert) << Integer.SIZE, 1 / Math.sqrt(width));
            QuantisedTensor down = RandomCodes.tensor(
                    "codes", width, innerWidth, encoding, (2L * expert + 1) << Integer.SIZE, 1 / Math.sqrt(innerWidth));
            // Every other expert has gates and values in turn.
            List<QuantisedTensor> gateUpParts =
                    expert % 2 == 0 ? List.of(gateUp) : List.of(gateUp.rowsApart(0, 2), gateUp.rowsApart(1, 2));
            stored.add(new ExpertWeights(gateUpParts, List.of(down)));
            float[] gateUpElements = elements(gateUpParts);
            float[] downElements = elements(List.of(down));
            made.add(new ExpertWeights(
                    List.of(bench.tensor(arena, "elements", List.of(2 * innerWidth, width), gateUpElements)),
                    List.of(bench.tensor(arena, "elements", List.of(width, innerWidth), downElements))));
            formulas.add(
                    new ExpertReference(gateUpElements, new float[2 * innerWidth], downElements, new float[width]));
        }
        Experts codes = bench.device().experts("check", stored);
        Experts elements = bench.device().experts("check", made);
        String name = "experts in %s, %s".formatted(encoding.label(), size);
        Gating gating = new Gating.Activated(Activation.SILU);
        for (int rows : rowCounts()) {
            Layer layer = new Layer(size, codes, formulas);
            againstFormula("%s, %d rows".formatted(name, rows), layer, gating, new Epilogue.AddToOutput(), rows);
            int[] ids = ids(size, rows);
            tested.clear();
            DeviceBuffer in = tested.elements(bench.values(rows * width, 1));
            float[] before = bench.values(rows * width, 1);
            ExpertChoices choices = choices(size.chosen(), ids, weights(ids.length));
            DeviceBuffer scratch = tested.poisoned(codes.scratchBytes(rows, size.chosen()));
            DeviceBuffer expected = tested.elements(before);
            DeviceBuffer actual = tested.elements(before);
            inBatches(elements, gating, in, choices, scratch, expected, rows, rows);
            inBatches(codes, gating, in, choices, scratch, actual, rows, rows);
            bench.sameBits(
                    "%s, %d rows, same bits as with elements".formatted(name, rows),
                    tested.read(expected),
                    tested.read(actual));
        }
        sameBits(name, size, codes, gating);
    }

    /** The elements that a device makes of codes. */
    private float[] elements(List<QuantisedTensor> parts) {
        List<float[]> ofParts = new ArrayList<>();
        for (QuantisedTensor part : parts) {
            float[] values = new float[Math.toIntExact(part.elements())];
            part.dequantise(0, part.rows(), MemorySegment.ofArray(values));
            ofParts.add(values);
        }
        float[] all =
                new float[ofParts.stream().mapToInt(values -> values.length).sum()];
        int at = 0;
        for (float[] values : ofParts) {
            for (float value : values) {
                all[at++] = Workbench.round(bench.type(), value);
            }
        }
        return all;
    }

    private float rounded(Tensor tensor, long index) {
        return Workbench.round(bench.type(), tensor.element(index));
    }

    private TensorView view(Arena arena, ElementType type, List<Integer> shape) {
        int count = shape.stream().reduce(1, (a, b) -> a * b);
        return (TensorView) CheckBench.tensor(arena, "stored", type, shape, bench.values(count, 0.5));
    }

    /** The rows' experts change from launch to launch. */
    private void graph() {
        Size size = new Size(8, 2, 64, 48);
        Experts experts = random(size);
        ExpertRouting routing = new ExpertRouting(size.experts(), size.chosen(), Weights.SOFTMAX_OF_CHOSEN);
        for (int rows : new int[] {1, GRAPH_ROWS}) {
            String name = "graph of routing and experts, %d rows".formatted(rows);
            tested.clear();
            float[] first = bench.values(rows * size.experts(), 3);
            float[] second = bench.values(rows * size.experts(), 3);
            DeviceBuffer logits = tested.elements(first);
            DeviceBuffer in = tested.elements(bench.values(rows * size.width(), 1));
            DeviceBuffer out = tested.elements((long) rows * size.width());
            DeviceBuffer scratch = tested.poisoned(experts.scratchBytes(rows, size.chosen()));
            ExpertChoices choices = choices(size.chosen(), rows);
            Runnable operations = () -> {
                tested.kernels().route(tested.stream(), routing, logits, choices, rows);
                tested.kernels()
                        .experts(
                                tested.stream(),
                                experts,
                                new Gating.Activated(Activation.SILU),
                                in,
                                choices,
                                scratch,
                                out,
                                rows,
                                new Epilogue.Store());
            };
            operations.run();
            float[] expectedFirst = tested.read(out);
            tested.write(logits, second);
            operations.run();
            float[] expectedSecond = tested.read(out);
            Optional<Graph> captured = bench.device().capture(tested.stream(), operations);
            bench.holds(name + " is captured", captured.isPresent());
            captured.ifPresent(graph -> {
                tested.write(logits, first);
                graph.launch(tested.stream());
                bench.sameBits(name, expectedFirst, tested.read(out));
                tested.write(logits, second);
                graph.launch(tested.stream());
                bench.sameBits(name + ", other experts", expectedSecond, tested.read(out));
                graph.close();
            });
        }
    }
}
