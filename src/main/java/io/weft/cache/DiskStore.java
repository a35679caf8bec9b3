package io.weft.cache;

import io.weft.cache.BlockFile.Buffer;
import io.weft.cache.BlockFile.DamagedException;
import io.weft.cache.DiskDirectory.Opener;
import io.weft.cache.DiskIndex.Entry;
import io.weft.cache.DiskIndex.FileId;
import io.weft.cache.DiskIndex.Listed;
import io.weft.cache.DiskTransfer.AbandonedException;
import io.weft.cache.DiskTransfer.Done;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Blocks in files of a directory, found again after a restart.
 *
 * <p>A file is whole or a miss: it has the model's fingerprint, its name and a checksum of all its bytes. Whatever goes
 * wrong with the disk is a miss and a line in the log, and tried again later; nothing throws. The least recently used
 * files make room for others. Files of other models in the same directory count, and go by the same rule.
 *
 * <p>Any thread may call, and none waits for the disk: a few threads read and write, through buffers of their own, past
 * the page cache where the file system allows. They are all that holds files open: one each, the lock, and a listing.
 */
public final class DiskStore implements AutoCloseable {
    /** The most files, which bounds the memory of the index to some 150 MB. */
    public static final int FILES_MAX = 1 << 20;

    private static final System.Logger LOG = System.getLogger(DiskStore.class.getName());
    /** Of damaged files; the others of this time are counted. */
    private static final long LINE_PAUSE_NANOS = TimeUnit.MINUTES.toNanos(1);

    /** What is remembered while the directory cannot be used. */
    private static final int FORGOTTEN_MAX = 1000;

    /** What is assumed of a disk before the first reads: that of a slow NVMe drive. */
    private static final double READ_BYTES_PER_SECOND_ASSUMED = 1.5e9;

    /** After so many bytes, older ones count half. */
    private static final double RATE_BYTES = 1e9;

    /**
     * Limits.
     *
     * @param readers threads that read
     * @param writers threads that write
     * @param bufferBytes memory of each of these threads
     * @param queuedBytesMax bytes of blocks that wait to be written, whose memory cannot be used meanwhile
     * @param queuedReadsMax reads that wait
     * @param filesMax files
     * @param retry how long a disk that failed is left alone
     */
    record Tuning(
            int readers,
            int writers,
            int bufferBytes,
            long queuedBytesMax,
            int queuedReadsMax,
            int filesMax,
            Duration retry) {
        static final Tuning USUAL = new Tuning(8, 2, 2 << 20, 512L << 20, 1 << 16, FILES_MAX, Duration.ofSeconds(30));
    }

    /** What became of a block that was to be written. */
    public enum Offer {
        /** It will be written. */
        TAKEN,
        /** It is there, or on its way. */
        KNOWN,
        /** The queue is full: another time. */
        FULL,
        /** The disk cannot be used, or not for a block of this size. */
        REFUSED
    }

    private record Read(FileId key, DiskTransfer transfer) {}

    private static final class Write {
        final FileId key;
        final DiskScope scope;
        final DiskTransfer transfer;
        /** Whether the file is to be deleted as soon as it is there. */
        boolean isForgotten;

        Write(FileId key, DiskScope scope, DiskTransfer transfer) {
            this.key = key;
            this.scope = scope;
            this.transfer = transfer;
        }

        long fileBytes() {
            return BlockFile.fileBytes(transfer.bytes());
        }
    }

    /** What is done by one thread at a time with its buffer. */
    private interface Work {
        void run(Buffer buffer);
    }

    private final Path root;
    private final BlockName model;
    private final String folder;
    private final long bytesMax;
    private final Tuning tuning;
    private final Opener opener;
    /** Lists and deletes. */
    private final ExecutorService keeper;

    private final List<Thread> threads = new ArrayList<>();

    // Guarded by this, as all that is not final.
    private @Nullable DiskDirectory directory;
    private DiskIndex index;
    private final Deque<Read> reads = new ArrayDeque<>();
    private final Set<Read> activeReads = new HashSet<>();
    private final Deque<Write> writes = new ArrayDeque<>();
    /** Waiting or active. */
    private final Map<FileId, Write> writing = new HashMap<>();
    /** Files that are being deleted: a new one of the same name would be deleted in their place. */
    private final Set<FileId> leaving = new HashSet<>();

    /** Whose files are to be deleted as soon as the directory can be used. */
    private final List<Predicate<DiskScope>> forgotten = new ArrayList<>();

    private long queuedWriteBytes;
    private long queuedReadBytes;
    private boolean isPaused;
    private long pauseEndNanos;
    private boolean isSaid;
    private boolean isClosed;
    private long damageSaidNanos = System.nanoTime() - LINE_PAUSE_NANOS;
    private double ratedBytes;
    private double ratedNanos;
    private long ratedFromNanos;

    private final LongAdder readBlocks = new LongAdder();
    private final LongAdder readBytes = new LongAdder();
    private final LongAdder missedReads = new LongAdder();
    private final LongAdder damagedFiles = new LongAdder();
    private final LongAdder writtenBlocks = new LongAdder();
    private final LongAdder writtenBytes = new LongAdder();
    private final LongAdder failedWrites = new LongAdder();
    private final LongAdder declinedWrites = new LongAdder();
    private final LongAdder evictedFiles = new LongAdder();

    /**
     * Begins to list what the directory holds; until that is done, nothing is found and nothing written.
     *
     * @param directory which is made if it does not exist
     * @param bytesMax of all files in it
     * @param fingerprint of all on which the bits of blocks depend
     */
    public DiskStore(Path directory, long bytesMax, byte[] fingerprint) {
        this(directory, bytesMax, fingerprint, Tuning.USUAL, Files::newByteChannel);
    }

    DiskStore(Path directory, long bytesMax, byte[] fingerprint, Tuning tuning, Opener opener) {
        this.root = directory;
        this.model = BlockFile.hash(fingerprint);
        this.folder = DiskDirectory.folder(BlockFile.VERSION, model);
        this.bytesMax = bytesMax;
        this.tuning = tuning;
        this.opener = opener;
        this.index = new DiskIndex(bytesMax, tuning.filesMax());
        this.keeper = Executors.newSingleThreadExecutor(
                Thread.ofPlatform().daemon().name("weft-disk-keeper").factory());
        for (int i = 0; i < tuning.readers(); i++) {
            start("weft-disk-read-" + i, this::nextRead);
        }
        for (int i = 0; i < tuning.writers(); i++) {
            start("weft-disk-write-" + i, this::nextWrite);
        }
        keeper.execute(this::open);
    }

    private void start(String name, Supplier<Optional<Work>> next) {
        threads.add(Thread.ofPlatform().daemon().name(name).start(() -> {
            Buffer buffer = Buffer.ofBytes(tuning.bufferBytes());
            for (Optional<Work> work = next.get(); work.isPresent(); work = next.get()) {
                work.get().run(buffer);
            }
        }));
    }

    // ---- the directory

    /** Takes the directory and lists it; tries again later if that is impossible. On the keeper's thread. */
    private void open() {
        try {
            DiskDirectory opened = DiskDirectory.open(root, model, opener);
            boolean isTaken = false;
            try {
                isTaken = take(opened);
            } finally {
                if (!isTaken) {
                    opened.close();
                }
            }
        } catch (IOException | RuntimeException e) {
            trouble("the cache has no disk for now, " + root + " cannot be used", e);
            openLater();
        }
    }

    private void openLater() {
        // Refused once the keeper has ended, which nobody sees.
        CompletableFuture.delayedExecutor(tuning.retry().toNanos(), TimeUnit.NANOSECONDS, keeper)
                .execute(this::open);
    }

    /** Lists the directory, which is used from then on; false if the store was closed meanwhile. */
    private boolean take(DiskDirectory opened) throws IOException {
        DiskIndex found = new DiskIndex(bytesMax, tuning.filesMax());
        opened.list().forEach(file -> found.add(file.key(), file.entry()));
        List<Listed> surplus;
        synchronized (this) {
            if (isClosed) {
                return false;
            }
            surplus = new ArrayList<>(found.removeSurplus());
            evictedFiles.add(surplus.size());
            forgotten.forEach(scope -> surplus.addAll(found.removeAll(scope)));
            forgotten.clear();
            surplus.forEach(file -> leaving.add(file.key()));
            directory = opened;
            index = found;
            isSaid = false;
            isPaused = false;
        }
        LOG.log(Level.INFO, "{0} has {1} blocks of the cache, {2} MB", root, found.files(), found.bytes() / 1_000_000);
        try {
            delete(opened, surplus);
        } catch (IOException e) {
            pause(opened, e);
        }
        return true;
    }

    /** Deletes files that are marked as leaving; those that stay are in the index again. */
    private void delete(DiskDirectory from, List<Listed> files) throws IOException {
        IOException failure = null;
        for (Listed file : files) {
            boolean isDeleted = false;
            try {
                from.delete(file);
                isDeleted = true;
            } catch (IOException e) {
                failure = e;
            } finally {
                synchronized (this) {
                    leaving.remove(file.key());
                    if (!isDeleted && directory == from) {
                        index.putBack(file);
                    }
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** A file could not be written, or was missing. */
    private void failed(DiskDirectory where, IOException cause) {
        boolean isThere = where.isThere();
        boolean isLost;
        synchronized (this) {
            isLost = !isThere && directory == where;
            if (isLost) {
                directory = null;
                index = new DiskIndex(bytesMax, tuning.filesMax());
            } else if (directory != where || isClosed) {
                return;
            }
        }
        if (isLost) {
            trouble("the cache has no disk for now, " + root + " is gone", cause);
            close(where);
            openLater();
        }
    }

    private void pause(DiskDirectory where, Exception cause) {
        synchronized (this) {
            if (directory != where || isClosed) {
                return;
            }
            isPaused = true;
            pauseEndNanos = System.nanoTime() + tuning.retry().toNanos();
        }
        trouble("the cache writes no blocks for now, " + root + " takes none", cause);
    }

    /** One line until the disk works again. */
    private void trouble(String what, Exception cause) {
        boolean isNew;
        synchronized (this) {
            isNew = !isSaid && !isClosed;
            isSaid = true;
        }
        LOG.log(isNew ? Level.WARNING : Level.DEBUG, "{0} ({1})", what, cause.toString());
    }

    private static void close(DiskDirectory directory) {
        try {
            directory.close();
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "the lock of the cache''s directory: {0}", e);
        }
    }

    // ---- what is there

    private FileId key(BlockName name, BlockPart part) {
        return new FileId(folder, name, part);
    }

    /** Whether a part of a block is there, as far as is known. */
    public synchronized boolean contains(BlockName name, BlockPart part) {
        return index.get(key(name, part)) != null;
    }

    /**
     * Which parts are there of the first of these blocks, up to the first that is missing. They count as used, the last
     * first, so that the beginning of a text outlives what follows it.
     *
     * @param names of blocks that follow each other
     * @return sets of parts that hold at least K and V or activations
     */
    public synchronized List<Set<BlockPart>> find(List<BlockName> names) {
        List<Set<BlockPart>> found = new ArrayList<>();
        for (BlockName name : names) {
            Set<BlockPart> parts = new LinkedHashSet<>();
            for (BlockPart part : BlockPart.all()) {
                if (index.get(key(name, part)) != null) {
                    parts.add(part);
                }
            }
            if (parts.stream().noneMatch(BlockPart::isBlock)) {
                break;
            }
            found.add(parts);
        }
        for (int i = found.size() - 1; i >= 0; i--) {
            for (BlockPart part : found.get(i)) {
                index.use(key(names.get(i), part));
            }
        }
        return found;
    }

    /** The number of this model's blocks that belong to an owner, and to a salt if one is given. */
    public synchronized long blocks(String owner, Optional<String> salt) {
        Predicate<DiskScope> wanted = scopes(Optional.of(owner), salt);
        return index.count(file -> file.key().folder().equals(folder)
                && file.key().part().isBlock()
                && wanted.test(file.entry().scope()));
    }

    private static Predicate<DiskScope> scopes(Optional<String> owner, Optional<String> salt) {
        Optional<Long> ownerHash = owner.map(DiskScope::ownerHash);
        Optional<Long> saltHash = salt.map(DiskScope::saltHash);
        return scope -> ownerHash.map(hash -> hash == scope.owner()).orElse(true)
                && saltHash.map(hash -> hash == scope.salt()).orElse(true);
    }

    /** How full the directory is, and what it did. */
    public DiskUsage usage() {
        boolean isThere;
        long files;
        long bytes;
        synchronized (this) {
            isThere = directory != null;
            files = index.files();
            bytes = index.bytes();
        }
        return new DiskUsage(
                isThere,
                files,
                new PoolUsage(bytes, bytesMax),
                readBlocks.sum(),
                readBytes.sum(),
                missedReads.sum(),
                damagedFiles.sum(),
                writtenBlocks.sum(),
                writtenBytes.sum(),
                failedWrites.sum(),
                declinedWrites.sum(),
                evictedFiles.sum());
    }

    // ---- writing

    /**
     * Offers a part of a block to be written behind. If it is taken, its memory has to stay as it is until that ends.
     *
     * @param pieces the part's memory, native and shared by threads, in the order in which it is read again
     * @param done told when the write has ended, if it was taken
     */
    public Offer write(BlockName name, DiskScope scope, BlockPart part, List<MemorySegment> pieces, Done done) {
        return write(name, scope, part, new DiskTransfer(pieces, done));
    }

    /** The same for a transfer that can be abandoned. */
    Offer write(BlockName name, DiskScope scope, BlockPart part, DiskTransfer transfer) {
        Offer offer = offer(new Write(key(name, part), scope, transfer));
        if (offer == Offer.REFUSED) {
            declinedWrites.increment();
        }
        return offer;
    }

    private synchronized Offer offer(Write write) {
        if (index.get(write.key) != null || writing.containsKey(write.key)) {
            return Offer.KNOWN;
        }
        boolean isResting = isPaused && System.nanoTime() - pauseEndNanos < 0;
        if (isClosed || directory == null || isResting || write.fileBytes() > bytesMax) {
            return Offer.REFUSED;
        }
        // One that is larger than the whole queue is taken by an empty queue.
        boolean fits = writing.isEmpty() || queuedWriteBytes + write.transfer.bytes() <= tuning.queuedBytesMax();
        if (!fits || leaving.contains(write.key)) {
            return Offer.FULL;
        }
        queuedWriteBytes += write.transfer.bytes();
        writing.put(write.key, write);
        writes.add(write);
        notifyAll();
        return Offer.TAKEN;
    }

    /** Waits for a write; empty once the store is closed. */
    private synchronized Optional<Work> nextWrite() {
        await(writes);
        Write write = writes.poll();
        return write == null ? Optional.empty() : Optional.of(buffer -> write(write, buffer));
    }

    /** Waits until a queue has something, or the store is closed. */
    private synchronized void await(Deque<?> queue) {
        while (queue.isEmpty() && !isClosed) {
            try {
                wait();
            } catch (InterruptedException e) {
                // Only close() interrupts.
                return;
            }
        }
    }

    private void write(Write write, Buffer buffer) {
        DiskDirectory to;
        synchronized (this) {
            to = directory;
        }
        boolean isWritten = to != null && tryToWrite(to, write, buffer);
        // The name is free again before anyone is told.
        synchronized (this) {
            writing.remove(write.key, write);
            queuedWriteBytes -= write.transfer.bytes();
            notifyAll();
        }
        end(write.transfer, isWritten);
    }

    private boolean tryToWrite(DiskDirectory to, Write write, Buffer buffer) {
        Optional<Listed> reserved = Optional.empty();
        boolean isWritten = false;
        try {
            reserved = reserve(to, write);
            if (reserved.isPresent()) {
                to.write(reserved.get(), write.transfer, buffer);
                isWritten = true;
            }
        } catch (AbandonedException e) {
            LOG.log(Level.DEBUG, "block {0} was forgotten before it was written", write.key.name());
        } catch (IOException | RuntimeException e) {
            failedWrites.increment();
            if (e instanceof IOException lost) {
                failed(to, lost);
            }
            pause(to, e);
        }
        return reserved.isPresent() && settle(to, write, reserved.get(), isWritten);
    }

    /** Makes room; empty if there is none. */
    private Optional<Listed> reserve(DiskDirectory to, Write write) throws IOException {
        List<Listed> surplus;
        Listed file;
        synchronized (this) {
            if (directory != to || write.isForgotten) {
                return Optional.empty();
            }
            Optional<List<Listed>> room = index.reserve(write.fileBytes());
            if (room.isEmpty()) {
                declinedWrites.increment();
                return Optional.empty();
            }
            surplus = room.get();
            evictedFiles.add(surplus.size());
            surplus.forEach(old -> leaving.add(old.key()));
            file = new Listed(write.key, new Entry(write.scope, write.fileBytes(), index.nextMicros()));
        }
        try {
            delete(to, surplus);
        } catch (IOException e) {
            release(to, write);
            throw e;
        }
        return Optional.of(file);
    }

    private synchronized void release(DiskDirectory to, Write write) {
        if (directory == to) {
            index.release(write.fileBytes());
        }
    }

    /** Adds a file that is there, or deletes it if it is not wanted any more; whether it stays. */
    private boolean settle(DiskDirectory to, Write write, Listed file, boolean isWritten) {
        boolean stays;
        boolean isBack = false;
        synchronized (this) {
            release(to, write);
            stays = isWritten && !write.isForgotten && directory == to;
            if (stays) {
                index.add(file.key(), file.entry());
                isBack = isPaused;
                isPaused = false;
                isSaid = false;
            }
        }
        if (stays) {
            writtenBlocks.increment();
            writtenBytes.add(write.fileBytes());
        } else if (isWritten) {
            deleteOrSay(to, file);
        }
        if (isBack) {
            LOG.log(Level.INFO, "the cache writes blocks to {0} again", root);
        }
        return stays;
    }

    private static void deleteOrSay(DiskDirectory from, Listed file) {
        try {
            from.delete(file);
        } catch (IOException e) {
            LOG.log(
                    Level.WARNING,
                    "{0} cannot be deleted: {1}",
                    from.path(file.key(), file.entry().scope()),
                    e);
        }
    }

    private static void end(DiskTransfer transfer, boolean isComplete) {
        try {
            transfer.end(isComplete);
        } catch (RuntimeException e) {
            LOG.log(Level.ERROR, "whoever waited for a block failed", e);
        }
    }

    // ---- reading

    /**
     * Reads a part of a block. A file that is missing or not what was written is a miss.
     *
     * @param pieces where to, native and shared by threads; together as many bytes as were written
     * @param done told when the read has ended
     * @return the read, which can be abandoned
     */
    public DiskTransfer read(BlockName name, BlockPart part, List<MemorySegment> pieces, Done done) {
        Read read = new Read(key(name, part), new DiskTransfer(pieces, done));
        boolean isTaken;
        synchronized (this) {
            isTaken = !isClosed && reads.size() < tuning.queuedReadsMax();
            if (isTaken) {
                queuedReadBytes += read.transfer().bytes();
                reads.add(read);
                notifyAll();
            }
        }
        if (!isTaken) {
            missedReads.increment();
            end(read.transfer(), false);
        }
        return read.transfer();
    }

    /** How long it would take to read {@code bytes} after all that waits to be read, as far as can be told. */
    public synchronized long readNanos(long bytes) {
        double bytesPerSecond = ratedNanos == 0 ? READ_BYTES_PER_SECOND_ASSUMED : ratedBytes / ratedNanos * 1e9;
        return (long) ((queuedReadBytes + bytes) / bytesPerSecond * 1e9);
    }

    /** Waits for a read; empty once the store is closed. */
    private synchronized Optional<Work> nextRead() {
        await(reads);
        Read read = reads.poll();
        if (read == null) {
            return Optional.empty();
        }
        if (activeReads.isEmpty()) {
            ratedFromNanos = System.nanoTime();
        }
        activeReads.add(read);
        return Optional.of(buffer -> read(read, buffer));
    }

    private void read(Read read, Buffer buffer) {
        boolean isRead = !read.transfer().isEnded() && tryToRead(read, buffer);
        synchronized (this) {
            activeReads.remove(read);
            queuedReadBytes -= read.transfer().bytes();
            rate(isRead ? read.transfer().bytes() : 0);
            notifyAll();
        }
        end(read.transfer(), isRead);
    }

    /** Counts the time in which there was something to read. */
    private void rate(long bytes) {
        long now = System.nanoTime();
        ratedNanos += now - ratedFromNanos;
        ratedBytes += bytes;
        ratedFromNanos = now;
        if (ratedBytes > RATE_BYTES) {
            ratedBytes /= 2;
            ratedNanos /= 2;
        }
    }

    private boolean tryToRead(Read read, Buffer buffer) {
        DiskDirectory from;
        Entry entry;
        synchronized (this) {
            from = directory;
            entry = index.get(read.key());
        }
        if (from == null || entry == null) {
            missedReads.increment();
            return false;
        }
        Listed file = new Listed(read.key(), entry);
        try {
            from.read(file, read.transfer(), buffer);
            readBlocks.increment();
            readBytes.add(entry.bytes());
            return true;
        } catch (AbandonedException e) {
            LOG.log(Level.DEBUG, "block {0} is not wanted any more", read.key().name());
        } catch (NoSuchFileException e) {
            missedReads.increment();
            synchronized (this) {
                index.remove(file.key(), entry);
            }
            failed(from, e);
        } catch (DamagedException e) {
            missedReads.increment();
            damagedFiles.increment();
            dropDamaged(from, file, e);
        } catch (IOException | RuntimeException e) {
            missedReads.increment();
            trouble("blocks in " + root + " cannot be read for now", e);
        }
        return false;
    }

    private void dropDamaged(DiskDirectory from, Listed file, DamagedException cause) {
        boolean isDropped;
        boolean isToSay;
        synchronized (this) {
            isDropped = index.remove(file.key(), file.entry());
            if (isDropped) {
                leaving.add(file.key());
            }
            long now = System.nanoTime();
            isToSay = now - damageSaidNanos >= LINE_PAUSE_NANOS;
            damageSaidNanos = isToSay ? now : damageSaidNanos;
        }
        LOG.log(
                isToSay ? Level.WARNING : Level.DEBUG,
                "{0} is not used and deleted: {1}; {2} damaged files so far",
                from.path(file.key(), file.entry().scope()),
                cause.getMessage(),
                damagedFiles.sum());
        if (isDropped) {
            try {
                delete(from, List.of(file));
            } catch (IOException e) {
                trouble("files in " + root + " cannot be deleted for now", e);
            }
        }
    }

    // ---- forgetting

    /**
     * Forgets blocks of all models: at once, none of them is found any more.
     *
     * @param owner whose; empty for any
     * @param salt of which salt; empty for any
     * @return the number of files, once they are deleted; it fails if some could not be. If the directory cannot be
     *     used now, 0, and they are deleted as soon as it can
     */
    public CompletableFuture<Long> forget(Optional<String> owner, Optional<String> salt) {
        Predicate<DiskScope> wanted = scopes(owner, salt);
        List<Listed> files;
        DiskDirectory from;
        synchronized (this) {
            from = directory;
            files = index.removeAll(wanted);
            files.forEach(file -> leaving.add(file.key()));
            for (Write write : writing.values()) {
                write.isForgotten |= wanted.test(write.scope);
            }
            if (from == null) {
                forgetLater(wanted);
            }
        }
        CompletableFuture<Long> deleted = new CompletableFuture<>();
        if (from == null) {
            deleted.complete(0L);
            return deleted;
        }
        try {
            keeper.execute(() -> {
                try {
                    delete(from, files);
                    deleted.complete((long) files.size());
                } catch (IOException | RuntimeException e) {
                    deleted.completeExceptionally(e);
                }
            });
        } catch (RejectedExecutionException e) {
            deleted.completeExceptionally(e);
        }
        return deleted;
    }

    /** Forgets files of a directory that is not there now; more than was asked for if that happens often. */
    private void forgetLater(Predicate<DiskScope> wanted) {
        if (forgotten.size() < FORGOTTEN_MAX) {
            forgotten.add(wanted);
        } else {
            forgotten.clear();
            forgotten.add(scope -> true);
        }
    }

    // ---- the end

    /** Closes within some seconds. */
    @Override
    public void close() {
        close(Duration.ofSeconds(10));
    }

    /**
     * Writes what was taken, as far as {@code limit} allows, ends all transfers, and gives the directory back. A disk
     * that hangs holds nobody up longer.
     */
    public void close(Duration limit) {
        List<DiskTransfer> unread = new ArrayList<>();
        synchronized (this) {
            if (isClosed) {
                return;
            }
            isClosed = true;
            reads.forEach(read -> unread.add(read.transfer()));
            reads.clear();
            activeReads.forEach(read -> unread.add(read.transfer()));
            notifyAll();
        }
        unread.forEach(transfer -> end(transfer, false));
        long endNanos = System.nanoTime() + limit.toNanos();
        List<DiskTransfer> unwritten = new ArrayList<>();
        synchronized (this) {
            try {
                while (!writing.isEmpty() && System.nanoTime() - endNanos < 0) {
                    TimeUnit.NANOSECONDS.timedWait(this, endNanos - System.nanoTime());
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            writing.values().forEach(write -> unwritten.add(write.transfer));
            writes.clear();
            notifyAll();
        }
        unwritten.forEach(transfer -> end(transfer, false));
        end();
    }

    private void end() {
        // Deletions that are under way end; what hangs is left, and touches nobody's memory.
        keeper.shutdown();
        threads.forEach(Thread::interrupt);
        boolean isInterrupted = Thread.interrupted();
        try {
            for (Thread thread : threads) {
                thread.join(Duration.ofSeconds(1));
            }
            if (!keeper.awaitTermination(1, TimeUnit.SECONDS)) {
                keeper.shutdownNow();
            }
        } catch (InterruptedException e) {
            isInterrupted = true;
        }
        DiskDirectory last;
        synchronized (this) {
            last = directory;
            directory = null;
        }
        if (last != null) {
            close(last);
        }
        if (isInterrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
