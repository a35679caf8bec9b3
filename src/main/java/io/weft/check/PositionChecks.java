package io.weft.check;

import io.weft.device.AttentionShape;
import io.weft.device.DeviceBuffer;
import io.weft.device.RotaryTable;
import io.weft.device.RotaryTable.Layout;
import io.weft.device.RowPlaces;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Checks rotary positions, by themselves and on the way into the cache. */
final class PositionChecks {
    /** The number of positions of a rotary table. */
    private static final int POSITIONS = 400;

    private static final float MAGNITUDE = 1.1f;

    private final CheckBench bench;
    private final Workbench tested;

    PositionChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    void run() {
        for (Layout layout : Layout.values()) {
            rotations(layout);
            places(layout);
        }
    }

    /** A cosine or sine in fp32, two products and their sum. */
    private double bound() {
        return RoundingErrors.stored(bench.type()) + 4 * RoundingErrors.FP32;
    }

    private static float[] frequencies(int rotaryWidth) {
        float[] frequencies = new float[rotaryWidth / 2];
        for (int j = 0; j < frequencies.length; j++) {
            frequencies[j] = (float) Math.pow(10_000, -(double) j / frequencies.length);
        }
        return frequencies;
    }

    private void rotations(Layout layout) {
        for (RotationSize size : List.of(
                new RotationSize(4, 64, 64, 256),
                new RotationSize(2, 64, 32, 256),
                new RotationSize(3, 20, 10, 70),
                new RotationSize(2, 128, 128, 512))) {
            float[] frequencies = frequencies(size.rotaryWidth());
            RotaryTable table = bench.device().rotaryTable(frequencies, MAGNITUDE, POSITIONS, layout);
            for (int rowsPerPosition : new int[] {1, 16}) {
                for (int rows : bench.rowCounts()) {
                    String name = "rotate %s of %d x %d heads of %d (%d), %d rows a position"
                            .formatted(
                                    layout, rows, size.heads(), size.headSize(), size.rotaryWidth(), rowsPerPosition);
                    bench.attempt(name, () -> rotation(name, size, frequencies, table, rowsPerPosition, rows));
                }
            }
        }
    }

    private record RotationSize(int heads, int headSize, int rotaryWidth, int rowWidth) {}

    private void rotation(
            String name, RotationSize size, float[] frequencies, RotaryTable table, int rowsPerPosition, int rows) {
        float[] in = bench.values(rows * size.rowWidth(), 1);
        int[] starts = bench.integers(Math.ceilDiv(rows, rowsPerPosition), POSITIONS - rowsPerPosition);
        int[] positions = IntStream.range(0, rows)
                .map(row -> starts[row / rowsPerPosition] + row % rowsPerPosition)
                .toArray();
        tested.clear();
        DeviceBuffer values = tested.elements(in);
        tested.kernels()
                .rotate(
                        tested.stream(),
                        table,
                        values,
                        size.rowWidth(),
                        size.heads(),
                        size.headSize(),
                        tested.ints(starts),
                        rowsPerPosition,
                        rows);
        bench.within(
                name,
                bound(),
                Reference.rotated(
                        in,
                        size.rowWidth(),
                        size.heads(),
                        size.headSize(),
                        table.layout(),
                        frequencies,
                        MAGNITUDE,
                        positions),
                tested.read(values));
    }

    /** New rows go to scattered places, with and without rotary positions; queries are rotated in place. */
    private void places(Layout layout) {
        for (PlaceSize size : List.of(
                new PlaceSize(4, 4, 64, 64, 256),
                new PlaceSize(8, 2, 128, 128, 1024),
                new PlaceSize(4, 2, 64, 32, 100),
                new PlaceSize(3, 3, 20, 10, 61),
                new PlaceSize(4, 4, 64, 0, 256),
                new PlaceSize(4, 2, 64, 64, 0),
                new PlaceSize(3, 1, 20, 10, 0),
                new PlaceSize(2, 1, 20, 0, 0),
                new PlaceSize(2, 1, 20, 0, 33))) {
            float[] frequencies = frequencies(size.rotaryWidth());
            RotaryTable table = size.rotaryWidth() == 0
                    ? null
                    : bench.device().rotaryTable(frequencies, MAGNITUDE, POSITIONS, layout);
            for (int rows : bench.rowCounts()) {
                String name = "place %d x %d/%d heads of %d (%d %s) and %d"
                        .formatted(
                                rows,
                                size.heads(),
                                size.keyValueHeads(),
                                size.headSize(),
                                size.rotaryWidth(),
                                layout,
                                size.width());
                bench.attempt(name, () -> place(name, size, layout, frequencies, table, rows));
            }
        }
    }

    private record PlaceSize(int heads, int keyValueHeads, int headSize, int rotaryWidth, int width) {
        AttentionShape shape() {
            return new AttentionShape(heads, keyValueHeads, headSize, 1, 0, Integer.MAX_VALUE, 16, 64);
        }
    }

    private void place(
            String name, PlaceSize size, Layout layout, float[] frequencies, @Nullable RotaryTable table, int rows) {
        AttentionShape shape = size.shape();
        float[] queries = bench.values(rows * shape.queryWidth(), 1);
        float[] keyValues = bench.values(rows * shape.keyValueWidth(), 1);
        float[] activations = bench.values(rows * size.width(), 1);
        int[] positions = bench.integers(rows, POSITIONS);
        int[] order = bench.permutation(rows);
        int slot = shape.keyValueWidth() + size.width();
        tested.clear();
        long[] keyValueOffsets = new long[rows];
        long[] activationOffsets = new long[rows];
        for (int i = 0; i < rows; i++) {
            keyValueOffsets[i] = (long) order[i] * slot * tested.elementBytes();
            activationOffsets[i] = keyValueOffsets[i] + (long) shape.keyValueWidth() * tested.elementBytes();
        }
        DeviceBuffer turned = tested.elements(queries);
        DeviceBuffer base = tested.elements((long) rows * slot);
        tested.kernels()
                .place(
                        tested.stream(),
                        shape,
                        table,
                        turned,
                        tested.elements(keyValues),
                        tested.elements(activations),
                        size.width(),
                        new RowPlaces(
                                tested.ints(positions),
                                tested.longs(keyValueOffsets),
                                // Without activations, nothing reads their offsets.
                                size.width() == 0 ? tested.poisoned(0) : tested.longs(activationOffsets)),
                        base,
                        rows);
        Expected expectedQueries = rotated(queries, size, size.heads(), layout, frequencies, positions);
        Expected expectedKeyValues = rotated(keyValues, size, size.keyValueHeads(), layout, frequencies, positions);
        float[] placed = tested.read(base);
        float[] placedKeyValues = new float[keyValues.length];
        float[] placedActivations = new float[activations.length];
        int keyValueWidth = shape.keyValueWidth();
        for (int row = 0; row < rows; row++) {
            int from = order[row] * slot;
            System.arraycopy(placed, from, placedKeyValues, row * keyValueWidth, keyValueWidth);
            System.arraycopy(placed, from + keyValueWidth, placedActivations, row * size.width(), size.width());
        }
        bench.within(name + ", queries", bound(), expectedQueries, tested.read(turned));
        bench.within(name + ", K and V", bound(), expectedKeyValues, placedKeyValues);
        bench.sameBits(name + ", activations", activations, placedActivations);
        bench.sameBits(name + ", V", values(keyValues, keyValueWidth), values(placedKeyValues, keyValueWidth));
    }

    private static Expected rotated(
            float[] rows, PlaceSize size, int heads, Layout layout, float[] frequencies, int[] positions) {
        int width = rows.length / positions.length;
        return Reference.rotated(rows, width, heads, size.headSize(), layout, frequencies, MAGNITUDE, positions);
    }

    /** The V part of rows of K and V. */
    private static float[] values(float[] rows, int width) {
        int half = width / 2;
        float[] values = new float[rows.length / 2];
        for (int row = 0; row < rows.length / width; row++) {
            System.arraycopy(rows, row * width + half, values, row * half, half);
        }
        return values;
    }
}
