package io.weft.cache;

import io.weft.model.CacheForm.Content;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Consumer;

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
     * A block on the disk.
     *
     * @param block its index
     * @param contents in which it is there
     */
    record Wanted(int block, BlockName name, List<Content> contents) {}

    /** A block on its way. */
    static final class Read {
        private final Wanted wanted;
        private final Block block;
        private boolean isEnded;

        Read(Wanted wanted, Block block) {
            this.wanted = wanted;
            this.block = block;
        }

        BlockName name() {
            return wanted.name();
        }
    }

    private final KvCache cache;
    private final String salt;
    private final Consumer<ReadAhead> ended;
    private final HostPool.Cursors cursors = new HostPool.Cursors();
    /** Used by this, by index. */
    private final TreeMap<Integer, Block> used = new TreeMap<>();

    private final List<Read> reads = new ArrayList<>();
    private final List<DiskTransfer> transfers = new ArrayList<>();
    private final Set<BlockName> names = new HashSet<>();
    /** Nothing is read twice at once: this has ended when that has. */
    private Optional<ReadAhead> other = Optional.empty();

    private int readsLeft;
    private int blocksRead;
    private boolean isClosed;

    /** @param ended told when it is closed */
    ReadAhead(KvCache cache, String salt, Consumer<ReadAhead> ended) {
        this.cache = cache;
        this.salt = salt;
        this.ended = ended;
    }

    /** One that waits for this one, and reads nothing. */
    ReadAhead after() {
        ReadAhead next = new ReadAhead(cache, salt, closed -> {});
        next.other = Optional.of(this);
        return next;
    }

    String salt() {
        return salt;
    }

    boolean reads(BlockName name) {
        return readsLeft > 0 && names.contains(name);
    }

    /** Keeps a block that is in memory. */
    void use(int index, Block block) {
        cache.use(block);
        used.put(index, block);
    }

    /** Takes memory to read a block to; false if there is none. */
    boolean take(Wanted wanted) {
        for (Content content : wanted.contents()) {
            Optional<Block> block = cache.takeToReadTo(content, cursors);
            if (block.isPresent()) {
                used.put(wanted.block(), block.get());
                reads.add(new Read(wanted, block.get()));
                names.add(wanted.name());
                readsLeft++;
                return true;
            }
        }
        return false;
    }

    boolean takesAny() {
        return !reads.isEmpty();
    }

    /** Begins all reads, once all memory is taken that there is. */
    void start(BiFunction<Read, BlockHome.OnHost, DiskTransfer> reader) {
        for (Read read : reads) {
            transfers.add(reader.apply(read, (BlockHome.OnHost) read.block.home()));
        }
    }

    /** A read has ended. What could not be read is freed; what follows it is of use once it has been computed. */
    void ended(Read read, boolean isComplete) {
        if (isClosed || read.isEnded) {
            return;
        }
        read.isEnded = true;
        readsLeft--;
        if (isComplete) {
            blocksRead++;
            cache.name(read.block, read.name(), salt);
        } else {
            used.remove(read.wanted.block());
            cache.release(read.block);
        }
    }

    /** Whether there is nothing to wait for any more. */
    public boolean isEnded() {
        return other.map(ReadAhead::isEnded).orElse(isClosed || readsLeft == 0);
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
        cache.beginRelease();
        used.descendingMap().values().forEach(cache::release);
        used.clear();
        ended.accept(this);
    }
}
