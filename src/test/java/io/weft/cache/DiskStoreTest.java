package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.DiskStore.Offer;
import io.weft.cache.DiskStore.Tuning;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.text.MessageFormat;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.SequencedMap;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DiskStoreTest {
    private static final byte[] FINGERPRINT = "a model".getBytes(StandardCharsets.UTF_8);
    private static final long PLENTY = 1L << 40;
    private static final Duration NEVER = Duration.ofDays(1);
    private static final Duration AT_ONCE = Duration.ofMillis(1);
    /** Only what hangs takes so long. */
    private static final long HANG_SECONDS = 120;

    private static final DiskScope SCOPE = DiskScope.of("", "");
    private static final int BLOCK_BYTES = 3000;

    @TempDir
    Path parent;

    private Path root;
    private DirectoryOfBlocks disk;
    private final List<DiskStore> stores = new ArrayList<>();
    private final LoggedLines log = new LoggedLines();

    /** What the store says. */
    private static final class LoggedLines extends Handler {
        private final List<String> warnings = new CopyOnWriteArrayList<>();

        @Override
        public void publish(LogRecord line) {
            if (line.getLevel().intValue() >= Level.WARNING.intValue()) {
                warnings.add(MessageFormat.format(line.getMessage(), line.getParameters()));
            }
        }

        @Override
        public void flush() {
            // Nothing is held back.
        }

        @Override
        public void close() {
            // Nothing is open.
        }
    }

    @BeforeEach
    void open() {
        root = parent.resolve("cache");
        disk = new DirectoryOfBlocks(root);
        Logger.getLogger(DiskStore.class.getName()).addHandler(log);
    }

    @AfterEach
    void close() {
        disk.release();
        stores.forEach(DiskStore::close);
        Logger.getLogger(DiskStore.class.getName()).removeHandler(log);
    }

    private static Tuning tuning(Duration retry) {
        return new Tuning(2, 1, 2 * BlockFile.ALIGNMENT, 1 << 20, 1000, 1000, retry);
    }

    private DiskStore starting(long bytesMax, byte[] fingerprint, Tuning tuning) {
        DiskStore store = new DiskStore(root, bytesMax, fingerprint, tuning, disk);
        stores.add(store);
        return store;
    }

    private DiskStore store(long bytesMax, Tuning tuning) throws InterruptedException {
        DiskStore store = starting(bytesMax, FINGERPRINT, tuning);
        await("the directory is listed", () -> store.usage().isThere());
        return store;
    }

    private DiskStore store(long bytesMax) throws InterruptedException {
        return store(bytesMax, tuning(NEVER));
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long since = System.nanoTime();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime() - since).as(what).isLessThan(TimeUnit.SECONDS.toNanos(HANG_SECONDS));
            Thread.sleep(1);
        }
    }

    private static BlockName name(int number) {
        return BlockFile.hash(new byte[] {(byte) number, (byte) (number >> 8)});
    }

    private static byte[] content(BlockName name, BlockPart part, int bytes) {
        byte[] content = new byte[bytes];
        new Random(name.low() + part.code()).nextBytes(content);
        return content;
    }

    private static byte[] content(int number) {
        return content(name(number), BlockPart.KEY_VALUE, BLOCK_BYTES);
    }

    private static MemorySegment memory(byte[] bytes) {
        MemorySegment memory = Arena.ofAuto().allocate(bytes.length);
        return memory.copyFrom(MemorySegment.ofArray(bytes));
    }

    private static byte[] bytes(MemorySegment memory) {
        return memory.toArray(ValueLayout.JAVA_BYTE);
    }

    private static <T> T result(CompletableFuture<T> future) {
        try {
            return future.get(HANG_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException e) {
            throw new AssertionError(e);
        }
    }

    /** Whether a block was written, after waiting for that. */
    private static boolean write(DiskStore store, BlockName name, DiskScope scope, BlockPart part, byte[] bytes) {
        CompletableFuture<Boolean> written = new CompletableFuture<>();
        Offer offer = store.write(name, scope, part, List.of(memory(bytes)), written::complete);
        return offer == Offer.TAKEN && result(written);
    }

    private static boolean write(DiskStore store, int number) {
        return write(store, name(number), SCOPE, BlockPart.KEY_VALUE, content(number));
    }

    /** The block; empty for a miss. */
    private static Optional<byte[]> read(DiskStore store, BlockName name, BlockPart part, int bytes) {
        CompletableFuture<Boolean> read = new CompletableFuture<>();
        MemorySegment memory = memory(new byte[bytes]);
        store.read(name, part, List.of(memory.asSlice(0, bytes / 3), memory.asSlice(bytes / 3)), read::complete);
        return result(read) ? Optional.of(bytes(memory)) : Optional.empty();
    }

    private static boolean read(DiskStore store, int number) {
        Optional<byte[]> bytes = read(store, name(number), BlockPart.KEY_VALUE, BLOCK_BYTES);
        bytes.ifPresent(found -> assertThat(found).isEqualTo(content(number)));
        return bytes.isPresent();
    }

    // ---- the property

    /** One file as it should be. */
    private record Expected(byte[] content, DiskScope scope, long fileBytes, boolean isWhole) {}

    private record Id(BlockName name, BlockPart part) {}

    /**
     * Random writes, reads, restarts, forgetting and damage of every kind, against a model that knows which files there
     * are and in which order they go.
     */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    void isAsAModelSays(long seed) throws Exception {
        Random random = new Random(seed);
        long bytesMax = 20 * BlockFile.fileBytes(BLOCK_BYTES);
        DiskStore store = store(bytesMax);
        LinkedHashMap<Id, Expected> model = new LinkedHashMap<>();
        for (int step = 0; step < 150; step++) {
            Id id = new Id(
                    name(random.nextInt(40)),
                    BlockPart.all().get(random.nextInt(BlockPart.all().size())));
            switch (random.nextInt(12)) {
                case 0, 1, 2, 3 -> writeAsModelled(store, bytesMax, id, model, random);
                case 4, 5, 6, 7 -> useAsModelled(store, model, random);
                case 8 -> {
                    if (!model.isEmpty()) {
                        damage(id(model, random), model, random);
                    }
                }
                case 9 -> {
                    store.close();
                    store = store(bytesMax);
                    restart(bytesMax, model);
                }
                case 10 -> {
                    if (random.nextInt(4) == 0) {
                        int owner = random.nextInt(3);
                        DiskScope scope = DiskScope.of("owner" + owner, "");
                        model.values().removeIf(file -> file.scope().owner() == scope.owner());
                        result(store.forget(Optional.of("owner" + owner), Optional.empty()));
                    }
                }
                default -> {
                    Expected file = model.get(id);
                    assertThat(store.contains(id.name(), id.part())).isEqualTo(file != null);
                }
            }
            DiskUsage usage = store.usage();
            assertThat(usage.files()).as("files after step %d", step).isEqualTo(model.size());
            assertThat(usage.bytes().usedBytes())
                    .as("bytes after step %d", step)
                    .isEqualTo(model.values().stream()
                            .mapToLong(Expected::fileBytes)
                            .sum());
            assertThat(usage.bytes().usedBytes()).isLessThanOrEqualTo(bytesMax);
        }
        assertThat(store.usage().failedWrites()).isZero();
    }

    private static Id id(Map<Id, Expected> model, Random random) {
        List<Id> ids = new ArrayList<>(model.keySet());
        return ids.get(random.nextInt(ids.size()));
    }

    private static void writeAsModelled(
            DiskStore store, long bytesMax, Id id, SequencedMap<Id, Expected> model, Random random) {
        DiskScope scope = DiskScope.of("owner" + random.nextInt(3), "salt" + random.nextInt(2));
        byte[] content = content(id.name(), id.part(), 1 + random.nextInt(30_000));
        boolean isKnown = model.containsKey(id);
        assertThat(write(store, id.name(), scope, id.part(), content)).isEqualTo(!isKnown);
        if (!isKnown) {
            long fileBytes = BlockFile.fileBytes(content.length);
            evict(bytesMax - fileBytes, model);
            model.put(id, new Expected(content, scope, fileBytes, true));
        }
    }

    private static void evict(long bytesMax, SequencedMap<Id, Expected> model) {
        while (model.values().stream().mapToLong(Expected::fileBytes).sum() > bytesMax) {
            model.pollFirstEntry();
        }
    }

    /** Finds the beginning of a chain of blocks, and reads it. */
    private static void useAsModelled(DiskStore store, SequencedMap<Id, Expected> model, Random random) {
        List<BlockName> names = random.ints(1 + random.nextInt(6), 0, 40)
                .distinct()
                .mapToObj(DiskStoreTest::name)
                .toList();
        List<Set<BlockPart>> found = store.find(names);
        List<List<BlockPart>> expected = new ArrayList<>();
        for (BlockName name : names) {
            List<BlockPart> parts = BlockPart.all().stream()
                    .filter(part -> model.containsKey(new Id(name, part)))
                    .toList();
            if (parts.isEmpty() || parts.equals(List.of(BlockPart.WINDOW))) {
                break;
            }
            expected.add(parts);
        }
        assertThat(found.stream().map(List::copyOf)).isEqualTo(expected);
        for (int i = expected.size() - 1; i >= 0; i--) {
            for (BlockPart part : expected.get(i)) {
                Id id = new Id(names.get(i), part);
                Expected file = model.get(id);
                model.putLast(id, file);
                Optional<byte[]> read = read(store, id.name(), part, file.content().length);
                if (file.isWhole()) {
                    assertThat(read)
                            .hasValueSatisfying(bytes -> assertThat(bytes).isEqualTo(file.content()));
                } else {
                    assertThat(read).isEmpty();
                    model.remove(id);
                }
            }
        }
    }

    private Path path(Id id, DiskScope scope) {
        return disk.files().stream()
                .filter(file -> file.getFileName()
                        .toString()
                        .equals(id.name() + "-" + scope + "." + id.part().suffix()))
                .findFirst()
                .orElseThrow();
    }

    /** As disks, crashes and people do it. The time of the last use stays. */
    private void damage(Id id, Map<Id, Expected> model, Random random) throws IOException {
        Expected file = model.get(id);
        if (!file.isWhole()) {
            return;
        }
        Path path = path(id, file.scope());
        FileTime used = Files.getLastModifiedTime(path);
        byte[] bytes = Files.readAllBytes(path);
        switch (random.nextInt(5)) {
            case 0 -> {
                bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
                Files.write(path, bytes);
            }
            case 1 -> Files.write(path, Arrays.copyOf(bytes, random.nextInt(bytes.length)));
            case 2 -> Files.write(path, Arrays.copyOf(bytes, bytes.length + 1 + random.nextInt(5000)));
            case 3 -> {
                byte[] foreign = new byte[bytes.length];
                random.nextBytes(foreign);
                Files.write(path, foreign);
            }
            default -> {
                Files.delete(path);
                model.put(id, new Expected(file.content(), file.scope(), file.fileBytes(), false));
                return;
            }
        }
        Files.setLastModifiedTime(path, used);
        model.put(id, new Expected(file.content(), file.scope(), file.fileBytes(), false));
    }

    /** Lengths are those of the files, which may have changed, and what was deleted is not there. */
    private void restart(long bytesMax, SequencedMap<Id, Expected> model) throws IOException {
        for (Id id : List.copyOf(model.keySet())) {
            Expected file = model.get(id);
            Optional<Path> path = disk.files().stream()
                    .filter(listed -> listed.getFileName().toString().startsWith(id.name() + "-" + file.scope())
                            && listed.getFileName()
                                    .toString()
                                    .endsWith("." + id.part().suffix()))
                    .findFirst();
            if (path.isEmpty()) {
                model.remove(id);
            } else {
                model.replace(id, new Expected(file.content(), file.scope(), Files.size(path.get()), file.isWhole()));
            }
        }
        evict(bytesMax, model);
    }

    /** Many threads, a small disk, damage and restarts: what is read is right, and each transfer ends once. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void threadsReadOnlyWhatWasWritten(long seed) throws Exception {
        Random random = new Random(seed);
        Tuning tuning = new Tuning(3, 2, BlockFile.ALIGNMENT, 100_000, 50, 1000, NEVER);
        AtomicInteger told = new AtomicInteger();
        int expected = 0;
        List<String> wrong = new CopyOnWriteArrayList<>();
        for (int run = 0; run < 4; run++) {
            DiskStore store = store(30 * BlockFile.fileBytes(BLOCK_BYTES), tuning);
            List<CompletableFuture<Long>> forgetting = new ArrayList<>();
            for (int step = 0; step < 400; step++) {
                int number = random.nextInt(60);
                switch (random.nextInt(20)) {
                    case 0 -> flip(random);
                    case 1 -> forgetting.add(store.forget(Optional.of("" + random.nextInt(20)), Optional.empty()));
                    case 2, 3, 4, 5, 6, 7, 8, 9, 10 -> {
                        DiskScope scope = DiskScope.of("" + random.nextInt(20), "");
                        MemorySegment memory = memory(content(number));
                        Offer offer = store.write(
                                name(number),
                                scope,
                                BlockPart.KEY_VALUE,
                                List.of(memory),
                                is -> told.incrementAndGet());
                        expected += offer == Offer.TAKEN ? 1 : 0;
                    }
                    default -> {
                        MemorySegment memory = memory(new byte[BLOCK_BYTES]);
                        store.read(name(number), BlockPart.KEY_VALUE, List.of(memory), isRead -> {
                            told.incrementAndGet();
                            if (isRead && !Arrays.equals(bytes(memory), content(number))) {
                                wrong.add("block " + number);
                            }
                        });
                        expected++;
                    }
                }
            }
            forgetting.forEach(DiskStoreTest::result);
            store.close(Duration.ofSeconds(HANG_SECONDS));
            assertThat(told).hasValue(expected);
            assertThat(disk.bytes()).isLessThanOrEqualTo(store.usage().bytes().totalBytes());
        }
        assertThat(wrong).isEmpty();
        assertThat(disk.mostOpen()).isLessThanOrEqualTo(tuning.readers() + tuning.writers());
    }

    private void flip(Random random) throws IOException {
        List<Path> files = disk.files();
        if (files.isEmpty()) {
            return;
        }
        Path file = files.get(random.nextInt(files.size()));
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            ByteBuffer one = ByteBuffer.allocate(1);
            long at = random.nextLong(Math.max(1, channel.size()));
            if (channel.read(one, at) == 1) {
                one.put(0, (byte) (one.get(0) ^ 1 << random.nextInt(8)));
                channel.write(one.flip(), at);
            }
        } catch (NoSuchFileException e) {
            // The store was faster.
            assertThat(file.getParent()).exists();
        }
    }

    // ---- restarts, other files, other processes

    @Test
    void theOrderOfUseOutlivesARestart() throws Exception {
        long three = 3 * BlockFile.fileBytes(BLOCK_BYTES);
        DiskStore store = store(three);
        for (int number : List.of(1, 2, 3)) {
            assertThat(write(store, number)).isTrue();
        }
        store.find(List.of(name(1)));
        assertThat(read(store, 1)).isTrue();
        store.close();

        store = store(three);
        assertThat(write(store, 4)).isTrue();

        assertThat(store.contains(name(2), BlockPart.KEY_VALUE)).isFalse();
        assertThat(List.of(read(store, 1), read(store, 3), read(store, 4))).containsOnly(true);
    }

    /** Of blocks that follow each other, the beginning is of use without the end, and not the other way. */
    @Test
    void theEndOfATextGoesBeforeItsBeginning() throws Exception {
        DiskStore store = store(4 * BlockFile.fileBytes(BLOCK_BYTES));
        for (int number : List.of(1, 2, 3, 4)) {
            assertThat(write(store, number)).isTrue();
        }
        List<BlockName> text = Stream.of(1, 2, 3, 4).map(DiskStoreTest::name).toList();
        assertThat(store.find(text)).hasSize(4);
        for (int written = 1; written <= 3; written++) {
            assertThat(write(store, 10 + written)).isTrue();
            for (int number = 1; number <= 4; number++) {
                assertThat(store.contains(name(number), BlockPart.KEY_VALUE))
                        .as("block %d after %d others", number, written)
                        .isEqualTo(number <= 4 - written);
            }
        }
    }

    @Test
    void aSmallerLimitCountsAtTheNextStart() throws Exception {
        DiskStore store = store(PLENTY);
        for (int number = 0; number < 10; number++) {
            assertThat(write(store, number)).isTrue();
        }
        store.close();

        long four = 4 * BlockFile.fileBytes(BLOCK_BYTES);
        store = store(four);
        await("files are deleted", () -> disk.files().size() == 4);
        assertThat(store.usage().bytes().usedBytes()).isEqualTo(four);
        for (int number = 0; number < 10; number++) {
            assertThat(read(store, number)).as("block %d", number).isEqualTo(number >= 6);
        }
    }

    @Test
    void theNumberOfFilesIsLimitedToo() throws Exception {
        DiskStore store = store(PLENTY, new Tuning(1, 1, BlockFile.ALIGNMENT, 1 << 20, 10, 5, NEVER));
        for (int number = 0; number < 12; number++) {
            assertThat(write(store, number)).isTrue();
        }
        assertThat(disk.files()).hasSize(5);
        assertThat(store.usage().files()).isEqualTo(5);
        assertThat(store.usage().evictedFiles()).isEqualTo(7);
    }

    /** Nobody gets another model's blocks, though they are in one directory and have one limit. */
    @Test
    void modelsShareTheLimitAndNothingElse() throws Exception {
        long three = 3 * BlockFile.fileBytes(BLOCK_BYTES);
        DiskStore store = store(three);
        assertThat(write(store, 1)).isTrue();
        assertThat(write(store, 2)).isTrue();
        store.close();

        DiskStore other = starting(three, "another model".getBytes(StandardCharsets.UTF_8), tuning(NEVER));
        await("the directory is listed", () -> other.usage().isThere());
        assertThat(other.usage().files()).isEqualTo(2);
        assertThat(other.contains(name(1), BlockPart.KEY_VALUE)).isFalse();
        assertThat(read(other, 1)).isFalse();
        assertThat(write(other, 1)).isTrue();
        assertThat(write(other, 3)).isTrue();
        other.close();

        store = store(three);
        assertThat(read(store, 1)).isFalse();
        assertThat(read(store, 2)).isTrue();
    }

    /** As if somebody had copied it. */
    @Test
    void aFileOfAnotherModelIsAMissAndSaid() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(write(store, 1)).isTrue();
        store.close();
        Path file = disk.files().getFirst();
        String model = file.getParent().getParent().getFileName().toString();
        store = starting(PLENTY, "another model".getBytes(StandardCharsets.UTF_8), tuning(NEVER));
        DiskStore first = store;
        await("the directory is listed", () -> first.usage().isThere());
        store.close();
        Path copy = root.resolve(otherFolder(model)).resolve(file.getParent().getFileName());
        Files.createDirectories(copy);
        Files.copy(file, copy.resolve(file.getFileName()));

        store = starting(PLENTY, "another model".getBytes(StandardCharsets.UTF_8), tuning(NEVER));
        DiskStore other = store;
        await("the directory is listed", () -> other.usage().isThere());
        assertThat(store.contains(name(1), BlockPart.KEY_VALUE)).isTrue();
        assertThat(read(store, 1)).isFalse();
        assertThat(store.usage().damagedFiles()).isEqualTo(1);
        assertThat(log.warnings).singleElement().asString().contains("another block, model or version");
        assertThat(file).exists();
    }

    private String otherFolder(String folder) throws IOException {
        try (Stream<Path> folders = Files.list(root)) {
            return folders.filter(Files::isDirectory)
                    .map(path -> path.getFileName().toString())
                    .filter(name -> !name.equals(folder))
                    .findFirst()
                    .orElseThrow();
        }
    }

    /** Files of a later or earlier version are counted and evicted, and not read. */
    @Test
    void anotherVersionIsOnlyEvicted() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(write(store, 1)).isTrue();
        store.close();
        Path folder = disk.files().getFirst().getParent().getParent();
        Files.move(folder, folder.resolveSibling(folder.getFileName().toString().replace("v1-", "v0-")));

        store = store(BlockFile.fileBytes(BLOCK_BYTES));
        assertThat(store.usage().files()).isEqualTo(1);
        assertThat(read(store, 1)).isFalse();
        assertThat(write(store, 2)).isTrue();
        assertThat(disk.files()).hasSize(1);
        assertThat(read(store, 2)).isTrue();
    }

    @Test
    void whatIsNotOursIsNeverTouched() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(write(store, 1)).isTrue();
        store.close();
        Path file = disk.files().getFirst();
        Path folder = file.getParent();
        String name = file.getFileName().toString();
        Path outside = Files.writeString(parent.resolve("precious"), "precious");
        List<Path> foreign = List.of(
                Files.writeString(root.resolve("notes.txt"), "mine"),
                Files.writeString(folder.resolve("notes.txt"), "mine"),
                Files.writeString(folder.resolve(name + ".bak"), "mine"),
                Files.writeString(folder.resolve(name.replace(".kv", ".tensor")), "mine"),
                Files.writeString(folder.resolve(name.replace(".kv", ".KV")), "mine"),
                Files.writeString(folder.resolve("0".repeat(31) + name.substring(31)), "mine"),
                Files.writeString(
                        Files.createDirectories(root.resolve("v1-mine/00")).resolve(name), "mine"),
                Files.writeString(
                        Files.createDirectories(folder.resolveSibling("zz")).resolve(name), "mine"),
                Files.createSymbolicLink(folder.resolve(name.replace(".kv", ".act")), outside),
                Files.createDirectory(folder.resolve(name.replace(".kv", ".window"))));
        Path unfinished = Files.writeString(folder.resolve(name.replace(".kv", ".act.part")), "half");

        store = store(BlockFile.fileBytes(BLOCK_BYTES));
        assertThat(unfinished).doesNotExist();
        assertThat(store.usage().files()).isEqualTo(1);
        assertThat(write(store, 2)).isTrue();
        result(store.forget(Optional.empty(), Optional.empty()));
        store.close();

        assertThat(foreign).allSatisfy(path -> assertThat(path).exists());
        assertThat(outside).hasContent("precious");
        assertThat(file).doesNotExist();
        assertThat(log.warnings).isEmpty();
    }

    @Test
    void aDirectoryHasOneOwnerAtATime() throws Exception {
        DiskStore first = store(PLENTY);
        DiskStore second = starting(PLENTY, FINGERPRINT, tuning(AT_ONCE));
        await("it is said", () -> !log.warnings.isEmpty());
        assertThat(second.usage().isThere()).isFalse();
        assertThat(write(second, 1)).isFalse();
        assertThat(read(second, 1)).isFalse();
        assertThat(write(first, 2)).isTrue();

        first.close();
        await("the directory is free", () -> second.usage().isThere());
        assertThat(read(second, 2)).isTrue();
        assertThat(log.warnings).hasSize(1);
    }

    @Test
    void onlyTheOwnerMayReadTheFiles() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(write(store, 1)).isTrue();
        Path folder = disk.files().getFirst().getParent().getParent();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)))
                .isEqualTo("rwx------");
    }

    // ---- disks that fail

    @Test
    void aFullDiskIsAMissAndOneLineUntilThereIsRoomAgain() throws Exception {
        DiskStore store = store(PLENTY, tuning(AT_ONCE));
        assertThat(write(store, 1)).isTrue();
        disk.fillUpAfter(BlockFile.fileBytes(BLOCK_BYTES) / 2);
        for (int number = 2; number < 50; number++) {
            assertThat(write(store, number)).isFalse();
            assertThat(read(store, number)).isFalse();
            assertThat(read(store, 1)).isTrue();
        }
        assertThat(log.warnings).singleElement().asString().contains("takes none", "No space left on device");
        assertThat(disk.files()).hasSize(1);
        assertThat(store.usage().bytes().usedBytes()).isEqualTo(disk.bytes());
        assertThat(store.usage().failedWrites()).isPositive();

        disk.fillUpAfter(Long.MAX_VALUE);
        await("the disk is tried again", () -> write(store, 2));
        assertThat(read(store, 2)).isTrue();
        disk.fillUpAfter(0);
        assertThat(write(store, 3)).isFalse();
        assertThat(log.warnings).hasSize(2);
    }

    /** It is left alone for a while, so that nothing is lost but the blocks. */
    @Test
    void aDiskThatFailedIsLeftAlone() throws Exception {
        DiskStore store = store(PLENTY, tuning(NEVER));
        disk.fillUpAfter(0);
        assertThat(write(store, 1)).isFalse();
        disk.fillUpAfter(Long.MAX_VALUE);
        for (int number = 0; number < 20; number++) {
            assertThat(store.write(
                            name(number), SCOPE, BlockPart.KEY_VALUE, List.of(memory(content(number))), is -> {}))
                    .isEqualTo(Offer.REFUSED);
        }
        assertThat(store.usage().failedWrites()).isEqualTo(1);
        assertThat(store.usage().declinedWrites()).isEqualTo(20);
        assertThat(disk.files()).isEmpty();
    }

    /** Random room on the disk: the store's own account is right all the time. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void aDiskThatIsFullNowAndThenLeavesNoTrace(long seed) throws Exception {
        Random random = new Random(seed);
        DiskStore store = store(25 * BlockFile.fileBytes(BLOCK_BYTES), tuning(AT_ONCE));
        for (int step = 0; step < 100; step++) {
            if (random.nextInt(4) == 0) {
                disk.fillUpAfter(random.nextInt(60_000));
            }
            int number = random.nextInt(50);
            boolean wasThere = store.contains(name(number), BlockPart.KEY_VALUE);
            boolean isWritten = write(store, number);
            assertThat(read(store, number)).isEqualTo(wasThere || isWritten);
            assertThat(store.usage().bytes().usedBytes()).isEqualTo(disk.bytes());
        }
    }

    @Test
    void aDirectoryThatVanishesIsAMissAndComesBack() throws Exception {
        DiskStore store = store(PLENTY, tuning(AT_ONCE));
        assertThat(write(store, 1)).isTrue();
        delete(root);
        assertThat(read(store, 1)).isFalse();
        await("the directory is made again", () -> store.usage().isThere());
        assertThat(store.usage().files()).isZero();
        assertThat(write(store, 1)).isTrue();
        assertThat(read(store, 1)).isTrue();
        assertThat(log.warnings).singleElement().asString().contains("is gone");
    }

    @Test
    void aDirectoryThatVanishesWhileNothingIsReadIsNoticedByAWrite() throws Exception {
        DiskStore store = store(PLENTY, tuning(AT_ONCE));
        assertThat(write(store, 1)).isTrue();
        Path away = parent.resolve("away");
        Files.move(root, away);
        assertThat(write(store, 2)).isFalse();
        await("the directory is made again", () -> store.usage().isThere());
        assertThat(write(store, 2)).isTrue();
        assertThat(log.warnings).singleElement().asString().contains("is gone");
        assertThat(new DirectoryOfBlocks(away).files()).hasSize(1);
    }

    /** A file in its place stands for whatever keeps a directory from being made. */
    @Test
    void withoutADirectoryThereIsOneLineAndNoDisk() throws Exception {
        Files.writeString(root, "a file");
        DiskStore store = starting(PLENTY, FINGERPRINT, tuning(AT_ONCE));
        await("it is said", () -> !log.warnings.isEmpty());
        assertThat(write(store, 1)).isFalse();
        assertThat(read(store, 1)).isFalse();
        Files.delete(root);
        await("the directory is made", () -> store.usage().isThere());
        assertThat(log.warnings).hasSize(1);
        assertThat(write(store, 1)).isTrue();
    }

    private static void delete(Path tree) throws IOException {
        try (Stream<Path> paths = Files.walk(tree)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    @Test
    void whatTheDiskCannotReadIsAMissAndSaidOnce() throws Exception {
        DiskStore store = store(PLENTY);
        for (int number = 0; number < 5; number++) {
            assertThat(write(store, number)).isTrue();
        }
        disk.failToRead(true);
        for (int number = 0; number < 5; number++) {
            assertThat(read(store, number)).isFalse();
        }
        disk.failToRead(false);
        assertThat(store.usage().damagedFiles()).isEqualTo(5);
        assertThat(store.usage().missedReads()).isEqualTo(5);
        assertThat(log.warnings).singleElement().asString().contains("Input/output error");
        assertThat(disk.files()).isEmpty();
        assertThat(write(store, 1)).isTrue();
        assertThat(read(store, 1)).isTrue();
    }

    // ---- queues, and disks that hang

    @Test
    void aSlowDiskDeclinesBlocksAndTellsOfEachOnce() throws Exception {
        Tuning tuning = new Tuning(1, 1, BlockFile.ALIGNMENT, 5 * BLOCK_BYTES, 10, 1000, NEVER);
        DiskStore store = store(PLENTY, tuning);
        disk.hang();
        List<Integer> told = new CopyOnWriteArrayList<>();
        List<Offer> offers = new ArrayList<>();
        for (int number = 0; number < 12; number++) {
            int one = number;
            offers.add(store.write(
                    name(number), SCOPE, BlockPart.KEY_VALUE, List.of(memory(content(number))), is -> told.add(one)));
        }
        assertThat(offers.subList(0, 5)).containsOnly(Offer.TAKEN);
        assertThat(offers.subList(5, 12)).containsOnly(Offer.FULL);
        assertThat(store.write(name(3), SCOPE, BlockPart.KEY_VALUE, List.of(memory(content(3))), is -> told.add(-1)))
                .isEqualTo(Offer.KNOWN);
        assertThat(store.contains(name(3), BlockPart.KEY_VALUE)).isFalse();
        assertThat(store.usage().declinedWrites()).isZero();
        assertThat(told).isEmpty();

        disk.release();
        await("all are written", () -> told.size() == 5);
        assertThat(told).containsExactly(0, 1, 2, 3, 4);
        assertThat(write(store, 7)).isTrue();
    }

    /** A block larger than the queue must have its chance, too. */
    @Test
    void anEmptyQueueTakesABlockOfAnySize() throws Exception {
        DiskStore store = store(PLENTY, new Tuning(1, 1, BlockFile.ALIGNMENT, 100, 10, 1000, NEVER));
        assertThat(write(store, 1)).isTrue();
        assertThat(read(store, 1)).isTrue();
    }

    @Test
    void aBlockLargerThanTheLimitIsRefused() throws Exception {
        DiskStore store = store(BlockFile.fileBytes(BLOCK_BYTES) - 1);
        assertThat(store.write(name(1), SCOPE, BlockPart.KEY_VALUE, List.of(memory(content(1))), is -> {}))
                .isEqualTo(Offer.REFUSED);
    }

    @Test
    void memoryOfAReadThatIsAbandonedIsNotTouched() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(write(store, 1)).isTrue();
        disk.hang();
        MemorySegment memory = memory(new byte[BLOCK_BYTES]);
        AtomicInteger told = new AtomicInteger();
        DiskTransfer read = store.read(name(1), BlockPart.KEY_VALUE, List.of(memory), is -> told.incrementAndGet());
        await("the disk hangs", () -> disk.hanging() > 0);
        assertThat(read.abandon()).isTrue();
        assertThat(read.abandon()).isFalse();
        disk.release();

        // The same thread or another has read this one after the first was over.
        assertThat(read(store, 1)).isTrue();
        assertThat(read(store, 1)).isTrue();
        assertThat(bytes(memory)).containsOnly(0);
        store.close();
        assertThat(bytes(memory)).containsOnly(0);
        assertThat(told).hasValue(0);
    }

    @Test
    void moreReadsThanTheQueueHoldsAreMisses() throws Exception {
        DiskStore store = store(PLENTY, new Tuning(1, 1, BlockFile.ALIGNMENT, 1 << 20, 4, 1000, NEVER));
        assertThat(write(store, 1)).isTrue();
        disk.hang();
        List<CompletableFuture<Boolean>> reads = new ArrayList<>();
        reads.add(readLater(store));
        await("the disk hangs", () -> disk.hanging() > 0);
        for (int i = 0; i < 6; i++) {
            reads.add(readLater(store));
        }
        assertThat(reads.stream().filter(CompletableFuture::isDone)).hasSize(2);
        disk.release();
        assertThat(reads.stream().map(DiskStoreTest::result))
                .containsExactly(true, true, true, true, true, false, false);
    }

    private static CompletableFuture<Boolean> readLater(DiskStore store) {
        CompletableFuture<Boolean> read = new CompletableFuture<>();
        store.read(name(1), BlockPart.KEY_VALUE, List.of(memory(new byte[BLOCK_BYTES])), read::complete);
        return read;
    }

    @Test
    void closingWritesWhatWasTaken() throws Exception {
        DiskStore store = store(PLENTY);
        List<CompletableFuture<Boolean>> writes = new ArrayList<>();
        for (int number = 0; number < 40; number++) {
            CompletableFuture<Boolean> written = new CompletableFuture<>();
            store.write(name(number), SCOPE, BlockPart.KEY_VALUE, List.of(memory(content(number))), written::complete);
            writes.add(written);
        }
        store.close(Duration.ofSeconds(HANG_SECONDS));
        assertThat(writes).allSatisfy(written -> assertThat(written).isCompletedWithValue(true));
        store = store(PLENTY);
        for (int number = 0; number < 40; number++) {
            assertThat(read(store, number)).isTrue();
        }
    }

    /** Whatever the disk does, the memory of blocks is not touched once the store is closed. */
    @Test
    void closingDoesNotWaitForADiskThatHangs() throws Exception {
        Set<Thread> others = Thread.getAllStackTraces().keySet();
        DiskStore store = store(PLENTY);
        assertThat(write(store, 1)).isTrue();
        disk.hang();
        MemorySegment memory = memory(new byte[BLOCK_BYTES]);
        List<Boolean> told = new CopyOnWriteArrayList<>();
        for (int i = 0; i < 5; i++) {
            store.read(name(1), BlockPart.KEY_VALUE, List.of(memory), told::add);
            store.write(name(10 + i), SCOPE, BlockPart.KEY_VALUE, List.of(memory(content(10 + i))), told::add);
        }
        await("the disk hangs", () -> disk.hanging() == 3);
        store.close(Duration.ofMillis(1));
        assertThat(told).hasSize(10).containsOnly(false);
        disk.release();
        await(
                "its threads end",
                () -> Thread.getAllStackTraces().keySet().stream()
                        .noneMatch(thread -> thread.getName().startsWith("weft-disk") && !others.contains(thread)));
        assertThat(bytes(memory)).containsOnly(0);
        assertThat(told).hasSize(10);
    }

    @Test
    void aClosedStoreHasNothing() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(write(store, 1)).isTrue();
        store.close();
        store.close();
        assertThat(write(store, 2)).isFalse();
        assertThat(read(store, 1)).isFalse();
        assertThat(store.usage().isThere()).isFalse();
    }

    // ---- forgetting

    @Test
    void ownersAndSaltsAreForgottenForGood() throws Exception {
        DiskStore store = store(PLENTY);
        int number = 0;
        for (String owner : List.of("a", "b")) {
            for (String salt : List.of("", "x", "y")) {
                assertThat(write(store, name(number), DiskScope.of(owner, salt), BlockPart.KEY_VALUE, content(number)))
                        .isTrue();
                number++;
            }
        }
        // Known by their names alone, after a restart.
        store.close();
        store = store(PLENTY);
        assertThat(result(store.forget(Optional.of("a"), Optional.of("x")))).isEqualTo(1);
        assertThat(there(store)).containsExactly(0, 2, 3, 4, 5);
        assertThat(result(store.forget(Optional.empty(), Optional.of("y")))).isEqualTo(2);
        assertThat(there(store)).containsExactly(0, 3, 4);
        assertThat(result(store.forget(Optional.of("b"), Optional.empty()))).isEqualTo(2);
        assertThat(there(store)).containsExactly(0);
        store.close();
        store = store(PLENTY);
        assertThat(there(store)).containsExactly(0);
        assertThat(result(store.forget(Optional.empty(), Optional.empty()))).isEqualTo(1);
        assertThat(disk.files()).isEmpty();
    }

    private static List<Integer> there(DiskStore store) {
        return Stream.of(0, 1, 2, 3, 4, 5)
                .filter(number -> store.contains(name(number), BlockPart.KEY_VALUE))
                .toList();
    }

    /** Not even a block that is on its way comes back. */
    @Test
    void whatIsBeingWrittenIsForgottenToo() throws Exception {
        DiskStore store = store(PLENTY);
        disk.hang();
        List<CompletableFuture<Boolean>> writes = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            CompletableFuture<Boolean> written = new CompletableFuture<>();
            store.write(name(number), SCOPE, BlockPart.KEY_VALUE, List.of(memory(content(number))), written::complete);
            writes.add(written);
        }
        await("the disk hangs", () -> disk.hanging() > 0);
        result(store.forget(Optional.empty(), Optional.empty()));
        disk.release();
        writes.forEach(written -> assertThat(result(written)).isFalse());
        assertThat(disk.files()).isEmpty();
        assertThat(store.usage().bytes().usedBytes()).isZero();
        assertThat(write(store, 1)).isTrue();
    }

    @Test
    void whatADirectoryHoldsThatIsAwayIsForgottenWhenItComesBack() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(write(store, name(1), DiskScope.of("a", ""), BlockPart.KEY_VALUE, content(1)))
                .isTrue();
        assertThat(write(store, name(2), DiskScope.of("b", ""), BlockPart.KEY_VALUE, content(2)))
                .isTrue();
        store.close();
        Path away = parent.resolve("away");
        Files.move(root, away);
        Files.writeString(root, "a file");
        DiskStore waiting = starting(PLENTY, FINGERPRINT, tuning(AT_ONCE));
        await("it is said", () -> !log.warnings.isEmpty());
        assertThat(result(waiting.forget(Optional.of("a"), Optional.empty()))).isZero();
        Files.delete(root);
        Files.move(away, root);
        await(
                "the directory is there",
                () -> waiting.usage().isThere() && waiting.usage().files() > 0);
        assertThat(there(waiting)).containsExactly(2);
        await("the file is deleted", () -> disk.files().size() == 1);
    }

    // ---- predictions

    @Test
    void theTimeOfAReadGrowsWithWhatWaits() throws Exception {
        DiskStore store = store(PLENTY);
        assertThat(store.readNanos(1_500_000_000)).isEqualTo(1_000_000_000);
        assertThat(write(store, 1)).isTrue();
        assertThat(read(store, 1)).isTrue();
        await("the read is counted", () -> store.readNanos(0) == 0);
        assertThat(store.readNanos(BLOCK_BYTES)).isPositive().isLessThan(TimeUnit.SECONDS.toNanos(HANG_SECONDS));
        disk.hang();
        MemorySegment memory = memory(new byte[BLOCK_BYTES]);
        store.read(name(1), BlockPart.KEY_VALUE, List.of(memory), is -> {});
        assertThat(store.readNanos(0)).isEqualTo(store.readNanos(BLOCK_BYTES) / 2);
    }
}
