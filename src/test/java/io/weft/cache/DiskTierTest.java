package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.cache.DiskStore.Tuning;
import io.weft.device.HostRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
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

/** Memory that others want while a disk that hangs reads it or writes to it. */
class DiskTierTest {
    private static final Duration HANG = Duration.ofMinutes(10);
    private static final int BLOCK_TOKENS = 4;
    private static final int LAYERS = 3;
    private static final CacheGeometry GEOMETRY = new CacheGeometry(
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
            Float.BYTES,
            BLOCK_TOKENS,
            2 * BLOCK_TOKENS);
    private static final int HOST_BLOCKS = 8;

    private final CpuDevice device = new CpuDevice(new CpuOptions(64 << 20, 64 << 20, OptionalDouble.empty(), 1));
    private final KvCache cache = new KvCache(
            device,
            GEOMETRY,
            new KvCache.StepNeeds(2 * HOST_BLOCKS, 4),
            0,
            HostRegion.of(device.allocateHost("host", HOST_BLOCKS * GEOMETRY.blockBytes(Content.KEY_VALUE))),
            Optional.of(new BlockNaming(new byte[] {1}, maxTokens -> 0)));

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
        return cache.admit(prompt, block -> List.of(CacheForm.HOST_KV)).orElseThrow();
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
                .allMatch(name -> store.contains(Objects.requireNonNull(name), BlockPart.KEY_VALUE));
    }

    private Optional<ReadAhead> readAhead(Prompt prompt) {
        return cache.readAhead(prompt, (from, to) -> Long.MAX_VALUE);
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
        ReadAhead ahead = cache.readAhead(
                        prompt(0, 5), (from, to) -> Duration.ofMillis(300).toNanos())
                .orElseThrow();
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
