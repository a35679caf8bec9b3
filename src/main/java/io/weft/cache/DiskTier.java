package io.weft.cache;

import io.weft.cache.DiskStore.Offer;
import io.weft.cache.ReadAhead.Wanted;
import io.weft.model.CacheForm.Content;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.SequencedSet;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
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
    private final Predicate<Block> isDeparting;
    /** Told by the disk's threads. */
    private final Queue<Runnable> told = new ConcurrentLinkedQueue<>();
    /** Blocks to be written, those that a text begins with before those that follow. */
    private final SequencedSet<Block> toWrite = new LinkedHashSet<>();
    /** Blocks that left the device, and are on the host once a step has ended. */
    private final SequencedSet<Block> leaving = new LinkedHashSet<>();

    private final List<ReadAhead> reading = new ArrayList<>();
    private volatile Runnable changed = () -> {};
    private volatile long skippedBlocks;

    /** @param isDeparting whether a block is still on the device, to be brought to its home by the next step */
    DiskTier(KvCache cache, DiskStore disk, Predicate<Block> isDeparting) {
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
        return skippedBlocks;
    }

    /** Notes what has ended, also the last step, and goes on writing. */
    void settle() {
        List<Block> arrived = leaving.stream().filter(isDeparting.negate()).toList();
        arrived.forEach(leaving::remove);
        toWrite.addAll(arrived);
        noteAndWrite();
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

    /** An idle block leaves the device for the host. */
    void departs(Block block) {
        leaving.add(block);
    }

    /** Nobody uses a named block on the host any more. Those that follow it in its text were released before. */
    void becameIdle(Block block) {
        if (block.writing() == null && !toWrite.contains(block) && !leaving.contains(block)) {
            toWrite.addFirst(block);
        }
    }

    /** A block that is in use loses its name. */
    void forgotten(Block block) {
        toWrite.remove(block);
        leaving.remove(block);
    }

    /** A block's memory is somebody else's from now on. */
    void freed(Block block) {
        DiskTransfer writing = block.writing();
        boolean isLost = toWrite.remove(block) | leaving.remove(block);
        if (writing != null) {
            isLost |= writing.abandon();
            block.setWriting(null);
        }
        skippedBlocks += isLost ? 1 : 0;
    }

    /** Writes the next blocks, as many as the queue takes. What the disk refuses is not tried again for now. */
    private void write() {
        int offers = 0;
        for (int looks = 0; looks < LOOKS_MOST && offers < OFFERS_MOST && !toWrite.isEmpty(); looks++) {
            Block block = toWrite.getFirst();
            if (!isOnDisk(block.name())) {
                Offer offer = offer(block, (BlockHome.OnHost) block.home());
                offers++;
                if (offer == Offer.FULL) {
                    return;
                }
                if (offer == Offer.REFUSED) {
                    skippedBlocks++;
                    offers = OFFERS_MOST;
                }
            }
            toWrite.removeFirst();
        }
    }

    /** In whatever form. */
    private boolean isOnDisk(BlockName name) {
        return disk.contains(name, BlockPart.KEY_VALUE) || disk.contains(name, BlockPart.ACTIVATION);
    }

    private Offer offer(Block block, BlockHome.OnHost home) {
        CacheScope scope = CacheScope.parse(block.salt());
        DiskTransfer transfer = new DiskTransfer(pieces(home), isWritten -> tell(() -> written(block)));
        Offer offer = disk.write(
                block.name(), DiskScope.of(scope.owner(), scope.salt()), BlockPart.of(home.form().content()), transfer);
        if (offer == Offer.TAKEN) {
            block.setWriting(transfer);
        }
        return offer;
    }

    private static void written(Block block) {
        DiskTransfer writing = block.writing();
        if (writing != null && writing.isEnded()) {
            block.setWriting(null);
        }
    }

    private List<MemorySegment> pieces(BlockHome.OnHost home) {
        List<MemorySegment> pieces = new ArrayList<>();
        for (int layer = 0; layer < cache.geometry().cachedLayerCount(); layer++) {
            pieces.add(home.layer(layer, 1).segment());
        }
        return pieces;
    }

    // ---- reading

    /** What of a prompt is not in memory, but on the disk. */
    private record Found(int firstBlock, int endBlock, List<Wanted> wanted, long bytes) {}

    Optional<ReadAhead> readAhead(Prompt prompt, ReadAhead.ComputeTime computing) {
        if (prompt.wasReadAhead() || prompt.knowableBlocks() == 0) {
            return Optional.empty();
        }
        int first = 0;
        while (first < prompt.knowableBlocks()
                && cache.find(name(prompt, first)).isPresent()) {
            first++;
        }
        if (first == prompt.knowableBlocks()) {
            return Optional.empty();
        }
        Optional<ReadAhead> other = reader(name(prompt, first));
        if (other.isPresent()) {
            return other.map(ReadAhead::after);
        }
        Found found = find(prompt, first);
        if (found.wanted().isEmpty()) {
            return Optional.empty();
        }
        prompt.setReadAhead();
        int blockTokens = cache.geometry().blockTokens();
        long computeNanos = computing.nanos(found.firstBlock() * blockTokens, found.endBlock() * blockTokens);
        if (disk.readNanos(found.bytes()) > computeNanos) {
            return Optional.empty();
        }
        return read(prompt, found);
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
        long bytes = 0;
        int block = first;
        boolean goesOn = true;
        while (goesOn && block < prompt.knowableBlocks()) {
            List<BlockName> run = new ArrayList<>();
            // One that is not there is usual, and then the names of all others are not needed.
            for (int i = block; i < prompt.knowableBlocks() && isOnlyOnDisk(name(prompt, i)); i++) {
                run.add(name(prompt, i));
            }
            for (Set<BlockPart> parts : disk.find(run)) {
                wanted.add(new Wanted(block, name(prompt, block), contents(parts)));
                bytes += cache.geometry().blockBytes(wanted.getLast().contents().getFirst());
                block++;
            }
            int end = block;
            while (block < prompt.knowableBlocks()
                    && cache.find(name(prompt, block)).isPresent()) {
                block++;
            }
            goesOn = !run.isEmpty() && block > end;
        }
        return new Found(first, block, wanted, bytes);
    }

    private boolean isOnlyOnDisk(BlockName name) {
        return isOnDisk(name) && cache.find(name).isEmpty() && reader(name).isEmpty();
    }

    private static List<Content> contents(Set<BlockPart> parts) {
        return Arrays.stream(Content.values())
                .filter(content -> parts.contains(BlockPart.of(content)))
                .toList();
    }

    private Optional<ReadAhead> read(Prompt prompt, Found found) {
        ReadAhead ahead = new ReadAhead(cache, prompt.salt(), this::ended);
        for (int block = 0; block < found.endBlock(); block++) {
            Optional<Block> known = cache.find(name(prompt, block));
            if (known.isPresent()) {
                ahead.use(block, known.get());
            }
        }
        for (Wanted wanted : found.wanted()) {
            if (!ahead.take(wanted)) {
                break;
            }
        }
        if (!ahead.takesAny()) {
            ahead.close();
            return Optional.empty();
        }
        reading.add(ahead);
        ahead.start((reads, home) -> disk.read(
                reads.name(),
                BlockPart.of(home.form().content()),
                pieces(home),
                isComplete -> tell(() -> ahead.ended(reads, isComplete))));
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

    /** Writes what is left to write, as far as time allows, and ends. */
    void close(Duration limit) {
        long endNanos = System.nanoTime() + limit.toNanos();
        List.copyOf(reading).forEach(ReadAhead::close);
        try {
            while (!toWrite.isEmpty() && System.nanoTime() - endNanos < 0) {
                int before = toWrite.size();
                noteAndWrite();
                if (toWrite.size() == before) {
                    TimeUnit.MILLISECONDS.sleep(1);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        disk.close(Duration.ofNanos(Math.max(0, endNanos - System.nanoTime())));
    }
}
