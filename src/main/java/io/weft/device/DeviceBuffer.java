package io.weft.device;

/**
 * A range of device memory. Only the device can use the address. Kernels check ranges when a call is issued, never per
 * element.
 *
 * @param address device address of the first byte
 * @param bytes length of the range
 */
public record DeviceBuffer(long address, long bytes) {
    public DeviceBuffer {
        if (bytes < 0) {
            throw new IllegalArgumentException("bytes is " + bytes + ", must not be negative");
        }
    }

    /**
     * Checks that it is large enough.
     *
     * @param name for the message
     * @throws IllegalArgumentException if it has fewer bytes
     */
    public void requireBytes(String name, long bytes) {
        if (this.bytes < bytes) {
            throw new IllegalArgumentException(name + " has " + this.bytes + " bytes, must have at least " + bytes);
        }
    }

    /** The {@code bytes} bytes that start {@code offset} bytes into this buffer. */
    public DeviceBuffer slice(long offset, long bytes) {
        if (offset < 0 || bytes < 0 || offset > this.bytes - bytes) {
            throw new IndexOutOfBoundsException(
                    "slice of " + bytes + " bytes at " + offset + " does not fit a buffer of " + this.bytes + " bytes");
        }
        return new DeviceBuffer(address + offset, bytes);
    }

    /** The rest of this buffer, from {@code offset} on. */
    public DeviceBuffer from(long offset) {
        return slice(offset, bytes - offset);
    }
}
