package io.weft.cache;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A block on its way to a file or from one. While it is not ended, threads of the disk touch its memory, from which
 * they copy to buffers of their own, or the other way. So a transfer can be abandoned at once, even on a disk that
 * hangs.
 */
public final class DiskTransfer {
    /** Told when a transfer has ended. */
    @FunctionalInterface
    public interface Done {
        /**
         * Called once, by a thread of the disk, after which the memory is not touched any more. Not called after
         * {@link #abandon}.
         *
         * @param isComplete whether the block is in its file, or in memory bit for bit; if not, what was to be read may
         *     have changed in part
         */
        void ended(boolean isComplete);
    }

    /** The memory of a transfer that has ended is not touched. */
    static final class AbandonedException extends IOException {
        private static final long serialVersionUID = 1;

        AbandonedException() {
            super("abandoned");
        }
    }

    /** From one piece of memory and an offset to another. */
    private interface Copy {
        void copy(MemorySegment piece, long pieceOffset, MemorySegment buffer, long bufferOffset, long bytes);
    }

    private final List<MemorySegment> pieces;
    private final long bytes;
    private final Done done;
    private boolean isEnded;

    /** @param pieces the block's memory, in the order of the file */
    DiskTransfer(List<MemorySegment> pieces, Done done) {
        this.pieces = List.copyOf(pieces);
        this.bytes = this.pieces.stream().mapToLong(MemorySegment::byteSize).sum();
        this.done = done;
    }

    /** Bytes of the block. */
    long bytes() {
        return bytes;
    }

    /** Copies from the block's memory, from byte {@code at} on. */
    void get(long at, MemorySegment buffer) throws AbandonedException {
        copy(
                at,
                buffer,
                (piece, pieceOffset, to, toOffset, count) ->
                        MemorySegment.copy(piece, pieceOffset, to, toOffset, count));
    }

    /** Copies to the block's memory, from byte {@code at} on. */
    void put(long at, MemorySegment buffer) throws AbandonedException {
        copy(
                at,
                buffer,
                (piece, pieceOffset, from, fromOffset, count) ->
                        MemorySegment.copy(from, fromOffset, piece, pieceOffset, count));
    }

    private synchronized void copy(long at, MemorySegment buffer, Copy copy) throws AbandonedException {
        if (isEnded) {
            throw new AbandonedException();
        }
        long pieceAt = 0;
        for (MemorySegment piece : pieces) {
            long from = Math.max(at, pieceAt);
            long to = Math.min(at + buffer.byteSize(), pieceAt + piece.byteSize());
            if (from < to) {
                copy.copy(piece, from - pieceAt, buffer, from - at, to - from);
            }
            pieceAt += piece.byteSize();
        }
    }

    /**
     * Gives up. After this nobody touches the memory, and nobody is told.
     *
     * @return false if the transfer had ended before
     */
    public synchronized boolean abandon() {
        boolean wasRunning = !isEnded;
        isEnded = true;
        return wasRunning;
    }

    /** Ends the transfer and tells so, if it has not ended before. */
    void end(boolean isComplete) {
        if (abandon()) {
            done.ended(isComplete);
        }
    }

    /** Whether the memory is not touched any more. */
    synchronized boolean isEnded() {
        return isEnded;
    }
}
