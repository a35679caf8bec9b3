package io.weft.cache;

import io.weft.cache.DiskStore.Offer;
import io.weft.cache.ReadAhead.Wanted;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.SequencedSet;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Predicate;

/**
 * Brings named blocks of the host to the disk, and back. What the disk's threads tell is noted between two steps; until
 * then they may touch the memory of what they write or read, unless that is abandoned.
 *
 * <p>A block is written as soon as it is full and on the host, while requests use it or not, and once more when it
 * becomes idle, if its file is gone by then. Being written is no use: whoever wants an idle block's memory has it.
 */
final class DiskTier {
    /** Of one turn, which the next step waits for. */
    private static final int LOOKS_MOST = 256;

    private static final int OFFERS_MOST = 64;

    private final KvCache cache;
    private final DiskStore disk;
    private final Predicate<Evictable> isDeparting;
    /** Told by the disk's threads. */
    private final Queue<Runnable> told = new ConcurrentLinkedQueue<>();
    /** What is to be written, those that a text begins with before those that follow. */
    private final SequencedSet<Evictable> toWrite = new LinkedHashSet<>();
    /** What left the device, and is on the host once a step has ended. */
    private final SequencedSet<Evictable> leaving = new LinkedHashSet<>();

    private final Map<Evictable, DiskTransfer> writing = new HashMap<>();
    private final List<ReadAhead> reading = new ArrayList<>();
    private volatile Runnable changed = () -> {};
    private final LongAdder skippedBlocks = new LongAdder();

    /** @param isDeparting whether something is still on the device, to be brought to the host by the next step */
    DiskTier(KvCache cache, DiskStore disk, Predicate<Evictable> isDeparting) {
        this.cache = cache;
        this.disk = disk;
        this.isDeparting = isDeparting;
    }

    /** @param listener runs on the disk's threads when there is something to {@linkplain #settle note} */
    void onChange(Runnable listener) {
        changed = listener;
    }

    private void tell(Runnable what) {
        told.add(what);
        changed.run();
    }

    DiskStore store() {
        return disk;
    }

    /** Blocks that lost their memory before they were written. */
    long skippedBlocks() {
        return skippedBlocks.sum();
    }

    /** Notes what has ended, also the last step, and goes on writing. */
    void settle() {
        noteArrivals();
        noteAndWrite();
        // A disk may turn out to be slower than was thought.
        List.copyOf(reading).stream().filter(ReadAhead::isLate).forEach(ReadAhead::close);
    }

    private void noteArrivals() {
        List<Evictable> arrived = leaving.stream().filter(isDeparting.negate()).toList();
        arrived.forEach(leaving::remove);
        toWrite.addAll(arrived);
    }

    private void noteAndWrite() {
        for (Runnable what = told.poll(); what != null; what = told.poll()) {
            what.run();
        }
        write();
    }

    // ---- writing

    /** A block on the host has a name now: it is written after those before it. */
    void filled(Block block) {
        toWrite.add(block);
    }

    /** What is idle leaves the device for the host. */
    void departs(Evictable what) {
        leaving.add(what);
    }

    /** Nobody uses a named block any more. Those that follow it in its text were released before. */
    void becameIdle(Block block) {
        WindowPiece piece = block.windowPiece();
        if (piece != null) {
            writeNext(piece);
        }
        if (block.home() instanceof BlockHome.OnHost) {
            writeNext(block);
        }
    }

    private void writeNext(Evictable what) {
        if (!writing.containsKey(what) && !toWrite.contains(what) && !leaving.contains(what)) {
            toWrite.addFirst(what);
        }
    }

    /** A block that is in use loses its name. */
    void forgotten(Block block) {
        remove(block);
        WindowPiece piece = block.windowPiece();
        if (piece != null) {
            remove(piece);
        }
    }

    private boolean remove(Evictable what) {
        boolean isLeaving = leaving.remove(what);
        return toWrite.remove(what) || isLeaving;
    }

    /** The memory of a block or a piece is somebody else's from now on. */
    void freed(Evictable what) {
        boolean isLost = remove(what);
        DiskTransfer transfer = writing.remove(what);
        if (isLost || (transfer != null && transfer.abandon())) {
            skippedBlocks.increment();
        }
    }

    /** Writes what is next, as much as the queue takes. What the disk refuses is not tried again for now. */
    private void write() {
        int offers = 0;
        for (int looks = 0; looks < LOOKS_MOST && offers < OFFERS_MOST && !toWrite.isEmpty(); looks++) {
            Evictable what = toWrite.getFirst();
            if (!isOnDisk(what)) {
                Offer offer = offer(what);
                offers++;
                if (offer == Offer.FULL) {
                    return;
                }
                if (offer == Offer.REFUSED) {
                    skippedBlocks.increment();
                    offers = OFFERS_MOST;
                }
            }
            toWrite.removeFirst();
        }
    }

    private boolean isOnDisk(Evictable what) {
        return switch (what) {
            case Block block -> isOnDisk(block.name());
            case WindowPiece piece -> hasPiece(piece.block().name());
        };
    }

    /** In whatever form. */
    private boolean isOnDisk(BlockName name) {
        return BlockPart.all().stream().anyMatch(part -> part.isBlock() && disk.contains(name, part));
    }

    private boolean hasPiece(BlockName name) {
        return disk.contains(name, BlockPart.WINDOW);
    }

    private Offer offer(Evictable what) {
        Block block = switch (what) {
            case Block one -> one;
            case WindowPiece piece -> piece.block();
        };
        HostSlot slot = switch (what) {
            case Block one -> ((BlockHome.OnHost) one.home()).slot();
            case WindowPiece piece -> piece.slot();
        };
        CacheScope scope = CacheScope.parse(block.salt());
        DiskTransfer transfer = new DiskTransfer(pieces(slot), isWritten -> tell(() -> written(what)));
        Offer offer = disk.write(block.name(), DiskScope.of(scope.owner(), scope.salt()), slot.part(), transfer);
        if (offer == Offer.TAKEN) {
            writing.put(what, transfer);
        }
        return offer;
    }

    private void written(Evictable what) {
        DiskTransfer transfer = writing.get(what);
        if (transfer != null && transfer.isEnded()) {
            writing.remove(what);
        }
    }

    private List<MemorySegment> pieces(HostSlot slot) {
        List<MemorySegment> pieces = new ArrayList<>();
        for (int layer = 0; layer < slot.part().layers(cache.geometry()); layer++) {
            pieces.add(slot.layer(layer, 1).segment());
        }
        return pieces;
    }

    // ---- reading

    /**
     * What of a prompt is not in memory, but on the disk.
     *
     * @param blocks of a hit, once it is read
     * @param wanted what has to be read for that
     */
    private record Found(int blocks, List<Wanted> wanted) {}

    /** @param hit blocks with which its sequence would begin now */
    Optional<ReadAhead> readAhead(Prompt prompt, int hit, ReadAhead.ComputeTime computing) {
        if (prompt.wasReadAhead() || hit == prompt.knowableBlocks()) {
            return Optional.empty();
        }
        int first = hit;
        while (first < prompt.knowableBlocks()
                && cache.find(name(prompt, first)).isPresent()) {
            first++;
        }
        if (first < prompt.knowableBlocks()) {
            Optional<ReadAhead> other = reader(name(prompt, first));
            if (other.isPresent()) {
                return other.map(ReadAhead::after);
            }
        }
        Found found = find(prompt, first);
        if (found.blocks() <= hit || found.wanted().isEmpty()) {
            return Optional.empty();
        }
        prompt.setReadAhead();
        int blockTokens = cache.geometry().blockTokens();
        long bytes = found.wanted().stream()
                .mapToLong(wanted -> wanted.parts().getFirst().bytes(cache.geometry()))
                .sum();
        long computeNanos = computing.nanos(hit * blockTokens, found.blocks() * blockTokens);
        return disk.readNanos(bytes) > computeNanos ? Optional.empty() : read(prompt, found, computeNanos);
    }

    private static BlockName name(Prompt prompt, int block) {
        return Objects.requireNonNull(prompt.nameBefore(block + 1));
    }

    private Optional<ReadAhead> reader(BlockName name) {
        return reading.stream().filter(other -> other.reads(name)).findFirst();
    }

    /** Some blocks may be in memory though one before them is not. */
    private Found find(Prompt prompt, int first) {
        List<Wanted> wanted = new ArrayList<>();
        int block = first;
        boolean goesOn = true;
        while (goesOn && block < prompt.knowableBlocks()) {
            List<BlockName> run = new ArrayList<>();
            // One that is not there is usual, and then the names of all others are not needed.
            for (int i = block; i < prompt.knowableBlocks() && isOnlyOnDisk(name(prompt, i)); i++) {
                run.add(name(prompt, i));
            }
            for (Set<BlockPart> parts : disk.find(run)) {
                wanted.add(new Wanted(block, name(prompt, block), ofBlock(parts)));
                block++;
            }
            int end = block;
            while (block < prompt.knowableBlocks()
                    && cache.find(name(prompt, block)).isPresent()) {
                block++;
            }
            goesOn = !run.isEmpty() && block > end;
        }
        int blocks = cache.longestHit(block, i -> hasPieceAnywhere(name(prompt, i)));
        wanted.removeIf(one -> one.block() >= blocks);
        for (int i = cache.firstWindowBlock(blocks); i < blocks; i++) {
            if (pieceInMemory(name(prompt, i)).isEmpty()) {
                wanted.add(new Wanted(i, name(prompt, i), List.of(BlockPart.WINDOW)));
            }
        }
        return new Found(blocks, wanted);
    }

    private boolean isOnlyOnDisk(BlockName name) {
        return isOnDisk(name) && cache.find(name).isEmpty() && reader(name).isEmpty();
    }

    private boolean hasPieceAnywhere(BlockName name) {
        return pieceInMemory(name).isPresent() || hasPiece(name);
    }

    private Optional<WindowPiece> pieceInMemory(BlockName name) {
        return cache.find(name).map(Block::windowPiece);
    }

    private static List<BlockPart> ofBlock(Set<BlockPart> parts) {
        return BlockPart.all().stream()
                .filter(part -> part.isBlock() && parts.contains(part))
                .toList();
    }

    private Optional<ReadAhead> read(Prompt prompt, Found found, long computeNanos) {
        ReadAhead ahead = new ReadAhead(cache, prompt.salt(), computeNanos, this::ended);
        for (int block = 0; block < found.blocks(); block++) {
            Optional<Block> known = cache.find(name(prompt, block));
            if (known.isPresent()) {
                ahead.use(block, known.get(), block >= cache.firstWindowBlock(found.blocks()));
            }
        }
        boolean isComplete = true;
        for (Wanted wanted : found.wanted()) {
            isComplete = isComplete && ahead.take(wanted);
        }
        // With windows, a part is of no use.
        boolean isUseful = isComplete || (ahead.takesAny() && cache.geometry().windowLayerCount() == 0);
        if (!isUseful) {
            ahead.close();
            return Optional.empty();
        }
        reading.add(ahead);
        ahead.start(read -> disk.read(
                read.name(), read.slot().part(), pieces(read.slot()), isRead -> tell(() -> ahead.ended(read, isRead))));
        return Optional.of(ahead);
    }

    private void ended(ReadAhead ahead) {
        reading.remove(ahead);
    }

    /** Gives the memory back that was taken last to read to; false if there is none. */
    boolean giveUpReading() {
        if (reading.isEmpty()) {
            return false;
        }
        reading.getLast().close();
        return true;
    }

    // ---- forgetting, and the end

    /** Blocks of these salts that are being read will not be known. */
    void forget(Predicate<String> salts) {
        List.copyOf(reading).stream().filter(ahead -> salts.test(ahead.salt())).forEach(ReadAhead::close);
    }

    /** Writes what is left to write, also of the device, as far as time allows, and ends. */
    void close(Duration limit) {
        long endNanos = System.nanoTime() + limit.toNanos();
        List.copyOf(reading).forEach(ReadAhead::close);
        try {
            boolean goesOn = true;
            while (goesOn) {
                boolean hasArrived = cache.depart(left(endNanos));
                noteArrivals();
                // What is written makes room for what is on the device, as long as the disk takes it.
                goesOn = writeAll(endNanos)
                        && hasArrived
                        && cache.isAnyIdleOnDevice()
                        && cache.moveToHost(block -> !isOnDisk(block.name()));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        disk.close(left(endNanos));
    }

    private static Duration left(long endNanos) {
        return Duration.ofNanos(Math.max(0, endNanos - System.nanoTime()));
    }

    /** Returns whether all of it is on the disk; if not, there is no time left, or the disk takes no more. */
    private boolean writeAll(long endNanos) throws InterruptedException {
        long skippedBefore = skippedBlocks();
        // Without blocks on the device, the rest is the store's.
        while ((!toWrite.isEmpty() || (cache.isAnyIdleOnDevice() && !writing.isEmpty()))
                && System.nanoTime() - endNanos < 0) {
            int before = toWrite.size();
            noteAndWrite();
            if (toWrite.size() == before) {
                TimeUnit.MILLISECONDS.sleep(1);
            }
        }
        return toWrite.isEmpty() && writing.isEmpty() && skippedBlocks() == skippedBefore;
    }
}
