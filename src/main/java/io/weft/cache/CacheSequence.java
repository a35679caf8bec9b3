package io.weft.cache;

import io.weft.device.DeviceBuffer;
import io.weft.model.CacheForm;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The cached tokens of one sequence: full blocks in their homes, then open blocks. A step first {@linkplain #open
 * opens} blocks for its tokens, runs, and then {@linkplain #commit commits} them.
 *
 * <p>A full block whose home is on the host may have a copy in device memory that nobody else needs, so that it need
 * not cross the link. A full block never changes, so giving back a copy means forgetting it.
 */
public final class CacheSequence implements AutoCloseable {
    private final KvCache cache;
    private final @Nullable BlockHome[] homes;
    private final HostPool.Cursors cursors;
    private final WindowRing ring;
    private final int maxTokens;
    /** Index: block. */
    private final BlockHome.@Nullable OnDevice[] copies;

    /** Copies that the current step makes. */
    private final List<Arrival> arrivals = new ArrayList<>();

    private final Deque<DeviceBuffer> openBlocks = new ArrayDeque<>();
    private int closedBlocks;
    private int openTokens;
    private boolean freed;

    CacheSequence(
            KvCache cache, int maxTokens, @Nullable BlockHome[] homes, HostPool.Cursors cursors, WindowRing ring) {
        this.cursors = cursors;
        this.cache = cache;
        this.maxTokens = maxTokens;
        this.homes = homes;
        this.ring = ring;
        this.copies = new BlockHome.OnDevice[homes.length];
    }

    /**
     * A copy that the next step makes.
     *
     * @param block index of the block
     * @param from the block's home
     * @param to device memory for the copy
     */
    public record Arrival(int block, BlockHome.OnHost from, BlockHome.OnDevice to) {}

    /** The tokens for which the sequence was admitted. */
    public int maxTokens() {
        return maxTokens;
    }

    /** The number of cached tokens. */
    public int tokens() {
        return closedBlocks * blockTokens() + openTokens;
    }

    /** The number of full blocks. */
    public int closedBlocks() {
        return closedBlocks;
    }

    /** The number of cached tokens after the full blocks. */
    public int openTokens() {
        return openTokens;
    }

    /** The home of block {@code block}, which may not be full yet. */
    public BlockHome home(int block) {
        BlockHome home = homes[block];
        if (home == null) {
            throw new IllegalStateException("block " + block + " has no home");
        }
        return home;
    }

    /** Where a step reads block {@code block}: its copy on the device if it has one, else its home. */
    public BlockHome place(int block) {
        BlockHome copy = copies[block];
        return copy == null ? home(block) : copy;
    }

    /** Forms in which a step reads the blocks {@code [from, to)}. */
    public List<CacheForm> forms(int from, int to) {
        List<CacheForm> forms = new ArrayList<>(to - from);
        for (int block = from; block < to; block++) {
            forms.add(place(block).form());
        }
        return forms;
    }

    /** The forms of all blocks that the sequence may ever fill. */
    public List<CacheForm> forms() {
        return forms(0, homes.length);
    }

    /** The number of blocks that {@code newTokens} more tokens fill. */
    public int closingBlocks(int newTokens) {
        return (openTokens + newTokens) / blockTokens();
    }

    /** The tokens of known blocks with which it began. */
    public int cachedTokens() {
        return 0;
    }

    /**
     * Takes memory so that {@code newTokens} more tokens have a place: open blocks, and homes for the blocks that they
     * fill.
     *
     * @return whether there is memory; if not, the sequence is as before
     * @throws IllegalStateException if the sequence was admitted for fewer tokens
     */
    public boolean open(int newTokens) {
        if (closedBlocks + closingBlocks(newTokens) > homes.length) {
            throw new IllegalStateException("sequence of " + tokens() + " tokens has homes for " + homes.length
                    + " blocks, no room for " + newTokens + " more tokens");
        }
        int wanted = Math.ceilDiv(openTokens + newTokens, blockTokens());
        while (openBlocks.size() < wanted) {
            openBlocks.addLast(cache.takeOpen());
        }
        return true;
    }

    /** The open blocks, in token order: block {@link #closedBlocks} and those after it. */
    public List<DeviceBuffer> openBlocks() {
        return List.copyOf(openBlocks);
    }

    /**
     * Gives blocks that are not full yet other homes.
     *
     * @param blocks in token order; their homes are on the device
     * @param form on the host, or on the device and no larger
     * @return whether there was room; if not, nothing has changed
     */
    public boolean rehome(List<Integer> blocks, CacheForm form) {
        for (int block : blocks) {
            if (block < closedBlocks) {
                throw new IllegalArgumentException("block " + block + " is full");
            }
        }
        return cache.rehome(homes, blocks, form, cursors);
    }

    /**
     * Takes device memory for copies of full blocks that are read from the host, as far as there is some. The next step
     * of this sequence makes the copies.
     */
    public void promote(int firstBlock, int blocks) {
        for (int block = firstBlock; block < firstBlock + blocks; block++) {
            if (block >= closedBlocks || !(place(block) instanceof BlockHome.OnHost from)) {
                throw new IllegalArgumentException("block " + block + " is not full, or not read from the host");
            }
            Optional<BlockHome.OnDevice> to = cache.takeCopy(from.form().content());
            if (to.isEmpty()) {
                return;
            }
            arrivals.add(new Arrival(block, from, to.get()));
        }
    }

    /** The copies that the next step makes. */
    public List<Arrival> arrivals() {
        return List.copyOf(arrivals);
    }

    /** Forgets a copy. */
    void giveBackCopy(int block) {
        BlockHome.OnDevice copy = Objects.requireNonNull(copies[block]);
        copies[block] = null;
        cache.giveBackCopy(copy);
    }

    /**
     * Counts tokens as cached, once the step that wrote them has ended, and frees the open blocks that are now in their
     * homes. From now on, steps read the copies that this step made.
     */
    public void commit(List<Integer> tokens) {
        int newTokens = tokens.size();
        int closing = closingBlocks(newTokens);
        openTokens = openTokens + newTokens - closing * blockTokens();
        closedBlocks += closing;
        for (int i = 0; i < closing; i++) {
            cache.giveBackOpen(openBlocks.removeFirst());
        }
        for (Arrival arrival : arrivals) {
            copies[arrival.block()] = arrival.to();
            cache.copied(this, arrival.block());
        }
        arrivals.clear();
    }

    /** Gives everything back, except blocks that have a name; no step may be using it. */
    @Override
    public void close() {
        if (!freed) {
            freed = true;
            cache.giveBackCopies(this);
            arrivals.forEach(arrival -> cache.giveBackCopy(arrival.to()));
            arrivals.clear();
            cache.free(homes);
            cache.leave(cursors);
            cache.free(ring);
            openBlocks.forEach(cache::giveBackOpen);
            openBlocks.clear();
        }
    }

    /** Its newest tokens in the layers with a window. */
    public WindowRing ring() {
        return ring;
    }

    /** Tokens of a block. */
    public int blockTokens() {
        return cache.geometry().blockTokens();
    }
}
