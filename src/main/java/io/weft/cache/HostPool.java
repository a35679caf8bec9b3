package io.weft.cache;

import io.weft.device.HostRegion;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * Host memory for blocks, in slabs. Any block is freed by itself, but pieces should be large: so a sequence takes the
 * slot after its last block, and has its slabs to itself while there are others. Slabs that the link does not reach yet
 * are a part of the pool, but not given out.
 */
final class HostPool {
    /** Slabs large enough for long pieces, and many enough for contents and sequences that come and go. */
    private static final long SLAB_BYTES = 64L << 20;

    private static final int SLABS_LEAST = 64;

    private static final Comparator<HostSlab> BEST_FIRST = Comparator.comparing(HostSlab::hasGrowers)
            .thenComparing(Comparator.comparingInt(HostSlab::longestFreeRun).reversed())
            .thenComparingInt(HostSlab::index);

    private final HostRegion region;
    private final CacheGeometry geometry;
    private final long slabBytes;
    private final List<HostSlab> slabs = new ArrayList<>();
    private final BitSet empty = new BitSet();
    /** Those that have free slots. */
    private final Map<BlockPart, NavigableSet<HostSlab>> partlyFree = new HashMap<>();

    private final LongAdder usedBytes = new LongAdder();
    /** The bytes that the link will reach in the end. */
    private volatile long expectedBytes;

    HostPool(HostRegion region, CacheGeometry geometry) {
        this.region = region;
        this.geometry = geometry;
        this.expectedBytes = region.memory().bytes();
        for (BlockPart content : BlockPart.all()) {
            partlyFree.put(content, new TreeSet<>(BEST_FIRST));
        }
        long blockBytes = geometry.blockBytes(Content.KEY_VALUE);
        long wanted = Math.min(SLAB_BYTES, expectedBytes / SLABS_LEAST);
        this.slabBytes = blockBytes == 0
                ? 0
                : Math.max(Math.ceilDiv(geometry.windowBlockBytes(), blockBytes), Math.max(1, wanted / blockBytes))
                        * blockBytes;
        for (long at = 0; slabBytes > 0 && at < expectedBytes; at += slabBytes) {
            long bytes = Math.min(expectedBytes - at, slabBytes);
            empty.set(slabs.size());
            slabs.add(new HostSlab(geometry, slabs.size(), region.memory().slice(at, bytes)));
        }
    }

    /** Where a sequence put its last block of each content. */
    static final class Cursors {
        private final Map<BlockPart, HostSlot> last = new HashMap<>();
    }

    /** What is not reachable now will never be. */
    void endGrowth() {
        expectedBytes = region.reachableBytes();
    }

    /** Memory for a block: after the one before, or where there is much that nobody else goes on to fill. */
    Optional<HostSlot> allocate(BlockPart content, Cursors cursors) {
        HostSlot last = cursors.last.get(content);
        if (last != null && content.equals(last.slab().content()) && last.slab().isFree(last.index() + 1)) {
            return Optional.of(take(last.slab(), content, last.index() + 1, cursors));
        }
        NavigableSet<HostSlab> others = partly(content);
        if (!others.isEmpty() && !others.first().hasGrowers() && others.first().isRoomy()) {
            return allocateAnywhere(content, cursors);
        }
        HostSlab fresh = emptySlab(content);
        return fresh == null ? Optional.empty() : Optional.of(take(fresh, content, 0, cursors));
    }

    /** Memory for a block in a slab that has some. */
    Optional<HostSlot> allocateAnywhere(BlockPart content, Cursors cursors) {
        NavigableSet<HostSlab> others = partly(content);
        return others.isEmpty()
                ? Optional.empty()
                : Optional.of(take(others.first(), content, others.first().firstOfLongestFreeRun(), cursors));
    }

    private NavigableSet<HostSlab> partly(BlockPart content) {
        return Objects.requireNonNull(partlyFree.get(content));
    }

    /** The first one that the link reaches and that has slots at all: the last slab may be short. */
    private @Nullable HostSlab emptySlab(BlockPart content) {
        int index = empty.nextSetBit(0);
        boolean isUsable = index >= 0
                && endBytes(index) <= region.reachableBytes()
                && slabs.get(index).slots(content) > 0;
        return isUsable ? slabs.get(index) : null;
    }

    private long endBytes(int index) {
        return Math.min(region.memory().bytes(), (index + 1) * slabBytes);
    }

    private HostSlot take(HostSlab slab, BlockPart content, int slot, Cursors cursors) {
        leave(cursors, content);
        unlist(slab);
        HostSlot home = slab.take(content, slot);
        slab.addGrowers(1);
        list(slab);
        cursors.last.put(content, home);
        usedBytes.add(content.bytes(geometry));
        return home;
    }

    /** A sequence takes no more memory. */
    void leave(Cursors cursors) {
        for (BlockPart content : BlockPart.all()) {
            leave(cursors, content);
        }
    }

    private void leave(Cursors cursors, BlockPart content) {
        HostSlot last = cursors.last.remove(content);
        if (last != null) {
            unlist(last.slab());
            last.slab().addGrowers(-1);
            list(last.slab());
        }
    }

    void free(HostSlot slot) {
        unlist(slot.slab());
        slot.slab().free(slot.index());
        list(slot.slab());
        usedBytes.add(-slot.part().bytes(geometry));
    }

    /** Its place among the others depends on what changes. */
    private void unlist(HostSlab slab) {
        if (slab.content() == null) {
            empty.clear(slab.index());
        } else {
            partly(slab.content()).remove(slab);
        }
    }

    private void list(HostSlab slab) {
        if (slab.content() == null) {
            empty.set(slab.index());
        } else if (slab.longestFreeRun() > 0) {
            partly(slab.content()).add(slab);
        }
    }

    PoolUsage usage() {
        long expected = expectedBytes;
        return new PoolUsage(usedBytes.sum(), 0, expected, expected - Math.min(expected, region.reachableBytes()));
    }
}
