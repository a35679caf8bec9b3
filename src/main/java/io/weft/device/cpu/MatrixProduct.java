package io.weft.device.cpu;

import static io.weft.device.cpu.CpuLinear.PANEL;
import static io.weft.device.cpu.Memory.LANES;
import static io.weft.device.cpu.Memory.getFloat;
import static io.weft.device.cpu.Memory.getVector;
import static io.weft.device.cpu.Memory.setVector;

import io.weft.device.Activation;
import io.weft.device.Epilogue;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import jdk.incubator.vector.FloatVector;

/**
 * {@code out (M, N) = in (M, K) · Wᵀ + bias}. An output element starts at 0 and takes {@code fma(in[k], w[k], sum)} for
 * k = 0, 1, …: tiles of 6, 4 and 1 rows give the same bits.
 */
final class MatrixProduct {
    /** Products below this many multiply-adds are not worth waking another thread. */
    private static final long SMALL_PRODUCT = 64 * 1024;

    private static final int TILE_ROWS = 6;

    /** Panels that one row is multiplied with at once. */
    private static final int PANELS_AT_ONCE = 4;

    private final Workers workers;
    private NativeMemory packing = new NativeMemory(0);
    /** Panels made of codes, for as many threads as needed them at once. */
    private final Queue<NativeMemory> panelMemory = new ConcurrentLinkedQueue<>();

    MatrixProduct(Workers workers) {
        this.workers = workers;
    }

    synchronized void multiply(CpuLinear weights, long in, long out, int rows, Epilogue epilogue) {
        int panels = weights.panelCount();
        long packed = pack(in, rows, weights.inFeatures());
        long work = (long) rows * weights.inFeatures() * weights.outFeatures();
        if (work < SMALL_PRODUCT) {
            multiplyAny(weights, in, packed, out, rows, epilogue, 0, panels);
            return;
        }
        // A few tasks per thread balance the load; more would only cost time.
        int tasks = Math.min(panels, 4 * workers.count());
        workers.run(tasks, task -> {
            int from = (int) ((long) panels * task / tasks);
            int to = (int) ((long) panels * (task + 1) / tasks);
            multiplyAny(weights, in, packed, out, rows, epilogue, from, to);
        });
    }

    private void multiplyAny(
            CpuLinear weights, long in, long packed, long out, int rows, Epilogue epilogue, int from, int to) {
        if (weights.codes().isEmpty()) {
            multiplyPanels(weights, weights.panels(), in, packed, out, rows, epilogue, from, to);
            return;
        }
        long bytes = PANELS_AT_ONCE * weights.panelBytes();
        NativeMemory memory = panelMemory.poll();
        if (memory == null || memory.segment().byteSize() < bytes) {
            if (memory != null) {
                memory.free();
            }
            memory = new NativeMemory(bytes);
        }
        long decoded = memory.segment().address();
        for (int panel = from; panel < to; panel += PANELS_AT_ONCE) {
            int end = Math.min(to, panel + PANELS_AT_ONCE);
            weights.codes().get().decode(weights, panel, end, decoded);
            long first = decoded - panel * weights.panelBytes();
            multiplyPanels(weights, first, in, packed, out, rows, epilogue, panel, end);
        }
        panelMemory.add(memory);
    }

    /**
     * Copies the rows of whole tiles so that a tile's elements of equal k are adjacent: rows that lie a power of two
     * apart would evict each other from the cache.
     */
    private long pack(long in, int rows, int depth) {
        int tiles = rows / TILE_ROWS;
        long bytes = (long) tiles * TILE_ROWS * depth * Float.BYTES;
        if (bytes > packing.segment().byteSize()) {
            packing.free();
            packing = new NativeMemory(bytes);
        }
        long to = packing.segment().address();
        for (int tile = 0; tile < tiles; tile++) {
            for (int row = 0; row < TILE_ROWS; row++) {
                long from = in + ((long) tile * TILE_ROWS + row) * depth * Float.BYTES;
                long at = to + ((long) tile * depth * TILE_ROWS + row) * Float.BYTES;
                for (int k = 0; k < depth; k++) {
                    Memory.setFloat(at + (long) k * TILE_ROWS * Float.BYTES, getFloat(from + (long) k * Float.BYTES));
                }
            }
        }
        return to;
    }

    /** @param panels address of the first panel, which need not be there */
    private static void multiplyPanels(
            CpuLinear weights,
            long panels,
            long in,
            long packed,
            long out,
            int rows,
            Epilogue epilogue,
            int fromPanel,
            int toPanel) {
        int depth = weights.inFeatures();
        long rowBytes = (long) depth * Float.BYTES;
        float[] tile = new float[TILE_ROWS * PANEL];
        long panelBytes = weights.panelBytes();
        int sixes = rows - rows % TILE_ROWS;
        int tiledRows = rows - sixes < 4 ? sixes : sixes + 4;
        for (int panel = fromPanel; panel < toPanel && tiledRows > 0; panel++) {
            long panelAddress = panels + panel * panelBytes;
            for (int row = 0; row < sixes; row += TILE_ROWS) {
                tile6(packed + row * rowBytes, panelAddress, depth, tile);
                finish(weights, panel, tile, 0, out, row, TILE_ROWS, epilogue);
            }
            if (sixes < tiledRows) {
                tile4(in + sixes * rowBytes, rowBytes, panelAddress, depth, tile);
                finish(weights, panel, tile, 0, out, sixes, 4, epilogue);
            }
        }
        for (int row = tiledRows; row < rows; row++) {
            int panel = fromPanel;
            for (; panel + 4 <= toPanel; panel += 4) {
                fourPanels(in + row * rowBytes, panels + panel * panelBytes, panelBytes, depth, tile);
                for (int i = 0; i < 4; i++) {
                    finish(weights, panel + i, tile, i * PANEL, out, row, 1, epilogue);
                }
            }
            for (; panel < toPanel; panel++) {
                tile1(in + row * rowBytes, panels + panel * panelBytes, depth, tile);
                finish(weights, panel, tile, 0, out, row, 1, epilogue);
            }
        }
    }

    /** With packed rows: 12 sums, 2 weights and a value fill the 16 vector registers of x86-64. */
    private static void tile6(long in, long panel, int depth, float[] tile) {
        FloatVector zero = FloatVector.zero(Memory.FLOATS);
        FloatVector a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero;
        FloatVector b0 = zero, b1 = zero, b2 = zero, b3 = zero, b4 = zero, b5 = zero;
        for (int k = 0; k < depth; k++) {
            long weight = panel + (long) k * PANEL * Float.BYTES;
            FloatVector wa = getVector(weight);
            FloatVector wb = getVector(weight + (long) LANES * Float.BYTES);
            long x = in + (long) k * TILE_ROWS * Float.BYTES;
            FloatVector x0 = FloatVector.broadcast(Memory.FLOATS, getFloat(x));
            a0 = x0.fma(wa, a0);
            b0 = x0.fma(wb, b0);
            FloatVector x1 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + Float.BYTES));
            a1 = x1.fma(wa, a1);
            b1 = x1.fma(wb, b1);
            FloatVector x2 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + 2 * Float.BYTES));
            a2 = x2.fma(wa, a2);
            b2 = x2.fma(wb, b2);
            FloatVector x3 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + 3 * Float.BYTES));
            a3 = x3.fma(wa, a3);
            b3 = x3.fma(wb, b3);
            FloatVector x4 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + 4 * Float.BYTES));
            a4 = x4.fma(wa, a4);
            b4 = x4.fma(wb, b4);
            FloatVector x5 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + 5 * Float.BYTES));
            a5 = x5.fma(wa, a5);
            b5 = x5.fma(wb, b5);
        }
        a0.intoArray(tile, 0);
        b0.intoArray(tile, LANES);
        a1.intoArray(tile, PANEL);
        b1.intoArray(tile, PANEL + LANES);
        a2.intoArray(tile, 2 * PANEL);
        b2.intoArray(tile, 2 * PANEL + LANES);
        a3.intoArray(tile, 3 * PANEL);
        b3.intoArray(tile, 3 * PANEL + LANES);
        a4.intoArray(tile, 4 * PANEL);
        b4.intoArray(tile, 4 * PANEL + LANES);
        a5.intoArray(tile, 5 * PANEL);
        b5.intoArray(tile, 5 * PANEL + LANES);
    }

    private static void tile4(long in, long rowBytes, long panel, int depth, float[] tile) {
        FloatVector zero = FloatVector.zero(Memory.FLOATS);
        FloatVector a0 = zero, a1 = zero, a2 = zero, a3 = zero;
        FloatVector b0 = zero, b1 = zero, b2 = zero, b3 = zero;
        for (int k = 0; k < depth; k++) {
            long weight = panel + (long) k * PANEL * Float.BYTES;
            FloatVector wa = getVector(weight);
            FloatVector wb = getVector(weight + (long) LANES * Float.BYTES);
            long x = in + (long) k * Float.BYTES;
            FloatVector x0 = FloatVector.broadcast(Memory.FLOATS, getFloat(x));
            a0 = x0.fma(wa, a0);
            b0 = x0.fma(wb, b0);
            FloatVector x1 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + rowBytes));
            a1 = x1.fma(wa, a1);
            b1 = x1.fma(wb, b1);
            FloatVector x2 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + 2 * rowBytes));
            a2 = x2.fma(wa, a2);
            b2 = x2.fma(wb, b2);
            FloatVector x3 = FloatVector.broadcast(Memory.FLOATS, getFloat(x + 3 * rowBytes));
            a3 = x3.fma(wa, a3);
            b3 = x3.fma(wb, b3);
        }
        a0.intoArray(tile, 0);
        b0.intoArray(tile, LANES);
        a1.intoArray(tile, PANEL);
        b1.intoArray(tile, PANEL + LANES);
        a2.intoArray(tile, 2 * PANEL);
        b2.intoArray(tile, 2 * PANEL + LANES);
        a3.intoArray(tile, 3 * PANEL);
        b3.intoArray(tile, 3 * PANEL + LANES);
    }

    /** One row by four panels: enough sums at once to hide a multiply-add's latency. */
    private static void fourPanels(long in, long panel, long panelBytes, int depth, float[] tile) {
        FloatVector zero = FloatVector.zero(Memory.FLOATS);
        FloatVector a0 = zero, a1 = zero, a2 = zero, a3 = zero;
        FloatVector b0 = zero, b1 = zero, b2 = zero, b3 = zero;
        for (int k = 0; k < depth; k++) {
            FloatVector x = FloatVector.broadcast(Memory.FLOATS, getFloat(in + (long) k * Float.BYTES));
            long weight = panel + (long) k * PANEL * Float.BYTES;
            a0 = x.fma(getVector(weight), a0);
            b0 = x.fma(getVector(weight + (long) LANES * Float.BYTES), b0);
            weight += panelBytes;
            a1 = x.fma(getVector(weight), a1);
            b1 = x.fma(getVector(weight + (long) LANES * Float.BYTES), b1);
            weight += panelBytes;
            a2 = x.fma(getVector(weight), a2);
            b2 = x.fma(getVector(weight + (long) LANES * Float.BYTES), b2);
            weight += panelBytes;
            a3 = x.fma(getVector(weight), a3);
            b3 = x.fma(getVector(weight + (long) LANES * Float.BYTES), b3);
        }
        a0.intoArray(tile, 0);
        b0.intoArray(tile, LANES);
        a1.intoArray(tile, PANEL);
        b1.intoArray(tile, PANEL + LANES);
        a2.intoArray(tile, 2 * PANEL);
        b2.intoArray(tile, 2 * PANEL + LANES);
        a3.intoArray(tile, 3 * PANEL);
        b3.intoArray(tile, 3 * PANEL + LANES);
    }

    private static void tile1(long in, long panel, int depth, float[] tile) {
        FloatVector a = FloatVector.zero(Memory.FLOATS);
        FloatVector b = FloatVector.zero(Memory.FLOATS);
        for (int k = 0; k < depth; k++) {
            long weight = panel + (long) k * PANEL * Float.BYTES;
            FloatVector x = FloatVector.broadcast(Memory.FLOATS, getFloat(in + (long) k * Float.BYTES));
            a = x.fma(getVector(weight), a);
            b = x.fma(getVector(weight + (long) LANES * Float.BYTES), b);
        }
        a.intoArray(tile, 0);
        b.intoArray(tile, LANES);
    }

    void close() {
        packing.free();
        panelMemory.forEach(NativeMemory::free);
    }

    /** Applies bias and epilogue to a tile and writes it to {@code out}; the last panel may hold fewer features. */
    private static void finish(
            CpuLinear weights,
            int panel,
            float[] tile,
            int tileAt,
            long out,
            int firstRow,
            int rows,
            Epilogue epilogue) {
        int firstFeature = panel * PANEL;
        int features = Math.min(PANEL, weights.outFeatures() - firstFeature);
        long bias = weights.bias() + (long) firstFeature * Float.BYTES;
        for (int row = 0; row < rows; row++) {
            long to = out + ((long) (firstRow + row) * weights.outFeatures() + firstFeature) * Float.BYTES;
            int at = tileAt + row * PANEL;
            if (features == PANEL) {
                for (int half = 0; half < PANEL; half += LANES) {
                    FloatVector sum = FloatVector.fromArray(Memory.FLOATS, tile, at + half)
                            .add(getVector(bias + (long) half * Float.BYTES));
                    finishVector(sum, to + (long) half * Float.BYTES, epilogue);
                }
            } else {
                for (int j = 0; j < features; j++) {
                    float sum = tile[at + j] + getFloat(bias + (long) j * Float.BYTES);
                    finishElement(sum, to + (long) j * Float.BYTES, epilogue);
                }
            }
        }
    }

    private static void finishVector(FloatVector sum, long to, Epilogue epilogue) {
        switch (epilogue) {
            case Epilogue.Store store -> setVector(to, sum);
            case Epilogue.AddToOutput add -> setVector(to, getVector(to).add(sum));
            case Epilogue.Activate(Activation activation)
            when activation == Activation.RELU -> setVector(to, sum.max(0));
            case Epilogue.Activate activate -> {
                setVector(to, sum);
                for (int j = 0; j < LANES; j++) {
                    finishElement(getFloat(to + (long) j * Float.BYTES), to + (long) j * Float.BYTES, epilogue);
                }
            }
        }
    }

    private static void finishElement(float sum, long to, Epilogue epilogue) {
        Memory.setFloat(
                to,
                switch (epilogue) {
                    case Epilogue.Store store -> sum;
                    case Epilogue.AddToOutput add -> getFloat(to) + sum;
                    case Epilogue.Activate activate -> Pointwise.activate(activate.activation(), sum);
                });
    }
}
