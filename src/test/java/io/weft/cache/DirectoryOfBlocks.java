package io.weft.cache;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** The real files of a {@link DiskStore}, on a disk that can be full, fail or hang. */
final class DirectoryOfBlocks implements DiskDirectory.Opener {
    private final Path root;
    private final AtomicInteger open = new AtomicInteger();
    private final AtomicInteger mostOpen = new AtomicInteger();
    private final AtomicLong writableBytes = new AtomicLong(Long.MAX_VALUE);
    private volatile boolean failsToRead;
    private volatile CountDownLatch gate = new CountDownLatch(0);
    private final AtomicInteger atTheGate = new AtomicInteger();

    DirectoryOfBlocks(Path root) {
        this.root = root;
    }

    /** From now on the disk takes so many more bytes. */
    void fillUpAfter(long bytes) {
        writableBytes.set(bytes);
    }

    void failToRead(boolean fails) {
        failsToRead = fails;
    }

    /** From now on reads and writes hang until {@link #release}. */
    void hang() {
        atTheGate.set(0);
        gate = new CountDownLatch(1);
    }

    void release() {
        gate.countDown();
    }

    /** Reads and writes that have hung so far. */
    int hanging() {
        return atTheGate.get();
    }

    /** The most channels that were open at once. */
    int mostOpen() {
        return mostOpen.get();
    }

    /** The files of blocks, of all models; some may be deleted meanwhile. */
    List<Path> files() {
        List<Path> files = new ArrayList<>();
        try {
            Files.walkFileTree(root, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                    if (file.getFileName().toString().matches("[0-9a-f]{32}-[0-9a-f]{32}\\..*")) {
                        files.add(file);
                    }
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult visitFileFailed(Path file, IOException failure) {
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        files.sort(Comparator.naturalOrder());
        return files;
    }

    /** Bytes of the files of blocks. */
    long bytes() throws IOException {
        long bytes = 0;
        for (Path file : files()) {
            bytes += Files.size(file);
        }
        return bytes;
    }

    @Override
    public SeekableByteChannel open(Path file, Set<? extends OpenOption> options) throws IOException {
        SeekableByteChannel channel = Files.newByteChannel(file, options);
        mostOpen.accumulateAndGet(open.incrementAndGet(), Math::max);
        boolean isProbe = file.getFileName().toString().endsWith(".probe");
        return new Channel(channel, options.contains(StandardOpenOption.WRITE) && !isProbe, isProbe);
    }

    private final class Channel implements SeekableByteChannel {
        private final SeekableByteChannel file;
        private final boolean isLimited;
        private final boolean isProbe;

        Channel(SeekableByteChannel file, boolean isLimited, boolean isProbe) {
            this.file = file;
            this.isLimited = isLimited;
            this.isProbe = isProbe;
        }

        private void pass() throws IOException {
            if (!isProbe && gate.getCount() > 0) {
                atTheGate.incrementAndGet();
                boolean isInterrupted = false;
                while (gate.getCount() > 0) {
                    try {
                        gate.await();
                    } catch (InterruptedException e) {
                        // A disk that hangs does not care.
                        isInterrupted = true;
                    }
                }
                if (isInterrupted) {
                    Thread.currentThread().interrupt();
                }
            }
        }

        @Override
        public int read(ByteBuffer to) throws IOException {
            pass();
            if (failsToRead && !isProbe) {
                throw new IOException("Input/output error");
            }
            return file.read(to);
        }

        @Override
        public int write(ByteBuffer from) throws IOException {
            pass();
            if (isLimited && writableBytes.addAndGet(-from.remaining()) < 0) {
                writableBytes.set(0);
                throw new IOException("No space left on device");
            }
            return file.write(from);
        }

        @Override
        public long position() throws IOException {
            return file.position();
        }

        @Override
        public SeekableByteChannel position(long position) throws IOException {
            file.position(position);
            return this;
        }

        @Override
        public long size() throws IOException {
            return file.size();
        }

        @Override
        public SeekableByteChannel truncate(long size) throws IOException {
            file.truncate(size);
            return this;
        }

        @Override
        public boolean isOpen() {
            return file.isOpen();
        }

        @Override
        public void close() throws IOException {
            open.decrementAndGet();
            file.close();
        }
    }
}
