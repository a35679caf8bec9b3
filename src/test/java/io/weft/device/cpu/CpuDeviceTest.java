package io.weft.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceException;
import io.weft.device.DeviceRows;
import io.weft.device.ElementType;
import io.weft.device.Embedding;
import io.weft.device.Event;
import io.weft.device.Graph;
import io.weft.device.HostBuffer;
import io.weft.device.OutOfMemoryBudgetException;
import io.weft.device.Stream;
import io.weft.device.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Memory, streams and events. */
class CpuDeviceTest {
    private static CpuDevice device(OptionalDouble linkGigabytesPerSecond) {
        return new CpuDevice(new CpuOptions(16 << 20, 16 << 20, linkGigabytesPerSecond, 2));
    }

    @Test
    void budgetsHoldAndNameTheirSetting() {
        try (CpuDevice device = device(OptionalDouble.empty())) {
            device.allocate("weights", 10 << 20);
            assertThatThrownBy(() -> device.allocate("staging", 8 << 20))
                    .isInstanceOf(OutOfMemoryBudgetException.class)
                    .hasMessageContaining("staging needs 8,388,608 bytes")
                    .hasMessageContaining("10,485,760 of the 16,777,216")
                    .hasMessageContaining("weft.device-memory");
            assertThatThrownBy(() -> device.allocateHost("cache", 17 << 20))
                    .isInstanceOf(OutOfMemoryBudgetException.class)
                    .hasMessageContaining("weft.host-memory");
            device.allocate("staging", 6 << 20);
            assertThat(device.allocations()).hasSize(2);
        }
    }

    @Test
    void nothingIsGivenOutBehindClose() {
        CpuDevice device = device(OptionalDouble.empty());
        Stream stream = device.stream("compute");
        device.close();
        device.close();
        assertThatThrownBy(() -> device.allocate("late", 1)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> stream.record(device.event(Event.Timing.UNTIMED)))
                .isInstanceOf(IllegalStateException.class);
    }

    /** Random copies between cells of memory on three streams, ordered by events, do what they do in one stream. */
    @Test
    void eventsOrderStreams() {
        Random random = new Random(1);
        try (CpuDevice device = device(OptionalDouble.of(1))) {
            List<Stream> streams = List.of(device.stream("a"), device.stream("b"), device.stream("c"));
            int cells = 8;
            int cellBytes = 4096;
            DeviceBuffer memory = device.allocate("cells", (long) cells * cellBytes);
            HostBuffer host = device.allocateHost("cells", (long) cells * cellBytes);
            for (int round = 0; round < 50; round++) {
                int[] onDevice = new int[cells];
                int[] onHost = new int[cells];
                for (int cell = 0; cell < cells; cell++) {
                    onHost[cell] = random.nextInt(100);
                    onDevice[cell] = onHost[cell];
                    host.slice((long) cell * cellBytes, cellBytes).segment().fill((byte) onHost[cell]);
                }
                streams.getFirst().copyToDevice(host, memory);
                Event last = device.event(Event.Timing.UNTIMED);
                streams.getFirst().record(last);
                for (int i = 0; i < 40; i++) {
                    Stream stream = streams.get(random.nextInt(3));
                    stream.await(last);
                    int from = random.nextInt(cells);
                    int to = (from + 1 + random.nextInt(cells - 1)) % cells;
                    DeviceBuffer fromCell = memory.slice((long) from * cellBytes, cellBytes);
                    DeviceBuffer toCell = memory.slice((long) to * cellBytes, cellBytes);
                    switch (random.nextInt(3)) {
                        case 0 -> {
                            stream.copyOnDevice(fromCell, toCell);
                            onDevice[to] = onDevice[from];
                        }
                        case 1 -> {
                            stream.copyToHost(fromCell, host.slice((long) to * cellBytes, cellBytes));
                            onHost[to] = onDevice[from];
                        }
                        default -> {
                            stream.copyToDevice(host.slice((long) from * cellBytes, cellBytes), toCell);
                            onDevice[to] = onHost[from];
                        }
                    }
                    last = device.event(Event.Timing.UNTIMED);
                    stream.record(last);
                }
                Stream end = streams.get(random.nextInt(3));
                end.await(last);
                HostBuffer seen = device.allocateHost("seen", (long) cells * cellBytes);
                end.copyToHost(memory, seen);
                Event done = device.event(Event.Timing.UNTIMED);
                end.record(done);
                done.join();
                for (int cell = 0; cell < cells; cell++) {
                    assertThat(all(seen.slice((long) cell * cellBytes, cellBytes)))
                            .isEqualTo(onDevice[cell]);
                    assertThat(all(host.slice((long) cell * cellBytes, cellBytes)))
                            .isEqualTo(onHost[cell]);
                }
            }
        }
    }

    /** The value of all bytes. */
    private static int all(HostBuffer cell) {
        byte first = cell.segment().get(ValueLayout.JAVA_BYTE, 0);
        for (long i = 1; i < cell.bytes(); i++) {
            assertThat(cell.segment().get(ValueLayout.JAVA_BYTE, i)).isEqualTo(first);
        }
        return first;
    }

    @Test
    void aLimitedLinkIsNotFasterThanItsLimitAndEachDirectionHasItsOwn() {
        try (CpuDevice device = device(OptionalDouble.of(0.05))) {
            Stream in = device.stream("in");
            Stream out = device.stream("out");
            int bytes = 1 << 20;
            HostBuffer host = device.allocateHost("from", bytes);
            DeviceBuffer memory = device.allocate("to", bytes);
            HostBuffer other = device.allocateHost("other", bytes);
            Event end = device.event(Event.Timing.UNTIMED);
            long startedNanos = System.nanoTime();
            for (int i = 0; i < 4; i++) {
                in.copyToDevice(host.slice(i * (bytes / 4L), bytes / 4), memory.slice(i * (bytes / 4L), bytes / 4));
                out.copyToHost(memory.slice(i * (bytes / 4L), bytes / 4), other.slice(i * (bytes / 4L), bytes / 4));
            }
            in.record(end);
            end.join();
            double nanosAtLimit = bytes / 0.05;
            assertThat((double) (System.nanoTime() - startedNanos)).isGreaterThanOrEqualTo(nanosAtLimit);
        }
    }

    @Test
    void anEventThatWasNeverRecordedCountsAsReached() {
        try (CpuDevice device = device(OptionalDouble.empty())) {
            Event event = device.event(Event.Timing.UNTIMED);
            assertThat(event.isReached()).isTrue();
            event.join();
            device.stream("a").await(event);
        }
    }

    @Test
    void timesComeFromTimedEventsAlone() {
        try (CpuDevice device = device(OptionalDouble.empty())) {
            Stream stream = device.stream("a");
            Event timed = device.event(Event.Timing.TIMED);
            Event untimed = device.event(Event.Timing.UNTIMED);
            stream.record(timed);
            stream.record(untimed);
            untimed.join();
            assertThat(timed.nanosSince(timed)).isZero();
            assertThatThrownBy(() -> untimed.nanosSince(timed)).isInstanceOf(IllegalStateException.class);
        }
    }

    /** A failed operation stops its stream, and through events every stream that waits for it. */
    @Test
    void aFailureReachesEveryEventBehindIt() throws Exception {
        try (CpuDevice device = device(OptionalDouble.empty())) {
            Stream compute = device.stream("compute");
            Stream out = device.stream("out");
            Embedding table = device.embedding(
                    new TensorView("t", ElementType.F32, List.of(4, 8), MemorySegment.ofArray(new float[32])),
                    null,
                    0,
                    1);
            DeviceBuffer ids = device.allocate("ids", Integer.BYTES);
            DeviceBuffer to = device.allocate("out", 8 * Float.BYTES);
            HostBuffer hostIds = device.allocateHost("ids", Integer.BYTES);
            hostIds.segment().set(ValueLayout.JAVA_INT, 0, 1_000_000);
            compute.copyToDevice(hostIds, ids);
            device.kernels().embed(compute, table, ids, ids, to, 1);
            Event embedded = device.event(Event.Timing.UNTIMED);
            compute.record(embedded);
            out.await(embedded);
            HostBuffer untouched = device.allocateHost("untouched", 8 * Float.BYTES);
            untouched.segment().fill((byte) 7);
            out.copyToHost(to, untouched);
            Event end = device.event(Event.Timing.UNTIMED);
            out.record(end);
            assertThatThrownBy(end::join).isInstanceOf(DeviceException.class);
            CompletableFuture<Throwable> told = new CompletableFuture<>();
            end.onReached(told::complete);
            assertThat(told.get()).isInstanceOf(DeviceException.class);
            assertThat(untouched.segment().get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 7);
        }
    }

    @Test
    void aGraphRunsWhatWasCapturedWheneverItIsLaunched() {
        try (CpuDevice device = device(OptionalDouble.empty())) {
            Stream stream = device.stream("compute");
            Event done = device.event(Event.Timing.UNTIMED);
            HostBuffer host = device.allocateHost("host", 2 * 64);
            HostBuffer in = host.slice(0, 64);
            HostBuffer out = host.slice(64, 64);
            DeviceBuffer memory = device.allocate("memory", 2 * 64);
            DeviceBuffer from = memory.slice(0, 64);
            DeviceBuffer to = memory.slice(64, 64);
            Graph graph =
                    device.capture(stream, () -> stream.copyOnDevice(from, to)).orElseThrow();
            for (byte value = 0; value < 3; value++) {
                in.segment().fill(value);
                stream.copyToDevice(in, from);
                stream.copyToHost(to, out);
                stream.record(done);
                done.join();
                byte before = value;
                if (value > 0) {
                    assertThat(all(out)).as("nothing runs by itself").isEqualTo(before - 1);
                }
                graph.launch(stream);
                stream.copyToHost(to, out);
                stream.record(done);
                done.join();
                assertThat(all(out)).isEqualTo(before);
            }
            assertThatThrownBy(() -> device.capture(stream, () -> stream.record(done)))
                    .isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> device.capture(stream, () -> stream.await(done)))
                    .isInstanceOf(IllegalStateException.class);
            graph.close();
            assertThatThrownBy(() -> graph.launch(stream)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void rowsAreCopiedBetweenPitches() {
        try (CpuDevice device = device(OptionalDouble.empty())) {
            Stream stream = device.stream("compute");
            Event done = device.event(Event.Timing.UNTIMED);
            HostBuffer host = device.allocateHost("host", 15);
            DeviceBuffer memory = device.allocate("memory", 15);
            for (int i = 0; i < 15; i++) {
                host.segment().set(ValueLayout.JAVA_BYTE, i, (byte) i);
            }
            stream.copyToDevice(host, memory);
            DeviceBuffer to = memory.from(9);
            stream.copyOnDevice(new DeviceRows(memory.from(1), 4, 2, 2), new DeviceRows(to, 3, 2, 2));
            stream.copyToHost(memory, host);
            stream.record(done);
            done.join();
            assertThat(host.segment().toArray(ValueLayout.JAVA_BYTE))
                    .containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 11, 5, 6, 14);
            DeviceRows three = new DeviceRows(to, 2, 2, 3);
            assertThatThrownBy(() -> stream.copyOnDevice(three, new DeviceRows(memory, 2, 2, 2)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("3 rows of 2 bytes to 2 rows");
            assertThatThrownBy(() -> new DeviceRows(to, 3, 2, 3)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> new DeviceRows(to, 1, 2, 1)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void copiesOfUnequalLengthAreRefused() {
        try (CpuDevice device = device(OptionalDouble.empty())) {
            Stream stream = device.stream("a");
            List<Runnable> copies = new ArrayList<>();
            copies.add(() -> stream.copyToDevice(device.allocateHost("h", 8), device.allocate("d", 4)));
            copies.add(() -> stream.copyToHost(device.allocate("d", 8), device.allocateHost("h", 4)));
            copies.add(() -> stream.copyOnDevice(device.allocate("d", 8), device.allocate("d", 4)));
            for (Runnable copy : copies) {
                assertThatThrownBy(copy::run)
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("8 bytes to 4 bytes");
            }
        }
    }
}
