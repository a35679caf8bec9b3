package io.weft.api.http;

import io.vertx.core.buffer.Buffer;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * A request's body, in pieces of memory that are taken as it arrives and given back as it is read. First one thread
 * adds to it, then one reads it.
 */
final class Body {
    private static final int PIECE_BYTES_LEAST = 1 << 12;
    private static final int PIECE_BYTES_MOST = 1 << 16;

    private final BodyMemory memory;
    private final Deque<byte[]> pieces = new ArrayDeque<>();
    private long bytes;
    /** Of the last piece. */
    private int freeBytes;

    private long heldBytes;

    private final ContentEncoding encoding;
    private final long bytesMost;

    /**
     * @param encoding how it is encoded
     * @param bytesMost of the body when it is decoded
     */
    Body(BodyMemory memory, ContentEncoding encoding, long bytesMost) {
        this.memory = memory;
        this.encoding = encoding;
        this.bytesMost = bytesMost;
    }

    /** Adds what has arrived; false if there is no memory for it. */
    boolean add(Buffer chunk) {
        int taken = 0;
        while (taken < chunk.length()) {
            if (freeBytes == 0 && !grow()) {
                return false;
            }
            byte[] piece = pieces.getLast();
            int part = Math.min(freeBytes, chunk.length() - taken);
            chunk.getBytes(taken, taken + part, piece, piece.length - freeBytes);
            freeBytes -= part;
            taken += part;
        }
        bytes += taken;
        return true;
    }

    /** Bodies of one byte in each chunk take no more memory than others. */
    private boolean grow() {
        int size = Math.clamp(bytes, PIECE_BYTES_LEAST, PIECE_BYTES_MOST);
        if (!memory.take(size)) {
            return false;
        }
        pieces.add(new byte[size]);
        freeBytes = size;
        heldBytes += size;
        return true;
    }

    long bytes() {
        return bytes;
    }

    /** The decoded body, once; what was read is given back. */
    InputStream stream() {
        return encoding.decode(new Reading(), bytesMost);
    }

    /** Gives back what has not been read. */
    void close() {
        pieces.clear();
        memory.giveBack(heldBytes);
        heldBytes = 0;
    }

    private final class Reading extends InputStream {
        private int position;

        @Override
        public int read() {
            byte[] piece = current();
            return piece == null ? -1 : piece[position++] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) {
            byte[] piece = current();
            if (piece == null) {
                return length == 0 ? 0 : -1;
            }
            int part = Math.min(length, end(piece) - position);
            System.arraycopy(piece, position, into, offset, part);
            position += part;
            return part;
        }

        @Override
        public int available() {
            byte[] piece = current();
            return piece == null ? 0 : end(piece) - position;
        }

        /** The piece with the next byte. */
        private byte @Nullable [] current() {
            byte[] piece = pieces.peekFirst();
            while (piece != null && position == end(piece)) {
                pieces.removeFirst();
                memory.giveBack(piece.length);
                heldBytes -= piece.length;
                position = 0;
                piece = pieces.peekFirst();
            }
            return piece;
        }

        private int end(byte[] piece) {
            return pieces.size() == 1 ? piece.length - freeBytes : piece.length;
        }
    }
}
