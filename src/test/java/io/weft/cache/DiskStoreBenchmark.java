package io.weft.cache;

import io.weft.cache.BlockFile.Buffer;
import io.weft.cache.DiskStore.Offer;
import io.weft.cache.DiskStore.Tuning;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * How fast blocks are written to files and read again, next to one large file on the same disk in the same run. Both
 * pass the page cache by, so a read is one of the disk; where the file system refuses that, the report says so, and the
 * figures are those of memory. The large file is read and written by one thread and by several, at different places,
 * before and after the blocks, and the best of these counts.
 *
 * <p>Not a test: {@code ./mvnw -Dtest=DiskStoreBenchmark test}, with {@code -Dweft.directory=/mnt/disk
 * -Dweft.bytes=8000000000} for another disk and amount, and {@code -Dweft.readers=8 -Dweft.writers=4
 * -Dweft.buffer=1048576} for other threads and buffers.
 */
class DiskStoreBenchmark {
    private static final long BYTES = Long.getLong("weft.bytes", 4_000_000_000L);
    private static final Path DIRECTORY =
            Path.of(System.getProperty("weft.directory", System.getProperty("java.io.tmpdir")));
    private static final int PIECE_BYTES = 2 << 20;
    private static final int LAYERS = 32;
    /** Blocks on their way, each with memory of its own. */
    private static final int SLOTS = 64;

    private interface Work {
        void run(int thread) throws IOException;
    }

    @Test
    void ratesOfBlocksAndOfTheDisk() throws Exception {
        Path scratch = Files.createTempDirectory(DIRECTORY, "weft-disk-");
        try {
            for (int blockBytes : new int[] {512 << 10, 2 << 20, 8 << 20}) {
                measure(scratch, blockBytes);
            }
        } finally {
            delete(scratch);
        }
    }

    static void measure(Path scratch, int blockBytes) throws Exception {
        Path plain = scratch.resolve("plain");
        Path cache = scratch.resolve("cache");
        int blocks = (int) (BYTES / blockBytes);
        Optional<OpenOption> direct = DiskDirectory.direct(scratch, Files::newByteChannel);
        double plainWrite = plainRate(plain, StandardOpenOption.WRITE, direct);
        double plainRead = plainRate(plain, StandardOpenOption.READ, direct);
        double write;
        try (DiskStore store = store(cache)) {
            write = writeRate(store, blockBytes, blocks);
        }
        double read;
        long listedMillis = System.nanoTime();
        try (DiskStore store = store(cache)) {
            listedMillis = (System.nanoTime() - listedMillis) / 1_000_000;
            read = readRate(store, blockBytes, blocks);
        }
        plainRead = Math.max(plainRead, plainRate(plain, StandardOpenOption.READ, direct));
        plainWrite = Math.max(plainWrite, plainRate(plain, StandardOpenOption.WRITE, direct));
        System.out.printf(
                "%d blocks of %d KiB, %s: read %.0f MB/s = %.2f of the disk's %.0f, written %.0f MB/s = %.2f of %.0f,"
                        + " listed in %d ms%n",
                blocks,
                blockBytes >> 10,
                direct.isPresent() ? "past the page cache" : "THROUGH THE PAGE CACHE",
                read / 1e6,
                read / plainRead,
                plainRead / 1e6,
                write / 1e6,
                write / plainWrite,
                plainWrite / 1e6,
                listedMillis);
        delete(cache);
        Files.delete(plain);
    }

    private static DiskStore store(Path directory) throws InterruptedException {
        Tuning usual = Tuning.USUAL;
        Tuning tuning = new Tuning(
                Integer.getInteger("weft.readers", usual.readers()),
                Integer.getInteger("weft.writers", usual.writers()),
                Integer.getInteger("weft.buffer", usual.bufferBytes()),
                usual.queuedBytesMax(),
                usual.queuedReadsMax(),
                usual.filesMax(),
                usual.retry());
        DiskStore store = new DiskStore(directory, 1L << 40, new byte[0], tuning, Files::newByteChannel);
        while (!store.usage().isThere()) {
            Thread.sleep(1);
        }
        return store;
    }

    /** Bytes a second of one large file, by one thread or by as many as read blocks. */
    private static double plainRate(Path file, OpenOption way, Optional<OpenOption> direct) throws Exception {
        double best = 0;
        for (int threads : new int[] {1, 4}) {
            long pieces = BYTES / PIECE_BYTES / 4 * 4 / threads;
            if (way == StandardOpenOption.WRITE) {
                // Blocks are new files, too.
                Files.deleteIfExists(file);
            }
            long nanos = nanos(threads, thread -> pass(file, way, direct, thread * pieces, pieces));
            best = Math.max(best, threads * pieces * PIECE_BYTES * 1e9 / nanos);
        }
        return best;
    }

    private static void pass(Path file, OpenOption way, Optional<OpenOption> direct, long firstPiece, long pieces)
            throws IOException {
        Set<OpenOption> options = new HashSet<>(Set.of(way));
        if (way == StandardOpenOption.WRITE) {
            options.add(StandardOpenOption.CREATE);
        }
        direct.ifPresent(options::add);
        ByteBuffer piece = Buffer.ofBytes(PIECE_BYTES).view();
        try (FileChannel channel = FileChannel.open(file, options)) {
            for (long i = firstPiece; i < firstPiece + pieces; i++) {
                piece.clear();
                int moved = way == StandardOpenOption.READ
                        ? channel.read(piece, i * PIECE_BYTES)
                        : channel.write(piece, i * PIECE_BYTES);
                if (moved != PIECE_BYTES) {
                    throw new IOException("moved " + moved + " bytes");
                }
            }
        }
    }

    private static long nanos(int threads, Work work) throws Exception {
        AtomicReference<IOException> failure = new AtomicReference<>();
        List<Thread> running = new ArrayList<>();
        long since = System.nanoTime();
        for (int i = 0; i < threads; i++) {
            int thread = i;
            running.add(Thread.ofPlatform().start(() -> {
                try {
                    work.run(thread);
                } catch (IOException e) {
                    failure.set(e);
                }
            }));
        }
        for (Thread thread : running) {
            thread.join();
        }
        long nanos = System.nanoTime() - since;
        if (failure.get() != null) {
            throw failure.get();
        }
        return nanos;
    }

    /** The memory of a slot, as the cache has it on the host: (layers, slots, bytes). */
    private static List<MemorySegment> pieces(MemorySegment slab, int slot, int blockBytes) {
        long layerBytes = blockBytes / LAYERS;
        List<MemorySegment> pieces = new ArrayList<>();
        for (int layer = 0; layer < LAYERS; layer++) {
            pieces.add(slab.asSlice(((long) layer * SLOTS + slot) * layerBytes, layerBytes));
        }
        return pieces;
    }

    private static MemorySegment slab(int blockBytes) {
        MemorySegment slab = Arena.ofAuto().allocate((long) SLOTS * blockBytes, BlockFile.ALIGNMENT);
        Random random = new Random(blockBytes);
        byte[] bytes = new byte[1 << 20];
        for (long at = 0; at < slab.byteSize(); at += bytes.length) {
            random.nextBytes(bytes);
            slab.asSlice(at, bytes.length).copyFrom(MemorySegment.ofArray(bytes));
        }
        return slab;
    }

    private static BlockName name(int block) {
        return BlockFile.hash(new byte[] {(byte) block, (byte) (block >> 8), (byte) (block >> 16)});
    }

    private static double writeRate(DiskStore store, int blockBytes, int blocks) throws Exception {
        MemorySegment slab = slab(blockBytes);
        Semaphore written = new Semaphore(0);
        AtomicInteger failed = new AtomicInteger();
        long since = System.nanoTime();
        for (int block = 0; block < blocks; block++) {
            List<MemorySegment> pieces = pieces(slab, block % SLOTS, blockBytes);
            while (store.write(name(block), new DiskScope(0, 0), BlockPart.KEY_VALUE, pieces, isWritten -> {
                        failed.addAndGet(isWritten ? 0 : 1);
                        written.release();
                    })
                    != Offer.TAKEN) {
                Thread.sleep(1);
            }
        }
        written.acquire(blocks);
        requireNone(failed);
        return (double) blocks * blockBytes * 1e9 / (System.nanoTime() - since);
    }

    private static double readRate(DiskStore store, int blockBytes, int blocks) throws Exception {
        MemorySegment slab = slab(blockBytes);
        Semaphore free = new Semaphore(SLOTS);
        AtomicInteger failed = new AtomicInteger();
        long since = System.nanoTime();
        for (int block = 0; block < blocks; block++) {
            free.acquire();
            store.read(name(block), BlockPart.KEY_VALUE, pieces(slab, block % SLOTS, blockBytes), isRead -> {
                failed.addAndGet(isRead ? 0 : 1);
                free.release();
            });
        }
        free.acquire(SLOTS);
        requireNone(failed);
        return (double) blocks * blockBytes * 1e9 / (System.nanoTime() - since);
    }

    private static void requireNone(AtomicInteger failed) {
        if (failed.get() > 0) {
            throw new IllegalStateException(failed + " blocks failed");
        }
    }

    private static void delete(Path tree) throws IOException {
        try (Stream<Path> paths = Files.walk(tree)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
