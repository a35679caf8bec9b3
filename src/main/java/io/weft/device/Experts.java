package io.weft.device;

/** The experts of a layer on the device, in its own layout. Every expert has its matrices in one allocation. */
public interface Experts {
    ExpertShape shape();

    /** Bytes of device memory that the weights take. */
    long bytes();

    /**
     * Bytes of scratch memory with which {@link Kernels#experts} takes {@code rows} rows at once. With less it takes
     * fewer at a time, and reads an expert as often; it needs those for one row.
     *
     * @param chosen experts of a row
     */
    long scratchBytes(int rows, int chosen);

    /** The most of {@code rows} rows for which {@code bytes} bytes of scratch memory suffice; at least 1. */
    default int rowsAtOnce(int rows, int chosen, long bytes) {
        int most = rows;
        while (most > 1 && scratchBytes(most, chosen) > bytes) {
            long fitting = (long) most * bytes / scratchBytes(most, chosen);
            most = Math.clamp(fitting, 1, most - 1);
        }
        return most;
    }
}
