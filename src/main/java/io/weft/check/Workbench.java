package io.weft.check;

import io.weft.device.Device;
import io.weft.device.DeviceBuffer;
import io.weft.device.ElementType;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Kernels;
import io.weft.device.Stream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** One device with memory for experiments: values go in and come out as fp32, whatever its element type. */
final class Workbench {
    static final long MEMORY_BYTES = 192L << 20;

    private static final long ALIGNMENT_BYTES = 256;
    private static final int BF16_SHIFT = 16;

    private final Device device;
    private final DeviceBuffer memory;
    private final HostBuffer staging;
    private final Stream stream;
    private final Event done;
    private long usedBytes;

    Workbench(Device device) {
        this.device = device;
        this.memory = device.allocate("kernel checks", MEMORY_BYTES);
        this.staging = device.allocateHost("kernel checks", MEMORY_BYTES);
        this.stream = device.stream("checks");
        this.done = device.event(Event.Timing.UNTIMED);
    }

    Device device() {
        return device;
    }

    Kernels kernels() {
        return device.kernels();
    }

    Stream stream() {
        return stream;
    }

    ElementType elementType() {
        return device.elementType();
    }

    int elementBytes() {
        return device.elementType().bytes();
    }

    /** Waits for everything issued and frees all memory. */
    void clear() {
        finish();
        usedBytes = 0;
    }

    void finish() {
        stream.record(done);
        done.join();
    }

    /** Memory that holds NaN in every element type, so that elements that were not written show. */
    DeviceBuffer poisoned(long bytes) {
        long offset = usedBytes;
        usedBytes = Math.ceilDiv(offset + bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
        DeviceBuffer buffer = memory.slice(offset, bytes);
        HostBuffer host = staging.slice(0, bytes);
        host.segment().fill((byte) 0xff);
        stream.copyToDevice(host, buffer);
        finish();
        return buffer;
    }

    /** Memory for {@code count} elements, poisoned. */
    DeviceBuffer elements(long count) {
        return poisoned(count * elementBytes());
    }

    /** Values in the device's element type. */
    DeviceBuffer elements(float[] values) {
        DeviceBuffer buffer = poisoned((long) values.length * elementBytes());
        write(buffer, values);
        return buffer;
    }

    void write(DeviceBuffer to, float[] values) {
        HostBuffer host = staging.slice(0, (long) values.length * elementBytes());
        for (int i = 0; i < values.length; i++) {
            encode(device.elementType(), host.segment(), i, values[i]);
        }
        stream.copyToDevice(host, to.slice(0, host.bytes()));
        finish();
    }

    DeviceBuffer ints(int[] values) {
        return bytes(MemorySegment.ofArray(values));
    }

    DeviceBuffer longs(long[] values) {
        return bytes(MemorySegment.ofArray(values));
    }

    DeviceBuffer bytes(MemorySegment values) {
        DeviceBuffer buffer = poisoned(values.byteSize());
        HostBuffer host = staging.slice(0, buffer.bytes());
        host.segment().copyFrom(values);
        stream.copyToDevice(host, buffer);
        finish();
        return buffer;
    }

    /** All elements of a buffer, widened. */
    float[] read(DeviceBuffer buffer) {
        HostBuffer host = fetch(buffer);
        float[] values = new float[Math.toIntExact(buffer.bytes() / elementBytes())];
        for (int i = 0; i < values.length; i++) {
            values[i] = decode(device.elementType(), host.segment(), i);
        }
        return values;
    }

    float[] readFloats(DeviceBuffer buffer) {
        return fetch(buffer).segment().toArray(ValueLayout.JAVA_FLOAT);
    }

    byte[] readBytes(DeviceBuffer buffer) {
        return fetch(buffer).segment().toArray(ValueLayout.JAVA_BYTE);
    }

    int[] readInts(DeviceBuffer buffer) {
        return fetch(buffer).segment().toArray(ValueLayout.JAVA_INT);
    }

    private HostBuffer fetch(DeviceBuffer buffer) {
        HostBuffer host = staging.slice(0, buffer.bytes());
        stream.copyToHost(buffer, host);
        finish();
        return host;
    }

    static void encode(ElementType type, MemorySegment to, long index, float value) {
        switch (type) {
            case F32 -> to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, index * Float.BYTES, value);
            case F16 -> to.set(ValueLayout.JAVA_SHORT_UNALIGNED, index * Short.BYTES, Float.floatToFloat16(value));
            case BF16 -> to.set(ValueLayout.JAVA_SHORT_UNALIGNED, index * Short.BYTES, toBf16(value));
        }
    }

    static float decode(ElementType type, MemorySegment from, long index) {
        return switch (type) {
            case F32 -> from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, index * Float.BYTES);
            case F16 -> Float.float16ToFloat(from.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * Short.BYTES));
            case BF16 ->
                Float.intBitsToFloat(from.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * Short.BYTES) << BF16_SHIFT);
        };
    }

    /** The bits of the nearest number of an element type. */
    static int bits(ElementType type, float value) {
        return switch (type) {
            case F32 -> Float.floatToRawIntBits(value);
            case F16 -> Short.toUnsignedInt(Float.floatToFloat16(value));
            case BF16 -> Short.toUnsignedInt(toBf16(value));
        };
    }

    /** The number of an element type with these bits. */
    static float widen(ElementType type, int bits) {
        return switch (type) {
            case F32 -> Float.intBitsToFloat(bits);
            case F16 -> Float.float16ToFloat((short) bits);
            case BF16 -> Float.intBitsToFloat(bits << BF16_SHIFT);
        };
    }

    /** Rounds to nearest, ties to even. */
    private static short toBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> BF16_SHIFT) | 1);
        }
        int rounding = 0x7fff + ((bits >>> BF16_SHIFT) & 1);
        return (short) ((bits + rounding) >>> BF16_SHIFT);
    }

    /** The nearest number of an element type. */
    static float round(ElementType type, float value) {
        return switch (type) {
            case F32 -> value;
            case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
            case BF16 -> Float.intBitsToFloat(toBf16(value) << BF16_SHIFT);
        };
    }
}
