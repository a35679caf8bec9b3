package io.weft.cache;

import io.weft.model.CacheGeometry;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Predicate;

/**
 * Full blocks by name, and those among them that no sequence uses, the least recently used first. A sequence gives its
 * blocks back from the last to the first, so of a chain the end is older than the beginning.
 */
final class BlockStore {
    private static final Comparator<Evictable> OLDEST_FIRST = Comparator.comparingLong(Evictable::idleSince);

    private final Map<BlockName, Block> blocks = new HashMap<>();
    private final NavigableSet<Block> idleOnDevice = new TreeSet<>(OLDEST_FIRST);
    private final NavigableSet<Evictable> idleOnHost = new TreeSet<>(OLDEST_FIRST);
    private final CacheGeometry geometry;
    private final LongAdder idleDeviceBytes = new LongAdder();
    private final LongAdder idleHostBytes = new LongAdder();
    private long stamps;

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
        }
    }

    /** One more sequence uses a named block. */
    void use(Block block) {
        if (block.isIdle()) {
            takeFromIdle(block);
        }
        block.use();
    }

    /** A sequence uses a block no more. Returns whether it is kept: others use it, or it has a name. */
    boolean release(Block block) {
        block.giveBack();
        block.idleFrom(stamps++);
        if (!block.isIdle()) {
            return true;
        }
        if (block.hasName()) {
            addToIdle(block);
        }
        return block.hasName();
    }

    private void addToIdle(Block block) {
        switch (block.home()) {
            case BlockHome.OnDevice device -> {
                idleOnDevice.add(block);
                idleDeviceBytes.add(device.memory().bytes());
            }
            case BlockHome.OnHost host -> addToIdle(block, host.slot());
        }
    }

    private void addToIdle(Evictable what, HostSlot slot) {
        idleOnHost.add(what);
        slot.slab().setIdle(slot.index(), what);
        idleHostBytes.add(slot.part().bytes(geometry));
    }

    private void takeFromIdle(Block block) {
        switch (block.home()) {
            case BlockHome.OnDevice device -> {
                require(idleOnDevice.remove(block));
                idleDeviceBytes.add(-device.memory().bytes());
            }
            case BlockHome.OnHost host -> takeFromIdle(block, host.slot());
        }
    }

    private void takeFromIdle(Evictable what, HostSlot slot) {
        require(idleOnHost.remove(what));
        slot.slab().clearIdle(slot.index());
        idleHostBytes.add(-slot.part().bytes(geometry));
    }

    private static void require(boolean wasIdle) {
        if (!wasIdle) {
            throw new IllegalStateException("a block is not idle that should be");
        }
    }

    /** Keeps what rings had of a block. */
    void keep(WindowPiece piece) {
        piece.block().setWindowPiece(piece);
        piece.idleFrom(stamps++);
        addToIdle(piece, piece.slot());
    }

    /** A sequence reads a piece. */
    void use(WindowPiece piece) {
        if (piece.isIdle()) {
            takeFromIdle(piece, piece.slot());
        }
        piece.use();
    }

    /** A sequence has read a piece. */
    void release(WindowPiece piece) {
        piece.giveBack();
        if (piece.isIdle()) {
            piece.idleFrom(stamps++);
            addToIdle(piece, piece.slot());
        }
    }

    /** Forgets a piece that nobody reads. */
    void forget(WindowPiece piece) {
        piece.block().setWindowPiece(null);
        takeFromIdle(piece, piece.slot());
    }

    /** What becomes idle from now on is younger than what has a smaller stamp. */
    long stamp() {
        return stamps;
    }

    long idleDeviceBytes() {
        return idleDeviceBytes.sum();
    }

    long idleHostBytes() {
        return idleHostBytes.sum();
    }

    /** The idle blocks on the device, the least recently used first. */
    NavigableSet<Block> idleOnDevice() {
        return idleOnDevice;
    }

    /** What is idle on the host, the least recently used first. */
    NavigableSet<Evictable> idleOnHost() {
        return idleOnHost;
    }

    /** Gives an idle block another home; it is as old as before. */
    void move(Block block, BlockHome to) {
        takeFromIdle(block);
        block.moveTo(to);
        addToIdle(block);
    }

    /** Forgets a block; if a sequence uses it, that is all. */
    void forget(Block block) {
        if (block.isIdle()) {
            takeFromIdle(block);
        }
        blocks.remove(block.name());
        block.forgetName();
    }

    /** Named blocks that a sequence uses or not. */
    List<Block> all(Predicate<Block> wanted) {
        return blocks.values().stream().filter(wanted).toList();
    }
}
