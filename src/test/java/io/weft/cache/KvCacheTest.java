package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.BlockCode;
import io.weft.device.DeviceBuffer;
import io.weft.device.GrowingRegion;
import io.weft.device.HostRegion;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.FeedForwardDimensions;
import io.weft.model.LayerDimensions;
import io.weft.model.ModelDimensions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class KvCacheTest {
    private static final int BLOCK_TOKENS = 4;
    private static final CacheGeometry GEOMETRY = new CacheGeometry(
            ModelDimensions.uniform(
                    3,
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
            8);
    private static final long KV_BLOCK = GEOMETRY.blockBytes(Content.KEY_VALUE);

    private final CpuDevice device = new CpuDevice(new CpuOptions(64 << 20, 64 << 20, OptionalDouble.empty(), 1));

    private KvCache cache(int openBlocks, int deviceBlocks, int hostBlocks) {
        return new KvCache(
                device, GEOMETRY, new KvCache.StepNeeds(openBlocks, 4), deviceBlocks * KV_BLOCK, hostBlocks * KV_BLOCK);
    }

    @AfterEach
    void close() {
        device.close();
    }

    @Test
    void whatDoesNotFitTheDeviceGoesToTheNextPreference() {
        KvCache cache = cache(4, 2, 8);
        CacheSequence sequence = cache.admit(20, block -> List.of(CacheForm.DEVICE_KV, CacheForm.HOST_ACT))
                .orElseThrow();
        fill(sequence, 20);
        assertThat(sequence.forms(0, sequence.closedBlocks()))
                .containsExactly(
                        CacheForm.DEVICE_KV,
                        CacheForm.DEVICE_KV,
                        CacheForm.HOST_ACT,
                        CacheForm.HOST_ACT,
                        CacheForm.HOST_ACT);
    }

    @Test
    void memoryIsTakenAsTokensCome() {
        KvCache cache = cache(4, 2, 2);
        CacheSequence sequence = cache.admit(200, block -> List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV))
                .orElseThrow();
        assertEmpty(cache);
        fill(sequence, 15);
        assertThat(cache.usage().device().usedBytes()).isEqualTo(2 * KV_BLOCK);
        assertThat(cache.usage().host().usedBytes()).isEqualTo(KV_BLOCK);
        sequence.close();
        assertEmpty(cache);
    }

    @Test
    void aSequenceWithoutMemoryIsAsBefore() {
        KvCache cache = cache(4, 2, 2);
        CacheSequence sequence = cache.admit(200, block -> List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV))
                .orElseThrow();
        fill(sequence, 10);
        assertThat(sequence.open(11)).isFalse();
        assertThat(cache.usage().host().usedBytes()).isZero();
        assertThat(sequence.openBlocks()).hasSize(1);
        assertThat(sequence.open(9)).isTrue();
        // Again, since the step did not run.
        assertThat(sequence.open(9)).isTrue();
        sequence.commit(Collections.nCopies(9, 1));
        assertThat(sequence.open(1)).isFalse();
        sequence.close();
        assertEmpty(cache);
    }

    @Test
    void blocksOfOneContentAreNeighboursOnTheHost() {
        // In slabs of four blocks.
        KvCache cache = cache(4, 0, 4 * 64);
        CacheSequence sequence = cache.admit(
                        24, block -> List.of(block % 2 == 0 ? CacheForm.HOST_ACT : CacheForm.HOST_KV))
                .orElseThrow();
        fill(sequence, 24);
        BlockHome.OnHost first = (BlockHome.OnHost) sequence.home(0);
        assertThat(((BlockHome.OnHost) sequence.home(2)).follows(first, 1)).isTrue();
        assertThat(((BlockHome.OnHost) sequence.home(4)).follows(first, 2)).isTrue();
        assertThat(((BlockHome.OnHost) sequence.home(1)).follows(first, 1)).isFalse();
        assertThat(first.layer(1, 3).bytes()).isEqualTo(3 * GEOMETRY.blockLayerBytes(Content.ACTIVATION));
        assertThat(((BlockHome.OnHost) sequence.home(2)).layer(1, 1).address())
                .isEqualTo(first.layer(1, 1).address() + GEOMETRY.blockLayerBytes(Content.ACTIVATION));
    }

    @Test
    void openBlocksAreGivenBackWhenTheyAreFull() {
        KvCache cache = cache(3, 4, 0);
        CacheSequence sequence =
                cache.admit(11, block -> List.of(CacheForm.DEVICE_KV)).orElseThrow();
        fill(sequence, 3);
        assertThat(sequence.tokens()).isEqualTo(3);
        assertThat(cache.usage().open().usedBytes()).isEqualTo(GEOMETRY.openBlockBytes());
        assertThat(sequence.open(6)).isTrue();
        assertThat(sequence.openBlocks()).hasSize(3);
        sequence.commit(Collections.nCopies(6, 1));
        assertThat(sequence.closedBlocks()).isEqualTo(2);
        assertThat(sequence.openTokens()).isEqualTo(1);
        assertThat(cache.usage().open().usedBytes()).isEqualTo(GEOMETRY.openBlockBytes());
        assertThatThrownBy(() -> sequence.open(4)).isInstanceOf(IllegalStateException.class);
        sequence.close();
        sequence.close();
        assertEmpty(cache);
    }

    @Test
    void hostMemoryForSomeBlocksHoldsThem() {
        for (int blocks : new int[] {0, 1, 63, 64, 65, 200}) {
            KvCache cache = cache(1, 0, blocks);
            CacheSequence sequence = cache.admit((blocks + 1) * BLOCK_TOKENS, any -> List.of(CacheForm.HOST_KV))
                    .orElseThrow();
            fill(sequence, blocks * BLOCK_TOKENS);
            assertThat(sequence.open(BLOCK_TOKENS)).isFalse();
            sequence.close();
            assertEmpty(cache);
        }
    }

    /** What the link does not reach yet is counted, and not given out. */
    @Test
    void hostMemoryIsGivenOutAsFarAsTheLinkReaches() {
        long bytes = 5 * KV_BLOCK;
        GrowingRegion region = new GrowingRegion(device.allocateHost("host", bytes), 2 * KV_BLOCK, Long.MAX_VALUE);
        KvCache cache = new KvCache(device, GEOMETRY, new KvCache.StepNeeds(6, 1), 0, region);
        CacheSequence sequence =
                cache.admit(40, i -> List.of(CacheForm.HOST_KV)).orElseThrow();
        assertThat(cache.usage().host()).isEqualTo(new PoolUsage(0, 0, bytes, bytes));
        assertThat(cache.usage().withComingMemory().host().freeBytes()).isEqualTo(bytes);
        assertThat(sequence.open(4)).isFalse();

        region.extend();
        assertThat(cache.usage().host()).isEqualTo(new PoolUsage(0, 0, bytes, bytes - 2 * KV_BLOCK));
        assertThat(sequence.open(12)).isFalse();
        fill(sequence, 8);
        assertThat(sequence.open(4)).isFalse();

        region.extend();
        fill(sequence, 4);
        cache.endHostGrowth();
        assertThat(cache.usage().host()).isEqualTo(new PoolUsage(3 * KV_BLOCK, 4 * KV_BLOCK));
        sequence.close();
        assertEmpty(cache);
    }

    @Test
    void aCopyIsReadOnceAStepHasMadeItAndGivesWayToAHome() {
        KvCache cache = cache(4, 2, 8);
        CacheSequence sequence =
                cache.admit(12, block -> List.of(CacheForm.HOST_KV)).orElseThrow();
        fill(sequence, 12);
        sequence.promote(0, 3);
        // There is memory for two.
        assertThat(sequence.arrivals()).extracting(CacheSequence.Arrival::block).containsExactly(0, 1);
        assertThat(sequence.forms(0, sequence.closedBlocks())).containsOnly(CacheForm.HOST_KV);
        sequence.commit(List.of());
        assertThat(sequence.arrivals()).isEmpty();
        assertThat(sequence.forms(0, sequence.closedBlocks()))
                .containsExactly(CacheForm.DEVICE_KV, CacheForm.DEVICE_KV, CacheForm.HOST_KV);
        assertThat(sequence.home(0)).isInstanceOf(BlockHome.OnHost.class);
        assertThat(cache.usage().copyBytes()).isEqualTo(2 * KV_BLOCK);
        assertThat(cache.usage().device().usedBytes()).isEqualTo(2 * KV_BLOCK);

        CacheSequence other =
                cache.admit(4, block -> List.of(CacheForm.DEVICE_KV)).orElseThrow();
        fill(other, 4);
        assertThat(sequence.forms(0, sequence.closedBlocks()))
                .containsExactly(CacheForm.DEVICE_KV, CacheForm.HOST_KV, CacheForm.HOST_KV);
        assertThat(cache.usage().withoutCopies().device().usedBytes()).isEqualTo(KV_BLOCK);
        sequence.close();
        other.close();
        assertEmpty(cache);
    }

    /** Or a later home would take back memory that is no longer a copy. */
    @Test
    void copiesEndWithTheirSequence() {
        KvCache cache = cache(4, 2, 8);
        CacheSequence copied =
                cache.admit(8, block -> List.of(CacheForm.HOST_KV)).orElseThrow();
        fill(copied, 8);
        copied.promote(0, 2);
        copied.commit(List.of());
        copied.close();
        assertThat(cache.usage().copyBytes()).isZero();
        CacheSequence both =
                cache.admit(8, block -> List.of(CacheForm.DEVICE_KV)).orElseThrow();
        fill(both, 8);
        CacheSequence third =
                cache.admit(4, block -> List.of(CacheForm.DEVICE_KV)).orElseThrow();
        assertThat(third.open(4)).isFalse();
        third.close();
        both.close();
        assertEmpty(cache);
    }

    @Test
    void onlyFullBlocksOnTheHostAreCopied() {
        // In slabs of two blocks.
        KvCache cache = cache(4, 8, 2 * 64);
        CacheSequence sequence = cache.admit(12, block -> List.of(block == 0 ? CacheForm.DEVICE_KV : CacheForm.HOST_KV))
                .orElseThrow();
        fill(sequence, 8);
        assertThatThrownBy(() -> sequence.promote(0, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> sequence.promote(2, 1)).isInstanceOf(IllegalArgumentException.class);
        sequence.promote(1, 1);
        assertThat(sequence.arrivals()).hasSize(1);
        BlockHome.OnHost home = (BlockHome.OnHost) sequence.home(1);
        assertThat(home.layer(0, 2).bytes()).isEqualTo(2 * GEOMETRY.blockLayerBytes(Content.KEY_VALUE));
        assertThatThrownBy(() -> home.layer(0, 3)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> home.layer(0, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        sequence.close();
        assertEmpty(cache);
    }

    /** A service gives the cache what is left, which is any number of bytes. */
    @Test
    void blocksAreAlignedInAnyNumberOfBytes() {
        Random random = new Random(4);
        List<CacheForm> forms = CachePolicy.EXACT.forms().stream()
                .filter(form -> form.place() == CacheForm.Place.DEVICE)
                .toList();
        for (int i = 0; i < 100; i++) {
            long bytes = 40 * KV_BLOCK + random.nextInt((int) KV_BLOCK);
            KvCache cache = new KvCache(device, GEOMETRY, new KvCache.StepNeeds(4, 4), bytes, 0);
            CacheSequence sequence = cache.admit(
                            80, block -> List.of(forms.get(random.nextInt(forms.size())), CacheForm.DEVICE_KV))
                    .orElseThrow();
            fill(sequence, 80);
            for (int block = 0; block < sequence.closedBlocks(); block++) {
                BlockHome.OnDevice home = (BlockHome.OnDevice) sequence.home(block);
                assertThat((home.memory().address() - cache.deviceAddress()) % BlockCode.ALIGNMENT_BYTES)
                        .as("%s in %d bytes", home.form(), bytes)
                        .isZero();
            }
            assertThat(sequence.closedBlocks()).isEqualTo(20);
            sequence.close();
        }
    }

    /** Block by block, since open blocks are few. */
    private static void fill(CacheSequence sequence, int tokens) {
        for (int left = tokens; left > 0; ) {
            int piece = Math.min(left, BLOCK_TOKENS);
            assertThat(sequence.open(piece)).isTrue();
            sequence.commit(Collections.nCopies(piece, 1));
            left -= piece;
        }
    }

    /** Sequences come, grow and go at random: what is given out never overlaps, and in the end nothing is missing. */
    @Test
    void placesNeverOverlapAndNothingLeaks() {
        KvCache cache = cache(64, 20, 60);
        Random random = new Random(6);
        List<CacheSequence> alive = new ArrayList<>();
        for (int round = 0; round < 2000; round++) {
            CacheSequence some = alive.isEmpty() ? null : alive.get(random.nextInt(alive.size()));
            switch (random.nextInt(6)) {
                case 0 -> {
                    // Each may have three open blocks.
                    if (alive.size() < 20) {
                        cache.admit(
                                        1 + random.nextInt(60),
                                        block -> List.of(
                                                CachePolicy.EXACT.forms().get(random.nextInt(8)), CacheForm.HOST_KV))
                                .ifPresent(alive::add);
                    }
                }
                case 1 -> {
                    if (some != null && random.nextInt(3) == 0) {
                        alive.remove(some);
                        some.close();
                    }
                }
                case 2, 3 -> {
                    if (some != null) {
                        int tokens = Math.min(random.nextInt(12), some.maxTokens() - some.tokens());
                        int drafted = tokens == 0 ? 0 : random.nextInt(Math.min(tokens, 5));
                        if (some.open(tokens, drafted) && random.nextInt(4) > 0) {
                            some.commit(Collections.nCopies(tokens - random.nextInt(drafted + 1), 1));
                        }
                    }
                }
                default -> {
                    if (some != null && some.closedBlocks() > 0) {
                        int block = random.nextInt(some.closedBlocks());
                        if (some.place(block) instanceof BlockHome.OnHost) {
                            some.promote(block, 1);
                        }
                    }
                }
            }
            assertNoOverlap(alive);
        }
        alive.forEach(CacheSequence::close);
        assertEmpty(cache);
        assertThat(cache.usage().copyBytes()).isZero();
    }

    /**
     * Sequences grow side by side, in memory that is full of idle blocks of many others: what crosses the link in one
     * piece is eight blocks on average, which are half a mebibyte in a layer of a large model.
     */
    @Test
    void piecesStayLongWhileBlocksComeAndGo() {
        CacheGeometry large = new CacheGeometry(
                ModelDimensions.uniform(
                        1,
                        64,
                        32,
                        1 << 20,
                        new LayerDimensions(
                                128,
                                128,
                                128,
                                LayerDimensions.NO_WINDOW,
                                FeedForwardDimensions.dense(FeedForwardDimensions.Kind.PLAIN, 16))),
                Float.BYTES,
                16,
                16);
        long bytes = 2048 * large.blockBytes(Content.KEY_VALUE);
        int atOnce = 12;
        // Never touched, so it takes no memory.
        try (CpuDevice roomy = new CpuDevice(new CpuOptions(1L << 30, bytes, OptionalDouble.empty(), 1))) {
            KvCache cache = new KvCache(
                    roomy,
                    large,
                    new KvCache.StepNeeds(2 * atOnce, 16),
                    0,
                    HostRegion.of(roomy.allocateHost("host", bytes)),
                    Optional.of(new BlockNaming(new byte[] {1}, maxTokens -> 0)));
            Random random = new Random(8);
            List<CacheSequence> alive = new ArrayList<>();
            long blocks = 0;
            long pieces = 0;
            for (int closed = 0; closed < 8 * 2048; closed++) {
                if (alive.size() < atOnce) {
                    List<Integer> prompt = List.of(random.nextInt());
                    alive.add(cache.admit(
                                    cache.prompt(prompt, 16 * (20 + random.nextInt(180)), ""),
                                    block -> List.of(CacheForm.HOST_KV))
                            .orElseThrow());
                }
                CacheSequence some = alive.get(random.nextInt(alive.size()));
                assertThat(some.open(16)).isTrue();
                some.commit(random.ints(16).boxed().toList());
                if (some.tokens() == some.maxTokens()) {
                    if (closed > 2 * 2048) {
                        blocks += some.closedBlocks();
                        pieces += pieces(some);
                    }
                    alive.remove(some);
                    some.close();
                }
            }
            assertThat(cache.evictions().fromHost()).isGreaterThan(2048);
            assertThat((double) blocks / pieces).isGreaterThan(8);
        }
    }

    private static int pieces(CacheSequence sequence) {
        int pieces = 1;
        for (int block = 1; block < sequence.closedBlocks(); block++) {
            BlockHome.OnHost before = (BlockHome.OnHost) sequence.home(block - 1);
            pieces += ((BlockHome.OnHost) sequence.home(block)).follows(before, 1) ? 0 : 1;
        }
        return pieces;
    }

    private record Range(long from, long to) {}

    private static void assertNoOverlap(List<CacheSequence> sequences) {
        List<Range> ranges = new ArrayList<>();
        for (CacheSequence sequence : sequences) {
            int blocks = sequence.closedBlocks();
            List<BlockHome> places = new ArrayList<>();
            for (int block = 0; block < blocks; block++) {
                places.add(sequence.home(block));
                if (!sequence.place(block).equals(sequence.home(block))) {
                    places.add(sequence.place(block));
                }
            }
            sequence.arrivals().forEach(arrival -> places.add(arrival.to()));
            for (BlockHome place : places) {
                switch (place) {
                    case BlockHome.OnDevice(CacheForm form, DeviceBuffer memory) ->
                        ranges.add(new Range(memory.address(), memory.address() + memory.bytes()));
                    case BlockHome.OnHost onHost -> {
                        for (int layer = 0; layer < 3; layer++) {
                            long address = onHost.layer(layer, 1).address();
                            ranges.add(new Range(
                                    address, address + onHost.layer(layer, 1).bytes()));
                        }
                    }
                }
            }
        }
        ranges.sort(java.util.Comparator.comparingLong(Range::from));
        for (int i = 1; i < ranges.size(); i++) {
            assertThat(ranges.get(i).from())
                    .isGreaterThanOrEqualTo(ranges.get(i - 1).to());
        }
    }

    private static void assertEmpty(KvCache cache) {
        assertThat(cache.usage().open().usedBytes()).isZero();
        assertThat(cache.usage().device().usedBytes()).isZero();
        assertThat(cache.usage().host().usedBytes()).isZero();
    }
}
