package io.weft.cache;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Blocks of a prompt that are on their way from the disk to the host, while its request waits. Until they are there,
 * and as long as this is not closed, they and those of the prompt that are in memory stay there. If a running request
 * has no other memory left, it has theirs, and this has ended.
 */
public final class ReadAhead implements AutoCloseable {
    /** How long it takes to compute tokens. */
    @FunctionalInterface
    public interface ComputeTime {
        /** The time for a prompt's tokens {@code [from, to)}, or a little less. */
        long nanos(int from, int to);
    }

    /**
     * A part of a block on the disk.
     *
     * @param block its index
     * @param parts in which it is there: those of blocks, or what rings had of it
     */
    record Wanted(int block, BlockName name, List<BlockPart> parts) {}

    /** A part of a block on its way. */
    static final class Read {
        private final Wanted wanted;
        private final HostSlot slot;
        /** Null if this is what rings had of it. */
        private final @Nullable Block block;

        private boolean isEnded;
        private boolean isRead;

        Read(Wanted wanted, HostSlot slot, @Nullable Block block) {
            this.wanted = wanted;
            this.slot = slot;
            this.block = block;
        }

        BlockName name() {
            return wanted.name();
        }

        HostSlot slot() {
            return slot;
        }
    }

    private final KvCache cache;
    private final String salt;
    private final long computeNanos;
    private final long sinceNanos = System.nanoTime();
    private final Consumer<ReadAhead> ended;
    private final HostPool.Cursors cursors = new HostPool.Cursors();
    /** Used by this, by index. */
    private final TreeMap<Integer, Block> used = new TreeMap<>();

    private final List<WindowPiece> pieces = new ArrayList<>();
    /** Until they all have ended. */
    private final List<Read> reads = new ArrayList<>();

    private final List<DiskTransfer> transfers = new ArrayList<>();
    private final Set<BlockName> names = new HashSet<>();
    /** Nothing is read twice at once: this has ended when that has. */
    private Optional<ReadAhead> other = Optional.empty();

    private int readsLeft;
    private int blocksRead;
    private boolean isClosed;

    /**
     * @param computeNanos the time to compute what is read
     * @param ended told when it is closed
     */
    ReadAhead(KvCache cache, String salt, long computeNanos, Consumer<ReadAhead> ended) {
        this.cache = cache;
        this.salt = salt;
        this.computeNanos = computeNanos;
        this.ended = ended;
    }

    /** One that waits for this one, and reads nothing. */
    ReadAhead after() {
        ReadAhead next = new ReadAhead(cache, salt, computeNanos, closed -> {});
        next.other = Optional.of(this);
        return next;
    }

    String salt() {
        return salt;
    }

    boolean reads(BlockName name) {
        return readsLeft > 0 && names.contains(name);
    }

    /** Keeps a block that is in memory, and what rings had of it if that is needed. */
    void use(int index, Block block, boolean isInWindow) {
        cache.use(block);
        used.put(index, block);
        WindowPiece piece = block.windowPiece();
        if (isInWindow && piece != null) {
            cache.use(piece);
            pieces.add(piece);
        }
    }

    /** Takes memory to read to; false if there is none. */
    boolean take(Wanted wanted) {
        for (BlockPart part : wanted.parts()) {
            Optional<HostSlot> slot = cache.takeToReadTo(part, cursors);
            if (slot.isPresent()) {
                Block block = part.encoding()
                        .map(encoding -> new Block(new BlockHome.OnHost(encoding, slot.get())))
                        .orElse(null);
                if (block != null) {
                    used.put(wanted.block(), block);
                    names.add(wanted.name());
                }
                reads.add(new Read(wanted, slot.get(), block));
                readsLeft++;
                return true;
            }
        }
        return false;
    }

    boolean takesAny() {
        return !reads.isEmpty();
    }

    /** Begins all reads, once all memory is taken. */
    void start(Function<Read, DiskTransfer> reader) {
        for (Read read : reads) {
            transfers.add(reader.apply(read));
        }
    }

    /** A read has ended. What could not be read is freed; what follows it is of use once it has been computed. */
    void ended(Read read, boolean isComplete) {
        if (isClosed || read.isEnded) {
            return;
        }
        read.isEnded = true;
        read.isRead = isComplete;
        readsLeft--;
        Block block = read.block;
        if (block != null && isComplete) {
            blocksRead++;
            cache.name(block, read.name(), salt);
        } else if (block != null) {
            used.remove(read.wanted.block());
            cache.release(block);
        }
        if (readsLeft == 0) {
            keepPieces();
        }
    }

    /** Once their blocks are known. */
    private void keepPieces() {
        for (Read read : reads) {
            if (read.block == null) {
                Optional<WindowPiece> piece = read.isRead ? cache.keepRead(read.name(), read.slot()) : Optional.empty();
                piece.ifPresentOrElse(
                        one -> {
                            cache.use(one);
                            pieces.add(one);
                        },
                        () -> cache.free(read.slot()));
            }
        }
        reads.clear();
    }

    /** Whether there is nothing to wait for any more. */
    public boolean isEnded() {
        return other.map(ReadAhead::isEnded).orElse(isClosed || readsLeft == 0);
    }

    /** Whether it would have been computed by now. */
    boolean isLate() {
        return System.nanoTime() - sinceNanos > computeNanos;
    }

    /** The tokens that were read. */
    public int tokens() {
        return blocksRead * cache.geometry().blockTokens();
    }

    /** Gives up what has not been read. What has been stays known, as long as its memory is not wanted. */
    @Override
    public void close() {
        if (isClosed) {
            return;
        }
        isClosed = true;
        transfers.forEach(DiskTransfer::abandon);
        cache.leave(cursors);
        reads.stream().filter(read -> read.block == null).forEach(read -> cache.free(read.slot()));
        reads.clear();
        pieces.forEach(cache::release);
        pieces.clear();
        used.descendingMap().values().forEach(cache::release);
        used.clear();
        ended.accept(this);
    }
}
