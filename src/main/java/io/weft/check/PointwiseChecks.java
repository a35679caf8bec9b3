package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.DeviceBuffer;
import io.weft.device.Norm;
import io.weft.device.Tensor;
import java.lang.foreign.Arena;
import java.util.List;

/** Checks norms and gates, which treat each row by itself. */
final class PointwiseChecks {
    private static final double GATE_LARGEST = 4;

    private final CheckBench bench;
    private final Workbench tested;

    PointwiseChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    void run() {
        norms();
        gates();
    }

    private int[] normWidths() {
        return switch (bench.extent()) {
            case ALL, SMALL -> new int[] {64, 100, 2304, 4096};
            case AWKWARD -> new int[] {8, 25, 100, 2304};
        };
    }

    private void norms() {
        List<Norm.Kind> kinds = List.of(new Norm.Kind.LayerNorm(1e-5f), new Norm.Kind.RmsNorm(1e-6f, 1));
        try (Arena arena = Arena.ofConfined()) {
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
}
