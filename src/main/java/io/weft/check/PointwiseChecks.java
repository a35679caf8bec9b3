package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.DeviceBuffer;
import io.weft.device.HeadRows;
import io.weft.device.Norm;
import io.weft.device.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Checks norms and gates, which treat each row by itself. */
final class PointwiseChecks {
    private static final double GATE_LARGEST = 4;
    private static final double LOGIT_LARGEST = 500;

    private final CheckBench bench;
    private final Workbench tested;

    PointwiseChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    void run() {
        norms();
        headNorms();
        residuals();
        gates();
        caps();
    }

    private int[] normWidths() {
        return switch (bench.extent()) {
            case ALL, BRIEF, SMALL -> new int[] {64, 100, 2304, 4096};
            case AWKWARD -> new int[] {8, 25, 100, 2304};
        };
    }

    private void norms() {
        List<Norm.Kind> kinds = List.of(new Norm.Kind.LayerNorm(1e-5f), new Norm.Kind.RmsNorm(1e-6f, 1));
        try (Arena arena = Arena.ofShared()) {
            for (int width : normWidths()) {
                float[] gain = bench.values(width, 2);
                float[] bias = bench.values(width, 1);
                Tensor gainTensor = bench.tensor(arena, "gain", List.of(width), gain);
                Tensor biasTensor = bench.tensor(arena, "bias", List.of(width), bias);
                for (Norm.Kind kind : kinds) {
                    Norm norm = bench.device().norm(kind, gainTensor, biasTensor);
                    for (int rows : bench.rowCounts()) {
                        String name =
                                "%s %d x %d, in place".formatted(kind.getClass().getSimpleName(), rows, width);
                        bench.attempt(name, () -> norm(name, norm, gain, bias, rows));
                    }
                }
            }
        }
    }

    private void norm(String name, Norm norm, float[] gain, float[] bias, int rows) {
        float[] in = normInput(rows, norm.width());
        tested.clear();
        DeviceBuffer values = tested.elements(in);
        tested.kernels().norm(tested.stream(), norm, values, values, rows);
        bench.within(
                name,
                RoundingErrors.stored(bench.type()) + RoundingErrors.sum(norm.width()) + RoundingErrors.FUNCTION,
                Reference.norm(norm.kind(), gain, bias, in),
                tested.read(values));
    }

    /** Heads with a gain of their own, a shared one and none; whole rows are one head. */
    private void headNorms() {
        List<Norm.Kind> kinds = List.of(
                new Norm.Kind.LayerNorm(1e-5f), new Norm.Kind.RmsNorm(1e-6f, 0), new Norm.Kind.RmsNorm(1e-6f, 1));
        for (HeadSizes sizes : headSizes()) {
            for (Norm.Kind kind : kinds) {
                for (Gains gains : Gains.values()) {
                    Gain gain = gain(kind, gains, sizes);
                    for (int rows : bench.rowCounts()) {
                        String name = "%s of %d x %d heads of %d in rows of %d, gain %s"
                                .formatted(
                                        kind.getClass().getSimpleName(),
                                        rows,
                                        sizes.heads(),
                                        sizes.headSize(),
                                        sizes.rowWidth(),
                                        gains);
                        bench.attempt(name, () -> headNorm(name, sizes, gain, rows));
                    }
                }
            }
        }
    }

    private record HeadSizes(int heads, int headSize, int rowWidth) {}

    private List<HeadSizes> headSizes() {
        return switch (bench.extent()) {
            case ALL ->
                List.of(
                        new HeadSizes(32, 128, 4096),
                        new HeadSizes(8, 128, 2048),
                        new HeadSizes(3, 64, 200),
                        new HeadSizes(2, 25, 61),
                        new HeadSizes(4, 256, 2048),
                        new HeadSizes(2, 512, 2048),
                        new HeadSizes(2, 520, 1040),
                        new HeadSizes(1, 4096, 8192),
                        new HeadSizes(1, 2051, 2051));
            case BRIEF, SMALL -> List.of(new HeadSizes(8, 128, 2048), new HeadSizes(1, 1024, 2048));
            case AWKWARD -> List.of(new HeadSizes(3, 8, 24), new HeadSizes(2, 25, 61), new HeadSizes(1, 100, 200));
        };
    }

    /** Which heads have which gain. */
    private enum Gains {
        SHARED,
        OWN,
        NONE
    }

    /** A norm with its weights, both (heads · headSize). */
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    private record Gain(Norm norm, float[] gain, float[] bias) {}

    private Gain gain(Norm.Kind kind, Gains gains, HeadSizes sizes) {
        int headSize = sizes.headSize();
        float[] gain = new float[sizes.heads() * headSize];
        float[] bias = new float[gain.length];
        if (gains == Gains.NONE) {
            Arrays.fill(gain, 1 - kind.gainOffset());
            return new Gain(bench.device().norm(kind, headSize), gain, bias);
        }
        int width = gains == Gains.OWN ? gain.length : headSize;
        float[] gainValues = bench.values(width, 2);
        float[] biasValues = bench.values(width, 1);
        for (int j = 0; j < gain.length; j++) {
            gain[j] = gainValues[j % width];
            bias[j] = biasValues[j % width];
        }
        try (Arena arena = Arena.ofShared()) {
            Norm norm = bench.device()
                    .norm(
                            kind,
                            bench.tensor(arena, "gain", List.of(width), gainValues),
                            bench.tensor(arena, "bias", List.of(width), biasValues));
            return new Gain(norm, gain, bias);
        }
    }

    private void headNorm(String name, HeadSizes sizes, Gain gain, int rows) {
        float[] in = normInput(rows, sizes.rowWidth());
        tested.clear();
        DeviceBuffer values = tested.elements(in);
        HeadRows inPlace = new HeadRows(values, sizes.rowWidth());
        tested.kernels()
                .normHeads(tested.stream(), gain.norm(), inPlace, inPlace, sizes.heads(), sizes.headSize(), rows);
        float[] actual = tested.read(values);
        bench.within(
                name,
                RoundingErrors.stored(bench.type()) + RoundingErrors.sum(sizes.headSize()) + RoundingErrors.FUNCTION,
                Reference.normedHeads(
                        gain.norm().kind(), gain.gain(), gain.bias(), in, sizes.rowWidth(), sizes.headSize()),
                actual);
        // A row by itself has the same bits.
        int last = (rows - 1) * sizes.rowWidth();
        tested.clear();
        HeadRows alone = new HeadRows(tested.elements(Arrays.copyOfRange(in, last, in.length)), sizes.rowWidth());
        tested.kernels().normHeads(tested.stream(), gain.norm(), alone, alone, sizes.heads(), sizes.headSize(), 1);
        bench.sameBits(
                name + ", one row", Arrays.copyOfRange(actual, last, actual.length), tested.read(alone.memory()));
        // To rows of another width, which keep what is after the heads.
        tested.clear();
        int headsWidth = sizes.heads() * sizes.headSize();
        float[] packed = new float[rows * headsWidth];
        float[] before = bench.values(rows * 2 * headsWidth, 1);
        float[] expected = before.clone();
        for (int row = 0; row < rows; row++) {
            System.arraycopy(in, row * sizes.rowWidth(), packed, row * headsWidth, headsWidth);
            System.arraycopy(actual, row * sizes.rowWidth(), expected, (2 * row + 1) * headsWidth, headsWidth);
        }
        DeviceBuffer wide = tested.elements(before);
        tested.kernels()
                .normHeads(
                        tested.stream(),
                        gain.norm(),
                        new HeadRows(tested.elements(packed), headsWidth),
                        new HeadRows(wide.from((long) headsWidth * tested.elementBytes()), 2 * headsWidth),
                        sizes.heads(),
                        sizes.headSize(),
                        rows);
        bench.sameBits(name + ", from and to rows of other widths", expected, tested.read(wide));
    }

    private void residuals() {
        try (Arena arena = Arena.ofShared()) {
            for (int width : normWidths()) {
                float[] gain = bench.values(width, 2);
                float[] bias = bench.values(width, 1);
                Tensor gainTensor = bench.tensor(arena, "gain", List.of(width), gain);
                Tensor biasTensor = bench.tensor(arena, "bias", List.of(width), bias);
                Norm layerNorm = bench.device().norm(new Norm.Kind.LayerNorm(1e-5f), gainTensor, biasTensor);
                Norm rmsNorm = bench.device().norm(new Norm.Kind.RmsNorm(1e-6f, 1), gainTensor, biasTensor);
                for (int rows : bench.rowCounts()) {
                    String name = "add %d x %d to the residual stream".formatted(rows, width);
                    bench.attempt(name, () -> {
                        residual(name, null, gain, bias, rows);
                        residual(name + ", LayerNorm", layerNorm, gain, bias, rows);
                        residual(name + ", RmsNorm", rmsNorm, gain, bias, rows);
                    });
                }
            }
        }
    }

    private void residual(String name, @Nullable Norm norm, float[] gain, float[] bias, int rows) {
        float factor = 0.22f;
        float scale = 1.3f;
        int width = gain.length;
        float[] hidden = bench.values(rows * width, 5);
        float[] in = normInput(rows, width);
        float[] actual = addResidual(hidden, in, norm, factor, scale, width);
        Expected branch = norm == null ? Expected.exactly(in) : Reference.norm(norm.kind(), gain, bias, in);
        bench.within(
                name,
                RoundingErrors.stored(bench.type()) + RoundingErrors.sum(width) + RoundingErrors.FUNCTION,
                Reference.residual(hidden, branch, factor, scale),
                actual);
        // A row by itself has the same bits.
        int last = (rows - 1) * width;
        float[] alone = addResidual(
                Arrays.copyOfRange(hidden, last, hidden.length),
                Arrays.copyOfRange(in, last, in.length),
                norm,
                factor,
                scale,
                width);
        bench.sameBits(name + ", one row", Arrays.copyOfRange(actual, last, actual.length), alone);
    }

    private float[] addResidual(float[] hidden, float[] in, @Nullable Norm norm, float factor, float scale, int width) {
        tested.clear();
        DeviceBuffer to = tested.elements(hidden);
        DeviceBuffer from = tested.elements(in);
        tested.kernels().addResidual(tested.stream(), to, from, norm, factor, scale, width, hidden.length / width);
        return tested.read(to);
    }

    /** Rows with a mean. Every other one is so small that the norm's epsilon counts. */
    private float[] normInput(int rows, int width) {
        float[] in = new float[rows * width];
        for (int row = 0; row < rows; row++) {
            double scale = row % 2 == 0 ? 3 : 3e-3;
            for (int j = 0; j < width; j++) {
                double value = scale * (0.5 + bench.random().nextDouble(-1, 1));
                in[row * width + j] = Workbench.round(bench.type(), (float) value);
            }
        }
        return in;
    }

    private void gates() {
        for (Activation activation : Activation.values()) {
            for (int width : new int[] {64, 101}) {
                for (int rows : bench.rowCounts()) {
                    String name = "gate %s %d x %d".formatted(activation, rows, width);
                    bench.attempt(name, () -> gate(name, activation, rows, width));
                }
            }
        }
    }

    private void gate(String name, Activation activation, int rows, int width) {
        float[] in = bench.values(rows * 2 * width, GATE_LARGEST);
        tested.clear();
        DeviceBuffer out = tested.elements((long) rows * width);
        tested.kernels().gate(tested.stream(), activation, tested.elements(in), out, rows, width);
        bench.within(
                name,
                RoundingErrors.stored(bench.type()) + RoundingErrors.FUNCTION,
                Reference.gated(activation, Expected.exactly(in), rows, width),
                tested.read(out));
    }

    /** Logits far below their cap, around it and far above; and without. */
    private void caps() {
        for (float cap : new float[] {0, 30, 0.5f}) {
            for (int vocabulary : new int[] {64, 1001}) {
                for (int rows : bench.rowCounts()) {
                    String name = "cap %d x %d logits at %s".formatted(rows, vocabulary, cap);
                    bench.attempt(name, () -> cap(name, cap, vocabulary, rows));
                }
            }
        }
    }

    private void cap(String name, float cap, int vocabulary, int rows) {
        float factor = 0.0625f;
        float[] in = bench.values(rows * vocabulary, LOGIT_LARGEST);
        Expected expected = new Expected(in.length);
        for (int i = 0; i < in.length; i++) {
            double value = Reference.capped((double) factor * in[i], cap);
            expected.set(i, value, Math.abs(value));
        }
        tested.clear();
        DeviceBuffer logits = tested.elements(in);
        tested.kernels().capLogits(tested.stream(), logits, factor, cap, vocabulary, rows);
        float[] actual = tested.read(logits);
        bench.within(name, RoundingErrors.stored(bench.type()) + RoundingErrors.FUNCTION, expected, actual);
        int last = (rows - 1) * vocabulary;
        tested.clear();
        DeviceBuffer alone = tested.elements(Arrays.copyOfRange(in, last, in.length));
        tested.kernels().capLogits(tested.stream(), alone, factor, cap, vocabulary, 1);
        bench.sameBits(name + ", one row", Arrays.copyOfRange(actual, last, actual.length), tested.read(alone));
    }
}
