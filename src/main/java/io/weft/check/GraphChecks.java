package io.weft.check;

import io.weft.device.DeviceBuffer;
import io.weft.device.Epilogue;
import io.weft.device.Graph;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RandomTensor;
import io.weft.device.Stream;
import io.weft.device.Tensor;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;

/** Checks that graphs have the same bits as their calls one by one, whatever their memory holds. */
final class GraphChecks {
    private static final int WIDTH = 1024;

    private final CheckBench bench;
    private final Workbench tested;

    GraphChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    void run() {
        try (Arena arena = Arena.ofShared()) {
            Tensor gain = bench.tensor(arena, "gain", List.of(WIDTH), bench.values(WIDTH, 2));
            Norm norm = bench.device().norm(new Norm.Kind.RmsNorm(1e-6f, 0), gain, null);
            RandomTensor random = new RandomTensor("weights", List.of(WIDTH, WIDTH), 3, 0, 0.05f);
            Linear weights = bench.device().linear("check", List.of(random), List.of());
            for (int rows : bench.rowCounts()) {
                String name = "graph of a norm and products of %d rows".formatted(rows);
                bench.attempt(name, () -> graph(name, norm, weights, rows));
            }
        }
    }

    private void graph(String name, Norm norm, Linear weights, int rows) {
        tested.clear();
        float[] first = bench.values(rows * norm.width(), 1);
        float[] second = bench.values(rows * norm.width(), 1);
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
        Optional<Graph> captured = bench.device().capture(stream, operations);
        bench.holds(name + " is captured", captured.isPresent());
        captured.ifPresent(graph -> {
            tested.write(in, first);
            graph.launch(stream);
            bench.sameBits(name, expectedFirst, tested.read(out));
            tested.write(in, second);
            graph.launch(stream);
            graph.launch(stream);
            bench.sameBits(name + ", twice", expectedSecond, tested.read(out));
            graph.close();
        });
    }
}
