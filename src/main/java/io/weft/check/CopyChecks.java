package io.weft.check;

import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceRows;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Checks operations that move numbers without changing them: copies by streams and by kernels. */
final class CopyChecks {
    private final CheckBench bench;
    private final Workbench tested;

    CopyChecks(CheckBench bench) {
        this.bench = bench;
        this.tested = bench.tested();
    }

    void run() {
        onDevice();
        pieces();
        rowsBetweenPitches();
        gatheredRows();
        floats();
    }

    private void onDevice() {
        for (int count : new int[] {1, 7, 33, 257, 1 << 20}) {
            float[] in = bench.values(count, 1);
            tested.clear();
            DeviceBuffer first = tested.elements(in);
            DeviceBuffer second = tested.elements(count);
            Stream other = bench.device().stream("copies " + count);
            Event arrived = bench.device().event(Event.Timing.TIMED);
            Event copied = bench.device().event(Event.Timing.TIMED);
            tested.stream().record(arrived);
            other.await(arrived);
            other.copyOnDevice(first, second);
            other.record(copied);
            tested.stream().await(copied);
            bench.sameBits("copies of %d elements".formatted(count), in, tested.read(second));
            bench.holds(
                    "events around a copy of %d elements".formatted(count),
                    copied.isReached() && copied.nanosSince(arrived) >= 0);
        }
    }

    /** Pieces of unequal length from the host, the last in memory first. */
    private void pieces() {
        for (int count : new int[] {1, 7, 33, 257}) {
            int[] starts = new int[count + 1];
            for (int i = 0; i < count; i++) {
                starts[i + 1] = starts[i] + 1 + 37 * i % 101;
            }
            int elements = starts[count];
            float[] in = bench.values(elements, 1);
            float[] expected = new float[elements];
            HostBuffer host = bench.device().allocateHost("pieces", (long) elements * tested.elementBytes());
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
                Workbench.encode(bench.type(), host.segment(), i, in[i]);
            }
            DeviceBuffer fromHost = tested.elements(elements);
            tested.stream().copyToDevice(onHost, fromHost);
            bench.sameBits("%d pieces from the host".formatted(count), expected, tested.read(fromHost));
            DeviceBuffer whole = tested.elements(elements);
            tested.kernels().readHost(tested.stream(), host.slice(0, whole.bytes()), whole);
            bench.sameBits("readHost of %d bytes".formatted(whole.bytes()), in, tested.read(whole));
        }
    }

    /** Blocks of both contents in several layers become blocks of one. */
    private void rowsBetweenPitches() {
        int rows = 7;
        for (int width : new int[] {1, 33, 4096}) {
            int pitch = 3 * width;
            float[] in = bench.values(rows * pitch, 1);
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
            bench.sameBits("copies of %d rows of %d elements".formatted(rows, width), expected, tested.read(to));
        }
    }

    private void gatheredRows() {
        for (int width : new int[] {1, 33, 64, 20_011}) {
            for (int rows : bench.rowCounts()) {
                String name = "gatherRows %d x %d".formatted(rows, width);
                bench.attempt(name, () -> gatheredRows(name, rows, width));
            }
        }
    }

    private void gatheredRows(String name, int rows, int width) {
        float[] in = bench.values(rows * width, 1);
        int[] order = bench.permutation(rows);
        float[] expected = new float[in.length];
        for (int row = 0; row < rows; row++) {
            System.arraycopy(in, order[row] * width, expected, row * width, width);
        }
        tested.clear();
        int rowBytes = width * tested.elementBytes();
        long[] offsets =
                Arrays.stream(order).mapToLong(row -> (long) row * rowBytes).toArray();
        DeviceBuffer out = tested.elements(in.length);
        tested.kernels().gatherRows(tested.stream(), tested.elements(in), rowBytes, tested.longs(offsets), out, rows);
        bench.sameBits(name, expected, tested.read(out));
    }

    private void floats() {
        for (int width : new int[] {1, 33, 384, 5001}) {
            for (int rows : bench.rowCounts()) {
                String name = "toFloat %d x %d".formatted(rows, width);
                bench.attempt(name, () -> {
                    float[] in = bench.values(rows * width, 1);
                    tested.clear();
                    DeviceBuffer out = tested.poisoned((long) in.length * Float.BYTES);
                    tested.kernels().toFloat(tested.stream(), tested.elements(in), out, in.length);
                    bench.sameBits(name, in, tested.readFloats(out));
                });
            }
        }
    }
}
