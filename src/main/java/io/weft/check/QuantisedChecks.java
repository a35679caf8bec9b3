package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.Epilogue;
import io.weft.device.Linear;
import io.weft.device.QuantisedTensor;
import io.weft.device.RandomCodes;
import io.weft.device.Tensor;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import io.weft.device.WeightEncoding.Zero;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Checks products with quantised weights, for every encoding: against the formula, and against the product with the
 * weights' elements, of which they must have the bits for any number of rows.
 */
final class QuantisedChecks {
    /** Few rows and many, which a device may multiply in different ways. */
    private static final int[] ROWS = {1, 2, 7, 16, 17, 33, 65};

    private static final int[] BRIEF_ROWS = {1, 7, 17, 65};
    private static final int[] AWKWARD_ROWS = {1, 6, 13};

    private final CheckBench bench;
    private final Workbench tested;

    QuantisedChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    private record Size(int outFeatures, int inFeatures) {}

    void run() {
        for (WeightCode code : WeightCode.values()) {
            for (WeightEncoding encoding : encodings(code)) {
                for (Size size : sizes()) {
                    if (encoding.groupColumns() <= size.inFeatures()) {
                        products(encoding, size);
                    }
                }
            }
        }
        switch (bench.extent()) {
            case ALL -> largeProducts();
            case BRIEF, AWKWARD, SMALL -> {}
        }
    }

    /** Groups of the usual sizes, of a size for which a device may have no kernel, and of whole rows. */
    private static List<WeightEncoding> encodings(WeightCode code) {
        List<WeightEncoding> encodings = new ArrayList<>();
        switch (code) {
            case INT4, INT8 -> {
                encodings.add(new WeightEncoding(code, 32, Zero.MIDDLE, ElementType.F16));
                encodings.add(new WeightEncoding(code, 64, Zero.GROUP, ElementType.F16));
                encodings.add(new WeightEncoding(code, 128, Zero.GROUP, ElementType.BF16));
                encodings.add(new WeightEncoding(code, 128, Zero.MIDDLE, ElementType.F32));
            }
            case FP8_E4M3 -> {
                encodings.add(new WeightEncoding(code, 128, Zero.MIDDLE, ElementType.F32));
                encodings.add(new WeightEncoding(code, 33, Zero.MIDDLE, ElementType.BF16));
            }
            case FP4_E2M1 -> encodings.add(new WeightEncoding(code, 32, Zero.MIDDLE, ElementType.BF16));
        }
        return encodings;
    }

    private List<Size> sizes() {
        return switch (bench.extent()) {
            case ALL, BRIEF, SMALL ->
                List.of(
                        new Size(64, 64),
                        new Size(50, 100),
                        new Size(384, 160),
                        new Size(257, 33),
                        new Size(512, 1160));
            case AWKWARD -> List.of(new Size(13, 33), new Size(50, 100), new Size(384, 160));
        };
    }

    private int[] rowCounts() {
        return switch (bench.extent()) {
            case ALL, SMALL -> ROWS;
            case BRIEF -> BRIEF_ROWS;
            case AWKWARD -> AWKWARD_ROWS;
        };
    }

    /** Weights as codes and as elements. */
    private record Pair(String name, Linear codes, Linear elements) {}

    private void products(WeightEncoding encoding, Size size) {
        int n = size.outFeatures();
        int k = size.inFeatures();
        try (Arena arena = Arena.ofShared()) {
            QuantisedMatrix matrix = new QuantisedMatrix(encoding, n, k, 2 / Math.sqrt(k), bench.random());
            float[] elements = matrix.elements(bench.type());
            float[] bias = bench.values(n, 1);
            Tensor biasTensor = bench.tensor(arena, "bias", List.of(n), bias);
            QuantisedTensor whole = matrix.tensor("weights");
            // Parts whose rows fill no tile.
            List<QuantisedTensor> parts = List.of(whole.rows(0, n / 3), whole.rows(n / 3, n - n / 3));
            Linear codes = bench.device().linear("check", parts, List.of(biasTensor));
            Linear dense = bench.device()
                    .linear(
                            "check",
                            List.of(bench.tensor(arena, "elements", List.of(n, k), elements)),
                            List.of(biasTensor));
            String name = "%s of %s scales, zeros of %s, (%d, %d)"
                    .formatted(encoding.label(), encoding.scaleType(), encoding.zero(), n, k);
            formula(name, codes, elements, bias);
            sameBits(new Pair(name, codes, dense));
        }
    }

    private void formula(String name, Linear codes, float[] elements, float[] bias) {
        int rows = Arrays.stream(rowCounts()).max().orElseThrow();
        float[] in = bench.values(rows * codes.inFeatures(), 1);
        Expected product = Reference.product(in, elements, bias);
        for (int count : rowCounts()) {
            String what = "linear %d rows x %s".formatted(count, name);
            bench.attempt(what, () -> {
                tested.clear();
                DeviceBuffer from = tested.elements(Arrays.copyOf(in, count * codes.inFeatures()));
                DeviceBuffer out = tested.elements((long) count * codes.outFeatures());
                tested.kernels().linear(tested.stream(), codes, from, out, count, new Epilogue.Store());
                Expected expected = Reference.added(new float[count * codes.outFeatures()], product);
                double bound = 2 * RoundingErrors.stored(bench.type()) + RoundingErrors.sum(codes.inFeatures() + 1);
                bench.within(what, bound, expected, tested.read(out));
            });
        }
    }

    /** Sizes of real models, with codes that the device makes. */
    private void largeProducts() {
        for (WeightCode code : WeightCode.values()) {
            for (Size size : List.of(new Size(4096, 4096), new Size(1032, 14_336))) {
                int group = code == WeightCode.FP4_E2M1 ? 32 : 128;
                WeightEncoding encoding = new WeightEncoding(code, group, Zero.MIDDLE, ElementType.F16);
                QuantisedTensor tensor = RandomCodes.tensor(
                        "weights",
                        size.outFeatures(),
                        size.inFeatures(),
                        encoding,
                        code.ordinal() + 1L,
                        1 / Math.sqrt(size.inFeatures()));
                try (Arena arena = Arena.ofShared()) {
                    float[] elements = new float[Math.toIntExact(tensor.elements())];
                    tensor.dequantise(0, tensor.rows(), MemorySegment.ofArray(elements));
                    Tensor dense = CheckBench.tensor(
                            arena,
                            "elements",
                            ElementType.F32,
                            List.of(size.outFeatures(), size.inFeatures()),
                            elements);
                    sameBits(new Pair(
                            "random %s (%d, %d)".formatted(encoding.label(), size.outFeatures(), size.inFeatures()),
                            bench.device().linear("check", List.of(tensor), List.of()),
                            bench.device().linear("check", List.of(dense), List.of())));
                }
            }
        }
    }

    private void sameBits(Pair pair) {
        int rowsMost = Arrays.stream(rowCounts()).max().orElseThrow();
        bench.attempt(pair.name() + ": same bits as with elements", () -> {
            float[] in = bench.values(rowsMost * pair.codes().inFeatures(), 1);
            float[] before = bench.values(rowsMost * pair.codes().outFeatures(), 1);
            for (int rows : rowCounts()) {
                for (Epilogue epilogue : List.of(
                        new Epilogue.Store(), new Epilogue.AddToOutput(), new Epilogue.Activate(Activation.SILU))) {
                    bench.sameBits(
                            "%d rows x %s, %s: same bits as with elements"
                                    .formatted(
                                            rows,
                                            pair.name(),
                                            epilogue.getClass().getSimpleName()),
                            linear(pair.elements(), in, before, epilogue, rows),
                            linear(pair.codes(), in, before, epilogue, rows));
                }
                if (pair.codes().outFeatures() % 2 == 0) {
                    bench.sameBits(
                            "gated %d rows x %s: same bits as with elements".formatted(rows, pair.name()),
                            gated(pair.elements(), in, rows),
                            gated(pair.codes(), in, rows));
                }
                bench.sameBits(
                        "pair %d rows x %s: same bits as with elements".formatted(rows, pair.name()),
                        twice(pair.elements(), in, rows),
                        twice(pair.codes(), in, rows));
            }
        });
    }

    private float[] linear(Linear weights, float[] in, float[] before, Epilogue epilogue, int rows) {
        tested.clear();
        DeviceBuffer from = tested.elements(Arrays.copyOf(in, rows * weights.inFeatures()));
        DeviceBuffer out = tested.elements(Arrays.copyOf(before, rows * weights.outFeatures()));
        tested.kernels().linear(tested.stream(), weights, from, out, rows, epilogue);
        return tested.read(out);
    }

    private float[] gated(Linear weights, float[] in, int rows) {
        tested.clear();
        DeviceBuffer from = tested.elements(Arrays.copyOf(in, rows * weights.inFeatures()));
        DeviceBuffer gateUp = tested.elements((long) rows * weights.outFeatures());
        DeviceBuffer out = tested.elements((long) rows * (weights.outFeatures() / 2));
        tested.kernels().gatedLinear(tested.stream(), weights, Activation.SILU, from, gateUp, out, rows);
        return tested.read(out);
    }

    /** Both outputs of a matrix beside itself. */
    private float[] twice(Linear weights, float[] in, int rows) {
        tested.clear();
        DeviceBuffer from = tested.elements(Arrays.copyOf(in, rows * weights.inFeatures()));
        DeviceBuffer first = tested.elements((long) rows * weights.outFeatures());
        DeviceBuffer second = tested.elements((long) rows * weights.outFeatures());
        tested.kernels().linearPair(tested.stream(), weights, weights, from, first, second, rows);
        float[] both = Arrays.copyOf(tested.read(first), 2 * rows * weights.outFeatures());
        System.arraycopy(tested.read(second), 0, both, rows * weights.outFeatures(), rows * weights.outFeatures());
        return both;
    }
}
