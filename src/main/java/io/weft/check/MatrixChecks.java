package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.DeviceBuffer;
import io.weft.device.Epilogue;
import io.weft.device.Linear;
import io.weft.device.RandomTensor;
import io.weft.device.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Checks matrix products and the operations after them: against their formulas, and that their bits do not depend on
 * the number of rows.
 */
final class MatrixChecks {
    /** The rows of batches in which each row must have the same bits as alone. */
    private static final int[] BATCHES = {7, 16, 33, 64, 65, 257};

    /** Tiles of 4 and 6 rows, with remainders. */
    private static final int[] AWKWARD_BATCHES = {4, 6, 10, 13, 25};

    private static final int LARGE_FEATURES = 1024;

    /** Columns that a GPU spreads over its multiprocessors in different ways. */
    private static final int[] WIDTHS = {1032, 5120, 6136, 8192, 12_288, 16_392};

    /** No multiple of the elements that a kernel fetches at a time. */
    private static final int WIDTHS_IN_FEATURES = 1568;

    private static final int[] WIDTHS_ROWS = {3, 16, 17, 31, 32};

    /** Numbers of rows as in recomputation, slightly above those that fill a GPU evenly. */
    private static final int[] MANY_ROWS = {528, 1040, 2064};

    private static final int MANY_ROWS_FEATURES = 2048;
    private static final int PIECE_ROWS = 16;
    private static final int[] LARGE_BATCHES = {7, 16, 33, 64, 65};

    private static final List<Epilogue> EPILOGUES = Stream.<Epilogue>concat(
                    Stream.of(new Epilogue.Store(), new Epilogue.AddToOutput()),
                    Arrays.stream(Activation.values()).<Epilogue>map(Epilogue.Activate::new))
            .toList();

    private final CheckBench bench;
    private final Workbench tested;

    MatrixChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    void run() {
        products();
        switch (bench.extent()) {
            case ALL -> {
                largeProducts();
                widths();
                manyRows();
            }
            case BRIEF, AWKWARD, SMALL -> {}
        }
        productsInOneCall();
    }

    /** Weights on the device, and their source. */
    private record Matrix(Linear linear, Tensor weights, Tensor bias) {}

    private record Size(int outFeatures, int inFeatures) {}

    private List<Size> sizes() {
        return switch (bench.extent()) {
            case ALL, BRIEF, SMALL ->
                List.of(
                        new Size(64, 64),
                        new Size(50, 100),
                        new Size(384, 160),
                        new Size(257, 33),
                        new Size(512, 1024));
            case AWKWARD ->
                List.of(new Size(8, 6), new Size(13, 1), new Size(50, 100), new Size(257, 33), new Size(384, 160));
        };
    }

    private void products() {
        try (Arena arena = Arena.ofShared()) {
            for (Size size : sizes()) {
                int n = size.outFeatures();
                int k = size.inFeatures();
                int cut = n / 3;
                float[] weights = bench.values(n * k, 1 / Math.sqrt(k));
                float[] bias = bench.values(n, 1);
                List<Tensor> parts = List.of(
                        bench.tensor(arena, "first", List.of(cut, k), Arrays.copyOf(weights, cut * k)),
                        bench.tensor(arena, "rest", List.of(n - cut, k), Arrays.copyOfRange(weights, cut * k, n * k)));
                Tensor biasTensor = bench.tensor(arena, "bias", List.of(n), bias);
                products("", bench.device().linear("check", parts, List.of()), weights, new float[n]);
                products(", bias", bench.device().linear("check", parts, List.of(biasTensor)), weights, bias);
            }
        }
    }

    private void products(String suffix, Linear linear, float[] weights, float[] bias) {
        int rowsMost = Arrays.stream(bench.rowCounts()).max().orElseThrow();
        float[] in = bench.values(rowsMost * linear.inFeatures(), 1);
        Expected product = Reference.product(in, weights, bias);
        for (Epilogue epilogue : EPILOGUES) {
            for (int rows : bench.rowCounts()) {
                String name = "linear %d rows x %s".formatted(rows, describe(suffix, linear, epilogue));
                bench.attempt(name, () -> product(name, linear, epilogue, rows, in, product));
            }
            switch (bench.extent()) {
                case ALL -> sameBitsInBatches(suffix, linear, epilogue, BATCHES);
                case BRIEF -> sameBitsInBatches(suffix, linear, epilogue, LARGE_BATCHES);
                case AWKWARD -> sameBitsInBatches(suffix, linear, epilogue, AWKWARD_BATCHES);
                case SMALL -> {}
            }
        }
    }

    private void product(String name, Linear linear, Epilogue epilogue, int rows, float[] in, Expected product) {
        float[] before = bench.values(rows * linear.outFeatures(), 1);
        tested.clear();
        DeviceBuffer out = tested.elements(before);
        DeviceBuffer from = tested.elements(Arrays.copyOf(in, rows * linear.inFeatures()));
        tested.kernels().linear(tested.stream(), linear, from, out, rows, epilogue);
        Expected expected = switch (epilogue) {
            case Epilogue.Store store -> Reference.added(new float[before.length], product);
            case Epilogue.AddToOutput add -> Reference.added(before, product);
            case Epilogue.Activate(Activation activation) -> Reference.activated(activation, product, before.length);
        };
        bench.within(name, bound(linear), expected, tested.read(out));
    }

    /** The operation after a product may be a kernel of its own, and then reads rounded values. */
    private double bound(Linear linear) {
        return 2 * RoundingErrors.stored(bench.type())
                + RoundingErrors.sum(linear.inFeatures() + 1)
                + RoundingErrors.FUNCTION;
    }

    /** Sizes of real models, for which a device may choose other kernels. */
    private void largeProducts() {
        for (int inFeatures : new int[] {4096, 11_008}) {
            Linear weights = bench.device()
                    .linear(
                            "check",
                            List.of(new RandomTensor("weights", List.of(LARGE_FEATURES, inFeatures), 1, 0, 0.05f)),
                            List.of(new RandomTensor("bias", List.of(LARGE_FEATURES), 2, 0, 1)));
            for (Epilogue epilogue :
                    List.of(new Epilogue.Store(), new Epilogue.AddToOutput(), new Epilogue.Activate(Activation.RELU))) {
                sameBitsInBatches(", bias", weights, epilogue, LARGE_BATCHES);
            }
        }
    }

    /** Outputs of any width, for all numbers of rows that count as few. */
    private void widths() {
        for (int outFeatures : WIDTHS) {
            Linear weights =
                    random(outFeatures, outFeatures, WIDTHS_IN_FEATURES).linear();
            for (Epilogue epilogue : List.of(new Epilogue.Store(), new Epilogue.AddToOutput())) {
                sameBitsInBatches(", bias", weights, epilogue, WIDTHS_ROWS);
            }
        }
    }

    /** Rows have the same bits at once and in pieces. */
    private void manyRows() {
        int k = 4096;
        RandomTensor matrix = new RandomTensor("weights", List.of(MANY_ROWS_FEATURES, k), 1, 0, 0.05f);
        Linear plain = bench.device().linear("check", List.of(matrix), List.of());
        Linear biased = bench.device()
                .linear(
                        "check",
                        List.of(matrix),
                        List.of(new RandomTensor("bias", List.of(MANY_ROWS_FEATURES), 2, 0, 1)));
        for (int rows : MANY_ROWS) {
            sameBitsInPieces("", plain, new Epilogue.Store(), rows);
            sameBitsInPieces(", bias", biased, new Epilogue.Activate(Activation.RELU), rows);
        }
    }

    private void sameBitsInPieces(String suffix, Linear weights, Epilogue epilogue, int rows) {
        String name = "linear %s: %d rows at once, same bits as in pieces of %d"
                .formatted(describe(suffix, weights, epilogue), rows, PIECE_ROWS);
        bench.attempt(name, () -> {
            tested.clear();
            DeviceBuffer in = tested.elements(bench.values(rows * weights.inFeatures(), 1));
            long outBytes = (long) rows * weights.outFeatures() * tested.elementBytes();
            DeviceBuffer together = tested.poisoned(outBytes);
            DeviceBuffer pieces = tested.poisoned(outBytes);
            inBatches(weights, in, together, epilogue, rows, rows);
            inBatches(weights, in, pieces, epilogue, rows, PIECE_ROWS);
            bench.sameBits(name, tested.read(pieces), tested.read(together));
        });
    }

    private void inBatches(Linear weights, DeviceBuffer in, DeviceBuffer out, Epilogue epilogue, int rows, int batch) {
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

    /** Each row of a batch, and each row alone. */
    private void sameBitsInBatches(String suffix, Linear weights, Epilogue epilogue, int[] batches) {
        String what = "linear " + describe(suffix, weights, epilogue);
        bench.attempt(what + ": same bits", () -> {
            int rows = Arrays.stream(batches).max().orElseThrow();
            tested.clear();
            DeviceBuffer in = tested.elements(bench.values(rows * weights.inFeatures(), 1));
            float[] before = bench.values(rows * weights.outFeatures(), 1);
            DeviceBuffer alone = tested.elements(before);
            inBatches(weights, in, alone, epilogue, rows, 1);
            float[] expected = tested.read(alone);
            for (int batch : batches) {
                DeviceBuffer out = tested.elements(before);
                inBatches(weights, in, out, epilogue, rows, batch);
                bench.sameBits(
                        "%s: %d rows at once, same bits as alone".formatted(what, batch), expected, tested.read(out));
            }
        });
    }

    private static String describe(String suffix, Linear linear, Epilogue epilogue) {
        String after = epilogue instanceof Epilogue.Activate(Activation activation)
                ? activation.name()
                : epilogue.getClass().getSimpleName();
        return "(%d, %d) %s%s".formatted(linear.outFeatures(), linear.inFeatures(), after, suffix);
    }

    private record PairSize(int inFeatures, int first, int second) {}

    /** Of products in one call; small ones are held against the formula too. */
    private static final List<PairSize> SMALL_PAIRS =
            List.of(new PairSize(64, 64, 64), new PairSize(160, 384, 72), new PairSize(33, 50, 20));

    private static final List<PairSize> LARGE_PAIRS = List.of(
            new PairSize(1024, 4096, 1024),
            new PairSize(544, 5120, 72),
            new PairSize(544, 6136, 72),
            new PairSize(544, 8192, 72),
            new PairSize(544, 12_288, 4104));

    private static final int[] PAIR_ROWS = {1, 7, 16, 33};

    /** Products and a gate have the same bits in one call and one by one. */
    private void productsInOneCall() {
        for (PairSize size : SMALL_PAIRS) {
            Matrix first = random(1, size.first(), size.inFeatures());
            pairsAndGates(size, first.linear());
            for (int rows : PAIR_ROWS) {
                for (Activation activation : Activation.values()) {
                    String name = "gatedLinear %s %d rows x (%d, %d), against the formula"
                            .formatted(activation, rows, size.first(), size.inFeatures());
                    bench.attempt(name, () -> gatedByFormula(name, first, activation, rows));
                }
            }
        }
        switch (bench.extent()) {
            case ALL, SMALL ->
                LARGE_PAIRS.forEach(size -> pairsAndGates(
                        size, random(1, size.first(), size.inFeatures()).linear()));
            case BRIEF, AWKWARD -> {}
        }
    }

    private void pairsAndGates(PairSize size, Linear first) {
        Linear second = random(2, size.second(), size.inFeatures()).linear();
        for (int rows : PAIR_ROWS) {
            String pair = "linearPair %d rows x (%d and %d, %d)"
                    .formatted(rows, size.first(), size.second(), size.inFeatures());
            bench.attempt(pair, () -> pair(pair, first, second, rows));
            for (Activation activation : Activation.values()) {
                String gated = "gatedLinear %s %d rows x (%d, %d)"
                        .formatted(activation, rows, size.first(), size.inFeatures());
                bench.attempt(gated, () -> gated(gated, first, activation, rows));
            }
        }
    }

    private Matrix random(long seed, int outFeatures, int inFeatures) {
        float scale = (float) Math.sqrt(3.0 / inFeatures);
        RandomTensor weights = new RandomTensor("weights", List.of(outFeatures, inFeatures), seed, 0, scale);
        RandomTensor bias = new RandomTensor("bias", List.of(outFeatures), seed, 0, 1);
        return new Matrix(bench.device().linear("check", List.of(weights), List.of(bias)), weights, bias);
    }

    private void pair(String name, Linear first, Linear second, int rows) {
        tested.clear();
        DeviceBuffer in = tested.elements(bench.values(rows * first.inFeatures(), 1));
        DeviceBuffer expectedFirst = tested.elements((long) rows * first.outFeatures());
        DeviceBuffer expectedSecond = tested.elements((long) rows * second.outFeatures());
        tested.kernels().linear(tested.stream(), first, in, expectedFirst, rows, new Epilogue.Store());
        tested.kernels().linear(tested.stream(), second, in, expectedSecond, rows, new Epilogue.Store());
        DeviceBuffer firstOut = tested.elements((long) rows * first.outFeatures());
        DeviceBuffer secondOut = tested.elements((long) rows * second.outFeatures());
        tested.kernels().linearPair(tested.stream(), first, second, in, firstOut, secondOut, rows);
        bench.sameBits(name + ", first", tested.read(expectedFirst), tested.read(firstOut));
        bench.sameBits(name + ", second", tested.read(expectedSecond), tested.read(secondOut));
    }

    private void gated(String name, Linear weights, Activation activation, int rows) {
        int width = weights.outFeatures() / 2;
        tested.clear();
        DeviceBuffer in = tested.elements(bench.values(rows * weights.inFeatures(), 1));
        DeviceBuffer gateUp = tested.elements((long) rows * weights.outFeatures());
        DeviceBuffer expected = tested.elements((long) rows * width);
        tested.kernels().linear(tested.stream(), weights, in, gateUp, rows, new Epilogue.Store());
        tested.kernels().gate(tested.stream(), activation, gateUp, expected, rows, width);
        bench.sameBits(name, tested.read(expected), gatedLinear(weights, activation, in, rows));
    }

    private float[] gatedLinear(Linear weights, Activation activation, DeviceBuffer in, int rows) {
        DeviceBuffer gateUp = tested.elements((long) rows * weights.outFeatures());
        DeviceBuffer out = tested.elements((long) rows * (weights.outFeatures() / 2));
        tested.kernels().gatedLinear(tested.stream(), weights, activation, in, gateUp, out, rows);
        return tested.read(out);
    }

    private void gatedByFormula(String name, Matrix matrix, Activation activation, int rows) {
        float[] in = bench.values(rows * matrix.linear().inFeatures(), 1);
        tested.clear();
        float[] actual = gatedLinear(matrix.linear(), activation, tested.elements(in), rows);
        Expected gateUp = Reference.product(in, bench.elements(matrix.weights()), bench.elements(matrix.bias()));
        int width = matrix.linear().outFeatures() / 2;
        bench.within(name, bound(matrix.linear()), Reference.gated(activation, gateUp, rows, width), actual);
    }
}
