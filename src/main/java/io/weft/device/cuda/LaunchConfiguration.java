package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A {@code CUlaunchConfig} with one attribute, which lets a kernel start on the multiprocessors while the one before it
 * on the stream still runs. Our kernels wait for that one's end themselves. From compute capability 9.0 on. Belongs to
 * one thread.
 */
final class LaunchConfiguration {
    /** The least compute capability with this attribute. */
    static final int CAPABILITY_LEAST = 90;

    // CUlaunchConfig: grid (3 ints), block (3 ints), shared bytes (int), stream, attributes, number of attributes (int)
    private static final long CONFIGURATION_BYTES = 56;
    private static final long THREADS_AT = 12;
    private static final long SHARED_BYTES_AT = 24;
    private static final long STREAM_AT = 32;
    private static final long ATTRIBUTES_AT = 40;
    private static final long ATTRIBUTE_COUNT_AT = 48;

    // CUlaunchAttribute: id (int), value (a union) at 8
    private static final long ATTRIBUTE_BYTES = 72;
    private static final long VALUE_AT = 8;
    private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

    private final MemorySegment configuration;

    LaunchConfiguration(Arena arena) {
        MemorySegment attribute = arena.allocate(ATTRIBUTE_BYTES, Long.BYTES);
        attribute.set(JAVA_INT, 0, PROGRAMMATIC_STREAM_SERIALIZATION);
        attribute.set(JAVA_INT, VALUE_AT, 1);
        this.configuration = arena.allocate(CONFIGURATION_BYTES, Long.BYTES);
        configuration.set(JAVA_INT, THREADS_AT + Integer.BYTES, 1);
        configuration.set(JAVA_INT, THREADS_AT + 2 * Integer.BYTES, 1);
        configuration.set(JAVA_LONG, ATTRIBUTES_AT, attribute.address());
        configuration.set(JAVA_INT, ATTRIBUTE_COUNT_AT, 1);
    }

    /** The structure for a launch. */
    MemorySegment of(int gridX, int gridY, int gridZ, int threads, int sharedBytes, long stream) {
        configuration.set(JAVA_INT, 0, gridX);
        configuration.set(JAVA_INT, Integer.BYTES, gridY);
        configuration.set(JAVA_INT, 2 * Integer.BYTES, gridZ);
        configuration.set(JAVA_INT, THREADS_AT, threads);
        configuration.set(JAVA_INT, SHARED_BYTES_AT, sharedBytes);
        configuration.set(JAVA_LONG, STREAM_AT, stream);
        return configuration;
    }
}
