package io.weft.cache;

import io.weft.device.DeviceBuffer;
import io.weft.model.CacheForm;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The cached tokens of one sequence: full blocks in their homes, then open blocks. A step first {@linkplain #open
 * opens} blocks for its tokens, runs, and then {@linkplain #commit commits} them.
 */
public final class CacheSequence implements AutoCloseable {
    private final KvCache cache;
    private final @Nullable BlockHome[] homes;
    private final Deque<DeviceBuffer> openBlocks = new ArrayDeque<>();
    private int closedBlocks;
    private int openTokens;
    private boolean freed;

    CacheSequence(KvCache cache, @Nullable BlockHome[] homes) {
        this.cache = cache;
        this.homes = homes;
    }

    /** Tokens that are cached. */
    public int tokens() {
        return closedBlocks * blockTokens() + openTokens;
    }

    /** Full blocks. */
    public int closedBlocks() {
        return closedBlocks;
    }

    /** Cached tokens behind the full blocks. */
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

    /** Forms of the blocks {@code [from, to)}. */
    public List<CacheForm> forms(int from, int to) {
        List<CacheForm> forms = new ArrayList<>(to - from);
        for (int block = from; block < to; block++) {
            forms.add(home(block).form());
        }
        return forms;
    }

    /** Forms of all blocks that it may come to fill. */
    public List<CacheForm> forms() {
        return forms(0, homes.length);
    }

    /** Blocks that {@code newTokens} more tokens fill. */
    public int closingBlocks(int newTokens) {
        return (openTokens + newTokens) / blockTokens();
    }

    /**
     * Takes open blocks so that {@code newTokens} more tokens have a place.
     *
     * @throws IllegalStateException if the sequence was admitted for fewer tokens
     */
    public void open(int newTokens) {
        if (closedBlocks + closingBlocks(newTokens) > homes.length) {
            throw new IllegalStateException("sequence of " + tokens() + " tokens has homes for " + homes.length
                    + " blocks, no room for " + newTokens + " more tokens");
        }
        int wanted = Math.ceilDiv(openTokens + newTokens, blockTokens());
        while (openBlocks.size() < wanted) {
            openBlocks.addLast(cache.takeOpen());
        }
    }

    /** The open blocks, in token order: block {@link #closedBlocks} and those behind it. */
    public List<DeviceBuffer> openBlocks() {
        return List.copyOf(openBlocks);
    }

    /**
     * Counts {@code newTokens} tokens as cached, once the step that wrote them has ended, and frees the open blocks
     * that are now in their homes.
     */
    public void commit(int newTokens) {
        int closing = closingBlocks(newTokens);
        openTokens = openTokens + newTokens - closing * blockTokens();
        closedBlocks += closing;
        for (int i = 0; i < closing; i++) {
            cache.giveBackOpen(openBlocks.removeFirst());
        }
    }

    /** Frees everything; no step may be using it. */
    @Override
    public void close() {
        if (!freed) {
            freed = true;
            cache.free(homes);
            openBlocks.forEach(cache::giveBackOpen);
            openBlocks.clear();
        }
    }

    /** Tokens of a block. */
    public int blockTokens() {
        return cache.geometry().blockTokens();
    }
}
