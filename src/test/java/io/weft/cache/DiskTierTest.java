package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.DiskStore.Tuning;
import io.weft.device.ElementType;
import io.weft.device.HostRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.Encoding;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Blocks on a disk that hangs, or whose files are damaged, and memory that others want meanwhile. */
@ParameterizedClass
@EnumSource(
        value = Encoding.class,
        names = {"KEY_VALUE", "PACKED_KEY_VALUE", "FP8"})
class DiskTierTest {
    private static final Duration HANG = Duration.ofMinutes(10);
    private static final int BLOCK_TOKENS = 4;
    private static final int LAYERS = 3;
    private static final int HOST_BLOCKS = 8;

    private final Encoding encoding;
    private final CpuDevice device = new CpuDevice(new CpuOptions(64 << 20, 64 << 20, OptionalDouble.empty(), 1));
    private final KvCache cache;

    DiskTierTest(Encoding encoding) {
        this.encoding = encoding;
        CachePolicy policy = encoding.isExact() ? CachePolicy.EXACT : CachePolicy.FP8;
        CacheGeometry geometry = new CacheGeometry(
                ModelDimensions.uniform(
                        LAYERS,
                        8,
                        32,
                        256,
                        new LayerDimensions(
                                2,
                                2,
                                4,
                                LayerDimensions.NO_WINDOW,
                                FeedForwardDimensions.dense(FeedForwardDimensions.Kind.PLAIN, 16))),
                ElementType.F32,
                BLOCK_TOKENS,
                policy.isLossy() ? BLOCK_TOKENS : 2 * BLOCK_TOKENS,
                policy);
        this.cache = new KvCache(
                device,
                geometry,
                new KvCache.StepNeeds(2 * HOST_BLOCKS, 4),
                0,
                HostRegion.of(device.allocateHost("host", HOST_BLOCKS * geometry.blockBytes(encoding))),
                Optional.of(new BlockNaming(new byte[] {1}, maxTokens -> 0)));
    }

    @TempDir
    private Path root;

    private DirectoryOfBlocks disk;
    private DiskStore store;

    @BeforeEach
    void open() throws InterruptedException {
        disk = new DirectoryOfBlocks(root);
        Tuning tuning = new Tuning(2, 2, BlockFile.ALIGNMENT, 1 << 20, 100, 1000, HANG);
        store = new DiskStore(root, 1 << 30, new byte[] {1}, tuning, disk);
        cache.keepOn(store);
        await(() -> cache.diskUsage().orElseThrow().isThere());
    }

    @AfterEach
    void close() {
        disk.release();
        cache.closeDisk(HANG);
        assertThat(cache.usage().host().usedBytes()).isZero();
        device.close();
    }

    private void await(BooleanSupplier condition) throws InterruptedException {
        long endNanos = System.nanoTime() + HANG.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).isLessThan(endNanos);
            Thread.sleep(1);
            cache.settleDisk();
        }
    }

    /** One more token than so many blocks. */
    private Prompt prompt(int first, int blocks) {
        List<Integer> tokens = IntStream.range(first, first + blocks * BLOCK_TOKENS + 1)
                .boxed()
                .toList();
        return cache.prompt(tokens, 100, "");
    }

    private CacheSequence admit(Prompt prompt) {
        return cache.admit(prompt, block -> List.of(new CacheForm(encoding, Place.HOST)))
                .orElseThrow();
    }

    /** Runs all of a prompt, whose blocks hold the number of their first token everywhere. */
    private CacheSequence run(Prompt prompt) {
        CacheSequence sequence = admit(prompt);
        int from = sequence.tokens();
        int blocks = sequence.closedBlocks();
        assertThat(sequence.open(prompt.tokens().size() - from)).isTrue();
        for (int block = blocks; block < prompt.knowableBlocks(); block++) {
            for (MemorySegment layer : layers(sequence, block)) {
                for (long at = 0; at < layer.byteSize(); at += Integer.BYTES) {
                    layer.set(ValueLayout.JAVA_INT, at, prompt.tokens().get(block * BLOCK_TOKENS));
                }
            }
        }
        sequence.commit(prompt.tokens().subList(from, prompt.tokens().size()));
        return sequence;
    }

    private static List<MemorySegment> layers(CacheSequence sequence, int block) {
        BlockHome.OnHost home = (BlockHome.OnHost) sequence.home(block);
        return IntStream.range(0, LAYERS)
                .mapToObj(layer -> home.layer(layer, 1).segment())
                .toList();
    }

    private static void check(CacheSequence sequence, Prompt prompt) {
        for (int block = 0; block < sequence.closedBlocks(); block++) {
            for (MemorySegment layer : layers(sequence, block)) {
                for (long at = 0; at < layer.byteSize(); at += Integer.BYTES) {
                    assertThat(layer.get(ValueLayout.JAVA_INT, at))
                            .isEqualTo(prompt.tokens().get(block * BLOCK_TOKENS));
                }
            }
        }
    }

    /** Those of a prompt that has run, on the disk alone. */
    private void keepOnDisk(Prompt prompt) throws InterruptedException {
        run(prompt).close();
        await(() -> isOnDisk(prompt));
        cache.forget(salt -> true);
    }

    private boolean isOnDisk(Prompt prompt) {
        return IntStream.rangeClosed(1, prompt.knowableBlocks())
                .mapToObj(prompt::nameBefore)
                .allMatch(name -> store.contains(Objects.requireNonNull(name), BlockPart.of(encoding)));
    }

    private Optional<ReadAhead> readAhead(Prompt prompt) {
        return readAhead(prompt, Long.MAX_VALUE);
    }

    private Optional<ReadAhead> readAhead(Prompt prompt, long computeNanos) {
        try (CacheSequence sequence = admit(prompt)) {
            return cache.readAhead(prompt, sequence.closedBlocks(), (from, to) -> computeNanos);
        }
    }

    @Test
    void whatIsReadIsKnownUntilItIsUsed() throws Exception {
        keepOnDisk(prompt(0, 5));
        ReadAhead ahead = readAhead(prompt(0, 5)).orElseThrow();
        await(ahead::isEnded);
        assertThat(ahead.tokens()).isEqualTo(5 * BLOCK_TOKENS);
        // All the memory that is left, and it is not taken from what was read.
        CacheSequence other = admit(prompt(1000, 7));
        assertThat(other.open(3 * BLOCK_TOKENS)).isTrue();
        other.close();
        CacheSequence sequence = admit(prompt(0, 5));
        assertThat(sequence.cachedTokens()).isEqualTo(5 * BLOCK_TOKENS);
        check(sequence, prompt(0, 5));
        sequence.close();
        ahead.close();
        cache.forget(salt -> true);
    }

    /** Changed, short, or another block's: it is a miss and deleted, and written again once it was computed. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void aDamagedFileIsAMiss(int damage) throws Exception {
        keepOnDisk(prompt(0, 5));
        List<Path> files = disk.files();
        assertThat(files).hasSize(5).allMatch(file -> file.toString().endsWith("." + encoding.label()));
        List<byte[]> whole = new ArrayList<>();
        for (Path file : files) {
            whole.add(Files.readAllBytes(file));
        }
        for (int i = 0; i < 5; i++) {
            byte[] bytes = whole.get(i).clone();
            bytes[bytes.length / 30] ^= 4;
            Files.write(
                    files.get(i),
                    switch (damage) {
                        case 0 -> bytes;
                        case 1 -> Arrays.copyOf(bytes, bytes.length / 2);
                        default -> whole.get((i + 1) % 5);
                    });
        }
        try (ReadAhead ahead = readAhead(prompt(0, 5)).orElseThrow()) {
            await(ahead::isEnded);
            assertThat(ahead.tokens()).isZero();
        }
        assertThat(admitAndClose(prompt(0, 5))).isZero();
        assertThat(cache.diskUsage().orElseThrow().damagedFiles()).isPositive();

        keepOnDisk(prompt(0, 5));
        try (ReadAhead ahead = readAhead(prompt(0, 5)).orElseThrow()) {
            await(ahead::isEnded);
            CacheSequence sequence = admit(prompt(0, 5));
            assertThat(sequence.cachedTokens()).isEqualTo(5 * BLOCK_TOKENS);
            check(sequence, prompt(0, 5));
            sequence.close();
        }
        cache.forget(salt -> true);
    }

    @Test
    void aRunningRequestHasTheMemoryThatIsReadTo() throws Exception {
        keepOnDisk(prompt(0, 5));
        disk.hang();
        ReadAhead ahead = readAhead(prompt(0, 5)).orElseThrow();
        assertThat(ahead.isEnded()).isFalse();
        assertThat(cache.usage().host().usedBytes()).isPositive();
        CacheSequence other = run(prompt(1000, HOST_BLOCKS));
        assertThat(ahead.isEnded()).isTrue();
        disk.release();
        await(() -> cache.diskUsage().orElseThrow().writtenBlocks() == 5 + HOST_BLOCKS);
        check(other, prompt(1000, HOST_BLOCKS));
        other.close();
        ahead.close();
        assertThat(admitAndClose(prompt(0, 5))).isZero();
    }

    private int admitAndClose(Prompt prompt) {
        try (CacheSequence sequence = admit(prompt)) {
            return sequence.cachedTokens();
        }
    }

    @Test
    void whoeverGivesUpLeavesNothingBehind() throws Exception {
        keepOnDisk(prompt(0, 5));
        disk.hang();
        ReadAhead ahead = readAhead(prompt(0, 5)).orElseThrow();
        Prompt same = prompt(0, 4);
        ReadAhead after = readAhead(same).orElseThrow();
        assertThat(after.isEnded()).isFalse();
        ahead.close();
        assertThat(after.isEnded()).isTrue();
        assertThat(cache.usage().host().usedBytes()).isZero();
        disk.release();
        // It waited for another, so it may read now.
        ReadAhead again = readAhead(same).orElseThrow();
        await(again::isEnded);
        again.close();
        assertThat(admitAndClose(same)).isEqualTo(4 * BLOCK_TOKENS);
    }

    @Test
    void readingEndsOnceItHasTakenAsLongAsComputing() throws Exception {
        keepOnDisk(prompt(0, 5));
        disk.hang();
        ReadAhead ahead =
                readAhead(prompt(0, 5), Duration.ofMillis(300).toNanos()).orElseThrow();
        await(ahead::isEnded);
        assertThat(ahead.tokens()).isZero();
        assertThat(cache.usage().host().usedBytes()).isZero();
        ahead.close();
    }

    @Test
    void whatIsForgottenWhileItIsReadIsNotKnown() throws Exception {
        keepOnDisk(prompt(0, 5));
        disk.hang();
        ReadAhead ahead = readAhead(prompt(0, 5)).orElseThrow();
        cache.forget(String::isEmpty);
        assertThat(ahead.isEnded()).isTrue();
        disk.release();
        await(() -> cache.forgetOnDisk("", Optional.empty()).isDone());
        assertThat(admitAndClose(prompt(0, 5))).isZero();
        assertThat(readAhead(prompt(0, 5))).isEmpty();
    }

    /** Blocks give way while they are written: no file has what was there later. */
    @Test
    void memoryThatIsWrittenFromCanBeHad() throws Exception {
        disk.hang();
        run(prompt(0, 5)).close();
        cache.settleDisk();
        CacheSequence other = run(prompt(1000, HOST_BLOCKS));
        assertThat(cache.skippedWrites()).isEqualTo(5);
        disk.release();
        await(() -> isOnDisk(prompt(1000, HOST_BLOCKS)));
        other.close();
        cache.forget(salt -> true);
        // Some may have been copied before.
        for (Prompt prompt : List.of(prompt(0, 5), prompt(1000, HOST_BLOCKS))) {
            Optional<ReadAhead> ahead = readAhead(prompt);
            await(() -> ahead.map(ReadAhead::isEnded).orElse(true));
            CacheSequence sequence = admit(prompt);
            assertThat(sequence.cachedTokens())
                    .isEqualTo(ahead.map(ReadAhead::tokens).orElse(0));
            check(sequence, prompt);
            sequence.close();
            ahead.ifPresent(ReadAhead::close);
        }
        assertThat(cache.diskUsage().orElseThrow().readBlocks()).isGreaterThanOrEqualTo(HOST_BLOCKS);
    }
}
