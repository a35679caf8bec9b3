package io.weft.cache;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SeekableByteChannel;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.zip.CRC32C;

/**
 * The format of a file with a part of a block:
 *
 * <pre>
 * bytes      0 to 128        what the file is, see {@link #header}
 * bytes    128 to 128 + n    the part
 * then                       zeros
 * the last 4 bytes           CRC-32C of all bytes before them
 * </pre>
 *
 * The length is a multiple of 4096 bytes, for files that are read and written past the page cache. Numbers have the
 * byte order of the machine, as the part has.
 *
 * @param model the model and all else on which the bits of its blocks depend
 * @param name of the block
 * @param scope to whom it belongs
 * @param part what of the block
 * @param bytes n, of the part
 */
record BlockFile(BlockName model, BlockName name, DiskScope scope, BlockPart part, long bytes) {
    /** Files of other versions are not read. */
    static final int VERSION = 1;

    /** What lengths, offsets and addresses of direct reads and writes have to be multiples of. */
    static final int ALIGNMENT = 4096;

    static final int HEADER_BYTES = 128;
    private static final int CHECKSUM_BYTES = Integer.BYTES;
    /** "WEFTBLK1" on a machine whose numbers begin with their last byte. */
    private static final long MAGIC = 0x314b4c4254464557L;

    /** The file is not what it should be. */
    static final class DamagedException extends IOException {
        private static final long serialVersionUID = 1;

        DamagedException(String message) {
            super(message);
        }
    }

    /** Memory between files and blocks, of one thread. */
    record Buffer(MemorySegment memory, ByteBuffer view) {
        /** Allocates native memory, which the garbage collector frees: a thread may hang in a read of it. */
        static Buffer ofBytes(int bytes) {
            if (bytes < ALIGNMENT || bytes % ALIGNMENT != 0) {
                throw new IllegalArgumentException("buffer of " + bytes + " bytes, must be a multiple of " + ALIGNMENT);
            }
            MemorySegment memory = Arena.ofAuto().allocate(bytes, ALIGNMENT);
            return new Buffer(memory, memory.asByteBuffer().order(ByteOrder.nativeOrder()));
        }
    }

    /** 128 bits of SHA-256. */
    static BlockName hash(byte[] bytes) {
        try {
            ByteBuffer hash =
                    ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(bytes));
            return new BlockName(hash.getLong(), hash.getLong());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /** Bytes of the file of a part of {@code bytes} bytes. */
    static long fileBytes(long bytes) {
        return Math.ceilDiv(HEADER_BYTES + bytes + CHECKSUM_BYTES, (long) ALIGNMENT) * ALIGNMENT;
    }

    /** Bytes of the file. */
    long fileBytes() {
        return fileBytes(bytes);
    }

    /** The start of the file, padded with zeros. */
    private ByteBuffer header() {
        ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES).order(ByteOrder.nativeOrder());
        header.putLong(MAGIC).putInt(VERSION).putInt(part.code());
        header.putLong(model.high()).putLong(model.low());
        header.putLong(name.high()).putLong(name.low());
        header.putLong(scope.owner()).putLong(scope.salt());
        header.putLong(bytes);
        return header.clear();
    }

    /**
     * Writes the file.
     *
     * @param file empty
     * @throws DiskTransfer.AbandonedException if the transfer ends meanwhile
     */
    void write(SeekableByteChannel file, DiskTransfer from, Buffer buffer) throws IOException {
        CRC32C checksum = new CRC32C();
        long fileBytes = fileBytes();
        ByteBuffer view = buffer.view();
        for (long at = 0; at < fileBytes; at += view.capacity()) {
            int count = (int) Math.min(view.capacity(), fileBytes - at);
            if (at == 0) {
                view.clear().put(header());
            }
            long dataFrom = dataFrom(at);
            long dataTo = dataTo(at, count);
            if (dataFrom < dataTo) {
                from.get(dataFrom - HEADER_BYTES, buffer.memory().asSlice(dataFrom - at, dataTo - dataFrom));
            }
            long paddingFrom = Math.max(at, dataTo);
            buffer.memory().asSlice(paddingFrom - at, at + count - paddingFrom).fill((byte) 0);
            boolean isLast = at + count == fileBytes;
            int checked = isLast ? count - CHECKSUM_BYTES : count;
            checksum.update(view.clear().limit(checked));
            view.clear().limit(count);
            if (isLast) {
                view.putInt(checked, (int) checksum.getValue());
            }
            while (view.hasRemaining()) {
                file.write(view);
            }
        }
    }

    /**
     * Reads the file.
     *
     * @throws DamagedException if it is another file, or any bit of it has changed
     * @throws DiskTransfer.AbandonedException if the transfer ends meanwhile
     */
    void read(SeekableByteChannel file, DiskTransfer to, Buffer buffer) throws IOException {
        long fileBytes = fileBytes();
        if (file.size() != fileBytes) {
            throw new DamagedException("it has %d bytes instead of %d".formatted(file.size(), fileBytes));
        }
        CRC32C checksum = new CRC32C();
        ByteBuffer view = buffer.view();
        for (long at = 0; at < fileBytes; at += view.capacity()) {
            int count = (int) Math.min(view.capacity(), fileBytes - at);
            fill(file, view.clear().limit(count));
            if (at == 0 && !view.slice(0, HEADER_BYTES).equals(header())) {
                throw new DamagedException("it does not begin as it should: another block, model or version");
            }
            boolean isLast = at + count == fileBytes;
            int checked = isLast ? count - CHECKSUM_BYTES : count;
            checksum.update(view.clear().limit(checked));
            if (isLast && view.clear().getInt(checked) != (int) checksum.getValue()) {
                throw new DamagedException("its checksum is wrong");
            }
            long dataFrom = dataFrom(at);
            long dataTo = dataTo(at, count);
            if (dataFrom < dataTo) {
                to.put(dataFrom - HEADER_BYTES, buffer.memory().asSlice(dataFrom - at, dataTo - dataFrom));
            }
        }
    }

    private static void fill(SeekableByteChannel file, ByteBuffer view) throws IOException {
        while (view.hasRemaining()) {
            if (file.read(view) < 0) {
                throw new DamagedException("it ends early");
            }
        }
    }

    /** The first byte of the part at or after a byte of the file. */
    private static long dataFrom(long at) {
        return Math.max(at, HEADER_BYTES);
    }

    /** The end of the part, or of a piece of the file. */
    private long dataTo(long at, int count) {
        return Math.min(at + count, HEADER_BYTES + bytes);
    }
}
