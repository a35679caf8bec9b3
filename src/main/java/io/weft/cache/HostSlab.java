package io.weft.cache;

import io.weft.device.HostBuffer;
import io.weft.model.CacheGeometry;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A part of host memory whose slots hold the same of blocks each: (layers, slots, blockTokens, width). Neighbouring
 * slots are neighbours in memory in every layer, so that one copy a layer brings a run of them over the link. While no
 * slot is used, it may become another kind of slab.
 */
final class HostSlab {
    private final CacheGeometry geometry;
    private final int index;
    private final HostBuffer memory;
    private final BitSet used = new BitSet();
    private @Nullable BlockPart content;
    private int slots;
    private int usedSlots;
    private int longestFreeRun;
    /** By slot. */
    private final Map<Integer, Evictable> idle = new HashMap<>();

    /** Sequences that go on filling it. */
    private int growers;

    HostSlab(CacheGeometry geometry, int index, HostBuffer memory) {
        this.geometry = geometry;
        this.index = index;
        this.memory = memory;
    }

    int index() {
        return index;
    }

    /** What its slots hold; null while it is empty. */
    @Nullable
    BlockPart content() {
        return content;
    }

    /** The number of slots if it held that. */
    int slots(BlockPart of) {
        return (int) (memory.bytes() / of.bytes(geometry));
    }

    int longestFreeRun() {
        return longestFreeRun;
    }

    /** Whether it has free slots one after the other, enough for a long piece. */
    boolean isRoomy() {
        return isRoomy(longestFreeRun);
    }

    private boolean isRoomy(int freeRun) {
        return 4 * freeRun >= slots;
    }

    /** Whether it would be if these slots were free. */
    boolean isRoomyWithout(Set<Integer> freed) {
        BitSet left = (BitSet) used.clone();
        freed.forEach(left::clear);
        return isRoomy(longestFreeRun(left));
    }

    boolean hasGrowers() {
        return growers > 0;
    }

    void addGrowers(int more) {
        growers += more;
    }

    boolean isFree(int slot) {
        return slot < slots && !used.get(slot);
    }

    /** The first slot of the longest run of free ones. */
    int firstOfLongestFreeRun() {
        int free = used.nextClearBit(0);
        while (free < slots) {
            int end = endOfFreeRun(used, free);
            if (end - free == longestFreeRun) {
                return free;
            }
            free = used.nextClearBit(end);
        }
        throw new IllegalStateException("slab " + index + " is full");
    }

    private int endOfFreeRun(BitSet taken, int free) {
        int end = taken.nextSetBit(free);
        return end < 0 ? slots : Math.min(end, slots);
    }

    /** Takes a free slot; the first one decides on the content. */
    HostSlot take(BlockPart of, int slot) {
        if (content == null) {
            content = of;
            slots = slots(of);
        }
        if (!of.equals(content) || !isFree(slot)) {
            throw new IllegalStateException(
                    "slot %d of %d of a slab of %s is not free for %s".formatted(slot, slots, content, of));
        }
        used.set(slot);
        usedSlots++;
        measure();
        return new HostSlot(this, of, slot);
    }

    void free(int slot) {
        if (!used.get(slot)) {
            throw new IllegalStateException("slot " + slot + " of slab " + index + " is not in use");
        }
        used.clear(slot);
        usedSlots--;
        if (usedSlots == 0) {
            content = null;
        }
        measure();
    }

    void setIdle(int slot, Evictable what) {
        idle.put(slot, what);
    }

    void clearIdle(int slot) {
        idle.remove(slot);
    }

    /** Whether no sequence uses anything in it. */
    boolean isIdle() {
        return idle.size() == usedSlots;
    }

    /** What no sequence uses of it, by slot. */
    Map<Integer, Evictable> evictable() {
        return Map.copyOf(idle);
    }

    private void measure() {
        longestFreeRun = longestFreeRun(used);
    }

    private int longestFreeRun(BitSet taken) {
        int longest = 0;
        for (int free = taken.nextClearBit(0); free < slots; ) {
            int end = endOfFreeRun(taken, free);
            longest = Math.max(longest, end - free);
            free = taken.nextClearBit(end);
        }
        return longest;
    }

    /** {@code count} slots from {@code first} on in one layer: (count, blockTokens, width). */
    HostBuffer layer(BlockPart of, int layer, int first, int count) {
        if (count < 1 || first < 0 || first > slots - count || !of.equals(content)) {
            throw new IndexOutOfBoundsException(
                    count + " slots from " + first + " on in a slab of " + slots + " of " + content);
        }
        long bytes = of.layerBytes(geometry);
        return memory.slice(((long) layer * slots + first) * bytes, count * bytes);
    }
}
