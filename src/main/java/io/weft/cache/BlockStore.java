package io.weft.cache;

import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * Full blocks by name, and those among them that no sequence uses, the least recently used first. A sequence gives its
 * blocks back from the last to the first, so of a chain the end is older than the beginning.
 */
final class BlockStore {
    private static final Comparator<Block> OLDEST_FIRST = Comparator.comparingLong(Block::idleSince);

    private final Map<BlockName, Block> blocks = new HashMap<>();
    private final NavigableSet<Block> idleOnDevice = new TreeSet<>(OLDEST_FIRST);
    private final NavigableSet<Block> idleOnHost = new TreeSet<>(OLDEST_FIRST);
    private final CacheGeometry geometry;
    private volatile long idleDeviceBytes;
    private volatile long idleHostBytes;
    private long stamps;
    private long releases;
    private volatile int onDevice;
    private volatile int onHost;

    BlockStore(CacheGeometry geometry) {
        this.geometry = geometry;
    }

    Optional<Block> find(BlockName name) {
        return Optional.ofNullable(blocks.get(name));
    }

    /** Names a block, unless there is one of this name. */
    void name(Block block, BlockName name, String salt) {
        if (blocks.putIfAbsent(name, block) == null) {
            block.setName(name, salt);
            count(block, 1);
        }
    }

    private void count(Block block, int more) {
        switch (block.home()) {
            case BlockHome.OnDevice device -> onDevice += more;
            case BlockHome.OnHost host -> onHost += more;
        }
    }

    /** One more sequence uses a named block. */
    void use(Block block) {
        if (block.isIdle()) {
            takeFromIdle(block);
        }
        block.use();
    }

    /** The start of a release of some blocks together. */
    void beginRelease() {
        releases++;
    }

    /** A sequence uses a block no more. Returns whether it is kept: others use it, or it has a name. */
    boolean release(Block block) {
        block.giveBack(stamps++, releases);
        if (!block.isIdle()) {
            return true;
        }
        if (block.hasName()) {
            addToIdle(block);
        }
        return block.hasName();
    }

    private void addToIdle(Block block) {
        idle(block).add(block);
        countIdle(block, 1);
        if (block.home() instanceof BlockHome.OnHost host) {
            host.slab().setIdle(host.slot(), block);
        }
    }

    private void takeFromIdle(Block block) {
        if (!idle(block).remove(block)) {
            throw new IllegalStateException("block " + block.name() + " is not idle");
        }
        countIdle(block, -1);
        if (block.home() instanceof BlockHome.OnHost host) {
            host.slab().clearIdle(host.slot());
        }
    }

    private void countIdle(Block block, int more) {
        CacheForm form = block.home().form();
        long bytes = more * geometry.blockBytes(form.content());
        switch (form.place()) {
            case DEVICE -> idleDeviceBytes += bytes;
            case HOST -> idleHostBytes += bytes;
        }
    }

    long idleDeviceBytes() {
        return idleDeviceBytes;
    }

    long idleHostBytes() {
        return idleHostBytes;
    }

    private NavigableSet<Block> idle(Block block) {
        return switch (block.home()) {
            case BlockHome.OnDevice device -> idleOnDevice;
            case BlockHome.OnHost host -> idleOnHost;
        };
    }

    /** The idle blocks of a tier, the least recently used first. */
    NavigableSet<Block> idleOnDevice() {
        return idleOnDevice;
    }

    NavigableSet<Block> idleOnHost() {
        return idleOnHost;
    }

    /** Gives an idle block another home; it is as old as before. */
    void move(Block block, BlockHome to) {
        takeFromIdle(block);
        count(block, -1);
        block.moveTo(to);
        count(block, 1);
        addToIdle(block);
    }

    /** Forgets a block; if a sequence uses it, that is all. */
    void forget(Block block) {
        if (block.isIdle()) {
            takeFromIdle(block);
        }
        blocks.remove(block.name());
        count(block, -1);
        block.forgetName();
    }

    /** Named blocks that a sequence uses or not. */
    List<Block> all(Predicate<Block> wanted) {
        return blocks.values().stream().filter(wanted).toList();
    }

    HeldBlocks held() {
        return new HeldBlocks(onDevice, onHost, idleOnDevice.size() + idleOnHost.size());
    }
}
