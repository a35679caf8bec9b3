package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The arguments of one kernel launch: eight bytes each at fixed addresses, so the array of their addresses is written
 * only once. The driver copies the arguments during the launch. Belongs to one thread.
 */
final class ArgumentBlock {
    /** The most arguments of a kernel. */
    static final int SLOTS = 32;

    private final LaunchConfiguration configuration;
    private final MemorySegment slots;
    private final MemorySegment addresses;
    private int used;

    ArgumentBlock(Arena arena) {
        this.configuration = new LaunchConfiguration(arena);
        this.slots = arena.allocate(SLOTS * Long.BYTES, Long.BYTES);
        this.addresses = arena.allocate(SLOTS * Long.BYTES, Long.BYTES);
        for (int i = 0; i < SLOTS; i++) {
            addresses.setAtIndex(JAVA_LONG, i, slots.address() + (long) i * Long.BYTES);
        }
    }

    /** The configuration of the launch with these arguments. */
    LaunchConfiguration configuration() {
        return configuration;
    }

    /** Forgets the arguments of the previous launch. */
    ArgumentBlock start() {
        used = 0;
        return this;
    }

    /** Adds an argument of 64 bits. */
    ArgumentBlock add(long value) {
        slots.setAtIndex(JAVA_LONG, used++, value);
        return this;
    }

    /** Adds an argument of 32 bits. */
    ArgumentBlock add(int value) {
        slots.set(JAVA_INT, (long) used++ * Long.BYTES, value);
        return this;
    }

    /** Adds an fp32 argument. */
    ArgumentBlock add(float value) {
        slots.set(JAVA_FLOAT, (long) used++ * Long.BYTES, value);
        return this;
    }

    /** Arguments added since {@link #start}. */
    int count() {
        return used;
    }

    /** Argument {@code index} as the 64 bits of its slot. */
    long slot(int index) {
        return slots.getAtIndex(JAVA_LONG, index);
    }

    /** The array that a launch expects: the address of each argument. */
    MemorySegment addresses() {
        return addresses;
    }
}
