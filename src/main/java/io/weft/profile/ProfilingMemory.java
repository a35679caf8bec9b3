package io.weft.profile;

import io.weft.device.DeviceBuffer;
import io.weft.device.HostBuffer;

/**
 * Memory that measuring may overwrite. The more there is, the larger the sizes that are measured; it is not needed
 * afterwards, so staging memory and the host's cache can serve.
 *
 * @param device device memory
 * @param host host memory that the link reaches
 */
public record ProfilingMemory(DeviceBuffer device, HostBuffer host) {
    /** The least host memory: enough to fill device memory with a pattern and to write index arrays. */
    static final long HOST_BYTES_LEAST = 64 << 10;

    public ProfilingMemory {
        if (host.bytes() < HOST_BYTES_LEAST) {
            throw new IllegalArgumentException("host memory for profiling is %,d bytes, must be at least %,d"
                    .formatted(host.bytes(), HOST_BYTES_LEAST));
        }
    }
}
