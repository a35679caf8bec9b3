package io.weft.device;

import java.util.List;

/**
 * A queue of operations that run in order. Each call issues an operation and returns without waiting for it. Only one
 * thread may issue at a time. After an operation fails, the later ones of the stream do not run, and every event
 * recorded after it carries the error.
 */
public interface Stream {
    /** The stream's name in messages and timelines. */
    String name();

    /** Marks {@code event} at this point of the stream. */
    void record(Event event);

    /** Lets everything issued later on this stream wait for {@code event}'s last mark. */
    void await(Event event);

    /** Host to device over the link; both have the same length. */
    default void copyToDevice(HostBuffer from, DeviceBuffer to) {
        copyToDevice(List.of(from), to);
    }

    /**
     * Host to device over the link: pieces, one after the other, into {@code to}, which is as long as all of them
     * together.
     */
    void copyToDevice(List<HostBuffer> from, DeviceBuffer to);

    /** Device to host over the link; both have the same length. */
    void copyToHost(DeviceBuffer from, HostBuffer to);

    /** Within device memory; both have the same length and do not overlap. */
    void copyOnDevice(DeviceBuffer from, DeviceBuffer to);

    /** Within device memory; both have the same number of rows of the same length, and do not overlap. */
    void copyOnDevice(DeviceRows from, DeviceRows to);

    /**
     * Frees the memory that kernels on this stream have to themselves. Everything issued must have run. The stream
     * stays usable.
     */
    default void release() {}

    /**
     * Checks the lengths of a copy.
     *
     * @throws IllegalArgumentException if the lengths differ
     */
    static void requireSameLength(long fromBytes, long toBytes) {
        if (fromBytes != toBytes) {
            throw new IllegalArgumentException("copy of " + fromBytes + " bytes to " + toBytes + " bytes");
        }
    }
}
