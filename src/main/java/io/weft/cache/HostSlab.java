package io.weft.cache;

import io.weft.device.HostBuffer;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A part of host memory whose slots hold blocks of one content: (layers, slots, blockTokens, width). Neighbouring slots
 * are neighbours in memory in every layer, so that one copy a layer brings a run of them over the link. While no slot
 * is used, the slab may change its content.
 */
final class HostSlab {
    private final CacheGeometry geometry;
    private final int index;
    private final HostBuffer memory;
    private final BitSet used = new BitSet();
    private @Nullable Content content;
    private int slots;
    private int usedSlots;
    private int longestFreeRun;
    /** By slot. */
    private final Map<Integer, Block> idle = new HashMap<>();

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

    /** What its blocks hold; null while it is empty. */
    @Nullable
    Content content() {
        return content;
    }

    /** The number of slots for a content. */
    int slots(Content of) {
        return (int) (memory.bytes() / geometry.blockBytes(of));
    }

    int longestFreeRun() {
        return longestFreeRun;
    }

    /** Whether half of its slots or more are free, one after the other. */
    boolean isRoomy() {
        return 2 * longestFreeRun >= slots;
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
            int end = endOfFreeRun(free);
            if (end - free == longestFreeRun) {
                return free;
            }
            free = used.nextClearBit(end);
        }
        throw new IllegalStateException("slab " + index + " is full");
    }

    private int endOfFreeRun(int free) {
        int end = used.nextSetBit(free);
        return end < 0 ? slots : Math.min(end, slots);
    }

    /** Takes a free slot; the first one decides on the content. */
    BlockHome.OnHost take(Content of, int slot) {
        if (content == null) {
            content = of;
            slots = slots(of);
        }
        if (content != of || !isFree(slot)) {
            throw new IllegalStateException(
                    "slot %d of %d of a slab of %s is not free for %s".formatted(slot, slots, content, of));
        }
        used.set(slot);
        usedSlots++;
        measure();
        return new BlockHome.OnHost(this, of, slot);
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

    void setIdle(int slot, Block block) {
        idle.put(slot, block);
    }

    void clearIdle(int slot) {
        idle.remove(slot);
    }

    /** Whether no sequence uses any of its blocks. */
    boolean isIdle() {
        return idle.size() == usedSlots;
    }

    /** Its blocks that no sequence uses. */
    List<Block> idleBlocks() {
        return List.copyOf(idle.values());
    }

    private void measure() {
        longestFreeRun = 0;
        for (int free = used.nextClearBit(0); free < slots; ) {
            int end = endOfFreeRun(free);
            longestFreeRun = Math.max(longestFreeRun, end - free);
            free = used.nextClearBit(end);
        }
    }

    /** {@code count} slots from {@code first} on in one layer: (count, blockTokens, width). */
    HostBuffer layer(Content of, int layer, int first, int count) {
        if (count < 1 || first < 0 || first > slots - count || content != of) {
            throw new IndexOutOfBoundsException(
                    count + " slots from " + first + " on in a slab of " + slots + " of " + content);
        }
        long bytes = geometry.blockLayerBytes(of);
        return memory.slice(((long) layer * slots + first) * bytes, count * bytes);
    }
}
