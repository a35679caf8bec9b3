package io.weft.check;

import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.Embedding;
import io.weft.device.RandomTensor;
import io.weft.device.Tensor;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Checks embeddings, and through them weights on the device, which an embedding shows unchanged. */
final class EmbeddingChecks {
    private static final int VOCABULARY = 101;
    private static final int PLACES = 61;
    private static final int OFFSET = 2;
    private static final float SCALE = 1.5f;

    private final CheckBench bench;
    private final Workbench tested;

    EmbeddingChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    void run() {
        weights();
        embeddings();
    }

    /** Weights from files of every element type, and made on the device, must be the nearest numbers. */
    private void weights() {
        int rows = 33;
        int width = 100;
        try (Arena arena = Arena.ofShared()) {
            float[] values = bench.values(rows * width, 4);
            for (ElementType fileType : ElementType.values()) {
                Tensor view = CheckBench.tensor(arena, "weights", fileType, List.of(rows, width), values);
                nearest("weights from a file of " + fileType, view);
            }
            nearest(
                    "weights made on the device",
                    new RandomTensor("random", List.of(rows, width), 1L << 40, 0.25f, 0.1f));
        }
    }

    private void nearest(String name, Tensor tensor) {
        int rows = tensor.rows();
        tested.clear();
        Embedding table = bench.device().embedding(tensor, null, 0, 1);
        DeviceBuffer out = tested.elements(tensor.elements());
        DeviceBuffer ids = tested.ints(IntStream.range(0, rows).toArray());
        tested.kernels().embed(tested.stream(), table, ids, tested.ints(new int[rows]), out, rows);
        bench.sameBits(name, bench.elements(tensor), tested.read(out));
    }

    private void embeddings() {
        try (Arena arena = Arena.ofShared()) {
            for (int width : new int[] {64, 100}) {
                float[] tokens = bench.values(VOCABULARY * width, 1);
                float[] learned = bench.values(PLACES * width, 1);
                Tensor tokenTensor = bench.tensor(arena, "tokens", List.of(VOCABULARY, width), tokens);
                Tensor positions = bench.tensor(arena, "positions", List.of(PLACES, width), learned);
                embeddings(", learned positions", tokenTensor, positions, tokens, learned);
                embeddings("", tokenTensor, null, tokens, new float[learned.length]);
            }
        }
    }

    private void embeddings(
            String suffix, Tensor tokenTensor, @Nullable Tensor positions, float[] tokens, float[] learned) {
        int width = tokenTensor.columns();
        Embedding table = bench.device().embedding(tokenTensor, positions, OFFSET, SCALE);
        for (int rows : bench.rowCounts()) {
            String name = "embed %d x %d%s".formatted(rows, width, suffix);
            bench.attempt(name, () -> {
                int[] ids = bench.integers(rows, VOCABULARY);
                int[] places = bench.integers(rows, PLACES - OFFSET);
                tested.clear();
                DeviceBuffer out = tested.elements((long) rows * width);
                tested.kernels().embed(tested.stream(), table, tested.ints(ids), tested.ints(places), out, rows);
                bench.within(
                        name,
                        RoundingErrors.stored(bench.type()) + 2 * RoundingErrors.FP32,
                        Reference.embedding(tokens, learned, width, SCALE, ids, places, OFFSET),
                        tested.read(out));
            });
        }
    }
}
