package io.weft.profile;

import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/** The memory of measurements; each divides it anew. */
final class Scratch {
    private static final long ALIGNMENT_BYTES = 256;
    /**
     * The length of noise before it repeats: a GPU that multiplies the same rows again and again runs cooler and
     * faster.
     */
    private static final long NOISE_BYTES_MOST = 4L << 20;
    /**
     * The end of device memory is reserved for copies that arrive while something else is measured: this part of it,
     */
    private static final int ARRIVALS_PART = 8;
    /** but no more than several times the size of a GPU's cache. */
    private static final long ARRIVALS_BYTES_MAX = 256L << 20;
    /** Larger copies are no faster. */
    private static final long ARRIVAL_BYTES_MAX = 16L << 20;
    /**
     * Work that runs before a measurement needs index arrays that do not change: this part of device memory is zeros,
     */
    private static final int ZEROS_PART = 16;
    /** but no more than such arrays need. */
    private static final long ZEROS_BYTES_MAX = 64L << 10;

    private final Device device;
    private final ProfilingMemory memory;
    private final Stream stream;
    /** The place of the last copy that arrived. */
    private long arrived;
    /** Bytes from the start that no division gets. */
    private long keptBytes;

    Scratch(Device device, ProfilingMemory memory, Stream stream) {
        this.device = device;
        this.memory = memory;
        this.stream = stream;
    }

    /** The bytes of device memory except for {@link #arrivals} and {@link #zeros}. */
    long deviceBytes() {
        return memory.device().bytes() - arrivalsBytes() - zerosBytes();
    }

    private long zerosBytes() {
        long part = Math.min(ZEROS_BYTES_MAX, memory.device().bytes() / ZEROS_PART);
        return part / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    }

    /** Device memory that holds zeros; empty if there is not enough. */
    Optional<DeviceBuffer> zeros(long bytes) {
        return bytes <= zerosBytes()
                ? Optional.of(memory.device().slice(deviceBytes() + arrivalsBytes(), bytes))
                : Optional.empty();
    }

    private long arrivalsBytes() {
        long part = Math.min(ARRIVALS_BYTES_MAX, memory.device().bytes() / ARRIVALS_PART);
        return part / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    }

    /** The bytes of a copy that may arrive while something else is measured. */
    long arrivalBytes() {
        return Math.min(ARRIVAL_BYTES_MAX, Math.min(hostBytes(), arrivalsBytes()));
    }

    /** The place for such a copy: memory that nothing else uses, after the copy before. */
    DeviceBuffer arrivals(long bytes) {
        arrived = arrived + 2 * bytes <= arrivalsBytes() ? arrived + bytes : 0;
        return memory.device().slice(deviceBytes() + arrived, bytes);
    }

    long hostBytes() {
        return memory.host().bytes();
    }

    /** The first {@code bytes} bytes of device memory. */
    DeviceBuffer device(long bytes) {
        return memory.device().slice(0, bytes);
    }

    /** The first {@code bytes} bytes of host memory. */
    HostBuffer host(long bytes) {
        return memory.host().slice(0, bytes);
    }

    /**
     * Fills device memory with numbers of ordinary size: a GPU that multiplies zeros runs cooler and faster than usual,
     * and a CPU slows down on denormal numbers.
     */
    void fillWithNoise() {
        HostBuffer noise = host(Math.min(NOISE_BYTES_MOST, hostBytes()));
        SplittableRandom random = new SplittableRandom(1);
        switch (device.elementType()) {
            case F32 -> {
                for (long i = 0; i < noise.bytes() / Float.BYTES; i++) {
                    noise.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextDouble(-1, 1));
                }
            }
            case F16, BF16 -> {
                for (long i = 0; i < noise.bytes() / Short.BYTES; i++) {
                    noise.segment().setAtIndex(ValueLayout.JAVA_SHORT, i, half(random));
                }
            }
        }
        DeviceBuffer all = memory.device();
        long filled = Math.min(noise.bytes(), all.bytes());
        stream.copyToDevice(noise.slice(0, filled), all.slice(0, filled));
        while (filled < all.bytes()) {
            long bytes = Math.min(filled, all.bytes() - filled);
            stream.copyOnDevice(all.slice(0, bytes), all.slice(filled, bytes));
            filled += bytes;
        }
        finish();
        zeros(zerosBytes()).ifPresent(zeros -> upload(MemorySegment.ofArray(new byte[(int) zeros.bytes()]), zeros));
    }

    private short half(SplittableRandom random) {
        float value = (float) random.nextDouble(-1, 1);
        return device.elementType() == ElementType.F16
                ? Float.floatToFloat16(value)
                : (short) (Float.floatToRawIntBits(value) >>> 16);
    }

    /** Copies index arrays to the device. */
    void upload(MemorySegment array, DeviceBuffer to) {
        long done = 0;
        while (done < array.byteSize()) {
            long bytes = Math.min(array.byteSize() - done, hostBytes());
            HostBuffer host = host(bytes);
            host.segment().copyFrom(array.asSlice(done, bytes));
            stream.copyToDevice(host, to.slice(done, bytes));
            finish();
            done += bytes;
        }
    }

    /** Issues work that prepares a measurement, and waits for it. */
    void run(Consumer<Stream> work) {
        work.accept(stream);
        finish();
    }

    private void finish() {
        Event done = device.event(Event.Timing.UNTIMED);
        stream.record(done);
        done.join();
    }

    /** A division of device memory, except for {@linkplain #keep kept} parts. All divisions use the same memory. */
    Division divide() {
        return new Division();
    }

    /** Later divisions leave out the parts of this one, for work that runs at the same time as other work. */
    void keep(Division division) {
        keptBytes = division.usedBytes;
    }

    /** Keeps no parts any more. */
    void keepNothing() {
        keptBytes = 0;
    }

    /** Hands out parts of device memory in order; {@link #fits} says whether there was enough. */
    final class Division {
        private long usedBytes = keptBytes;
        private boolean fits = true;

        /** The next {@code bytes} bytes; an empty buffer once memory has run out. */
        DeviceBuffer take(long bytes) {
            long offset = usedBytes;
            usedBytes = Math.ceilDiv(offset + bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
            fits = fits && offset + bytes <= deviceBytes();
            return fits ? memory.device().slice(offset, bytes) : memory.device().slice(0, 0);
        }

        boolean fits() {
            return fits;
        }

        /** The bytes after the last part. */
        long restBytes() {
            return Math.max(0, deviceBytes() - usedBytes);
        }
    }
}
