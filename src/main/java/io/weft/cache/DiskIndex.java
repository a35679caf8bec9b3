package io.weft.cache;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The files of the cache's directory, the least recently used first, and their bytes. About 150 bytes of memory for
 * each file.
 */
final class DiskIndex {
    /**
     * Which file.
     *
     * @param folder of a model and a version of the format
     * @param name of the block
     * @param part what of the block
     */
    record FileId(String folder, BlockName name, BlockPart part) {}

    /** What is known of a file. */
    static final class Entry {
        private final DiskScope scope;
        private final long bytes;
        private long usedMicros;

        /**
         * @param bytes of the file
         * @param usedMicros when it was last used, since 1970
         */
        Entry(DiskScope scope, long bytes, long usedMicros) {
            this.scope = scope;
            this.bytes = bytes;
            this.usedMicros = usedMicros;
        }

        DiskScope scope() {
            return scope;
        }

        long bytes() {
            return bytes;
        }

        long usedMicros() {
            return usedMicros;
        }
    }

    /** A file. */
    record Listed(FileId key, Entry entry) {}

    private final long bytesMax;
    private final int filesMax;
    private final LinkedHashMap<FileId, Entry> entries = new LinkedHashMap<>();
    private long bytes;
    private long reservedBytes;
    private int reservedFiles;
    private long lastMicros;

    /**
     * @param bytesMax of all files
     * @param filesMax which bounds the memory of this index
     */
    DiskIndex(long bytesMax, int filesMax) {
        this.bytesMax = bytesMax;
        this.filesMax = filesMax;
    }

    @Nullable
    Entry get(FileId key) {
        return entries.get(key);
    }

    int files() {
        return entries.size();
    }

    /** Bytes of all files, without those to come. */
    long bytes() {
        return bytes;
    }

    /** A time after all times of files. */
    long nextMicros() {
        lastMicros = Math.max(lastMicros + 1, System.currentTimeMillis() * 1000);
        return lastMicros;
    }

    /** Adds a file as the most recently used one. */
    void add(FileId key, Entry entry) {
        remove(key, entries.get(key));
        entries.put(key, entry);
        bytes += entry.bytes();
        lastMicros = Math.max(lastMicros, entry.usedMicros());
    }

    /** Takes a file back that could not be deleted, to be the next to go. */
    void putBack(Listed file) {
        remove(file.key(), entries.get(file.key()));
        entries.putFirst(file.key(), file.entry());
        bytes += file.entry().bytes();
    }

    /** Makes a file the most recently used one. */
    void use(FileId key) {
        Entry entry = entries.get(key);
        if (entry != null) {
            entry.usedMicros = nextMicros();
            entries.putLast(key, entry);
        }
    }

    /** Removes a file unless another one has taken its place; whether it was there. */
    boolean remove(FileId key, @Nullable Entry entry) {
        boolean isThere = entry != null && entries.remove(key, entry);
        if (entry != null && isThere) {
            bytes -= entry.bytes();
        }
        return isThere;
    }

    long count(Predicate<Listed> wanted) {
        return entries.entrySet().stream()
                .filter(file -> wanted.test(new Listed(file.getKey(), file.getValue())))
                .count();
    }

    /** Removes all files that match. */
    List<Listed> removeAll(Predicate<DiskScope> scope) {
        List<Listed> removed = new ArrayList<>();
        for (Map.Entry<FileId, Entry> file : entries.entrySet()) {
            if (scope.test(file.getValue().scope())) {
                removed.add(new Listed(file.getKey(), file.getValue()));
            }
        }
        removed.forEach(file -> remove(file.key(), file.entry()));
        return removed;
    }

    /**
     * Reserves room for a file that is to be written.
     *
     * @return the files that have to be deleted before, which are removed; empty if there will be no room, and then
     *     nothing has changed
     */
    Optional<List<Listed>> reserve(long fileBytes) {
        if (reservedBytes + fileBytes > bytesMax || reservedFiles >= filesMax) {
            return Optional.empty();
        }
        reservedBytes += fileBytes;
        reservedFiles++;
        return Optional.of(removeSurplus());
    }

    /** Gives the room of a file back, before the file is added. */
    void release(long fileBytes) {
        reservedBytes -= fileBytes;
        reservedFiles--;
    }

    /** Removes the least recently used files that are too many. */
    List<Listed> removeSurplus() {
        List<Listed> surplus = new ArrayList<>();
        Iterator<Map.Entry<FileId, Entry>> oldest = entries.entrySet().iterator();
        while (bytes + reservedBytes > bytesMax || entries.size() + reservedFiles > filesMax) {
            Map.Entry<FileId, Entry> file = oldest.next();
            surplus.add(new Listed(file.getKey(), file.getValue()));
            bytes -= file.getValue().bytes();
            oldest.remove();
        }
        return surplus;
    }
}
