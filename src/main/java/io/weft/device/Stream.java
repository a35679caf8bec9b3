package io.weft.device;

import java.util.List;

/**
 * Work in order. Each call issues an operation and returns without waiting for it. One thread issues at a time. After
 * an operation has failed, the later ones of the stream do not run, and every event recorded behind it carries the
 * error.
 */
public interface Stream {
    /** For messages and timelines. */
    String name();

    /** Marks {@code event} here. */
    void record(Event event);

    /** Lets everything issued later on this stream wait for {@code event}'s last mark. */
    void await(Event event);

    /** Host to device over the link; both have the same length. */
    default void copyToDevice(HostBuffer from, DeviceBuffer to) {
        copyToDevice(List.of(from), to);
    }

    /** Host to device over the link: pieces, one behind the other, into {@code to}, which is as long as all of them. */
    void copyToDevice(List<HostBuffer> from, DeviceBuffer to);

    /** Device to host over the link; both have the same length. */
    void copyToHost(DeviceBuffer from, HostBuffer to);

    /** Within device memory; both have the same length and do not overlap. */
    void copyOnDevice(DeviceBuffer from, DeviceBuffer to);

    /** Within device memory; both are as many rows of one length, and do not overlap. */
    void copyOnDevice(DeviceRows from, DeviceRows to);

    /** Gives back what kernels on this stream had to themselves; what was issued has run. It may be used again. */
    default void release() {}

    /**
     * What every copy checks.
     *
     * @throws IllegalArgumentException if it is from more or fewer bytes than to
     */
    static void requireSameLength(long fromBytes, long toBytes) {
        if (fromBytes != toBytes) {
            throw new IllegalArgumentException("copy of " + fromBytes + " bytes to " + toBytes + " bytes");
        }
    }
}
