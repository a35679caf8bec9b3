package io.weft.device;

import java.util.concurrent.Semaphore;

/** A region that the link reaches when a test says so, and that may be refused from some byte on. */
public final class GrowingRegion implements HostRegion {
    private final HostBuffer memory;
    private final long partBytes;
    private final long refusedBytes;
    private final Semaphore allowed = new Semaphore(0);
    private volatile long reachableBytes;
    private volatile boolean closed;

    /**
     * @param partBytes bytes by which it grows
     * @param refusedBytes parts that end after this many bytes are refused
     */
    public GrowingRegion(HostBuffer memory, long partBytes, long refusedBytes) {
        this.memory = memory;
        this.partBytes = partBytes;
        this.refusedBytes = refusedBytes;
    }

    /** Lets {@link #extendWhenAllowed} go on by some parts. */
    public void allow(int parts) {
        allowed.release(parts);
    }

    /** As a device that closes: nothing is added any more. */
    public void close() {
        closed = true;
        allowed.release();
    }

    /** This region, which only grows as far as it is {@linkplain #allow allowed} to; who extends it waits. */
    public HostRegion extendWhenAllowed() {
        return new HostRegion() {
            @Override
            public HostBuffer memory() {
                return memory;
            }

            @Override
            public long reachableBytes() {
                return reachableBytes;
            }

            @Override
            public boolean extend() {
                allowed.acquireUninterruptibly();
                return GrowingRegion.this.extend();
            }
        };
    }

    @Override
    public HostBuffer memory() {
        return memory;
    }

    @Override
    public long reachableBytes() {
        return reachableBytes;
    }

    @Override
    public boolean extend() {
        if (closed || reachableBytes == memory.bytes()) {
            return false;
        }
        long next = Math.min(memory.bytes(), reachableBytes + partBytes);
        if (next > refusedBytes) {
            throw new DeviceException("no more than " + refusedBytes + " bytes can be pinned");
        }
        reachableBytes = next;
        return true;
    }
}
