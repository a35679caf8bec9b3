package io.weft.device;

/**
 * Host memory that the link reaches part by part, from its start on. A device with a real link pins 1.7 GB a second, so
 * that the first part is in use long before the last one is there.
 */
public interface HostRegion {
    /** All of it; only the first {@link #reachableBytes} may be used. */
    HostBuffer memory();

    /** The bytes that the link reaches; any thread may ask. */
    long reachableBytes();

    /**
     * Makes the next part reachable, which takes a while. Steps may run meanwhile, on other threads.
     *
     * @return whether there is more now; false if all was reachable, or if the device is closed
     * @throws DeviceException if the system refuses; what was reachable still is
     */
    boolean extend();

    /** A region that the link reaches as a whole. */
    static HostRegion of(HostBuffer memory) {
        return new HostRegion() {
            @Override
            public HostBuffer memory() {
                return memory;
            }

            @Override
            public long reachableBytes() {
                return memory.bytes();
            }

            @Override
            public boolean extend() {
                return false;
            }
        };
    }
}
