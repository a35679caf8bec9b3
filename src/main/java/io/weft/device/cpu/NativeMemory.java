package io.weft.device.cpu;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** {@code malloc} and {@code free}: unlike an arena's memory, pages that are never touched cost nothing. */
final class NativeMemory {
    /** The alignment of every allocation: a cache line, and the widest vector. */
    static final long ALIGNMENT_BYTES = 64;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MALLOC = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("malloc"),
            FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
    private static final MethodHandle FREE = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("free"), FunctionDescriptor.ofVoid(ValueLayout.ADDRESS));

    private final MemorySegment raw;
    private final MemorySegment aligned;

    /**
     * Allocates memory with undefined contents.
     *
     * @throws OutOfMemoryError if the system has none
     */
    NativeMemory(long bytes) {
        this.raw = malloc(bytes + ALIGNMENT_BYTES);
        long padding = -raw.address() & (ALIGNMENT_BYTES - 1);
        this.aligned = raw.reinterpret(bytes + ALIGNMENT_BYTES).asSlice(padding, bytes);
    }

    private static MemorySegment malloc(long bytes) {
        MemorySegment memory;
        try {
            memory = (MemorySegment) MALLOC.invokeExact(bytes);
        } catch (Throwable e) {
            throw new AssertionError("malloc does not throw", e);
        }
        if (memory.address() == 0) {
            throw new OutOfMemoryError("malloc of " + bytes + " bytes failed");
        }
        return memory;
    }

    MemorySegment segment() {
        return aligned;
    }

    void free() {
        try {
            FREE.invokeExact(raw);
        } catch (Throwable e) {
            throw new AssertionError("free does not throw", e);
        }
    }
}
