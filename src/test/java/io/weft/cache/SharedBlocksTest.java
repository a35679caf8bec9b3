package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.DeviceBuffer;
import io.weft.device.HostBuffer;
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
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Requests that begin alike, step by step, without a model: a step writes what a block holds, which is a hash of all
 * tokens up to its end, and every block that is read must hold that of its own tokens, wherever it lies.
 */
class SharedBlocksTest {
    private static final int BLOCK_TOKENS = 3;
    private static final int LAYERS = 2;
    private static final int WINDOW = 7;
    private static final CacheGeometry ALL_CACHED = geometry(LayerDimensions.NO_WINDOW);
    private static final CacheGeometry WITH_WINDOWS = geometry(WINDOW);

    private static final int STEP_TOKENS = 12;
    private static final int DRAFTS_MOST = 4;
    private static final int SEQUENCES_MOST = 6;
    private static final int PROMPT_MOST = 30;

    /** @param window of the last two layers */
    private static CacheGeometry geometry(int window) {
        List<LayerDimensions> layers = IntStream.of(
                        LayerDimensions.NO_WINDOW, LayerDimensions.NO_WINDOW, window, window)
                .limit(window == LayerDimensions.NO_WINDOW ? LAYERS : LAYERS + 2)
                .mapToObj(each -> new LayerDimensions(
                        2, 2, 4, each, FeedForwardDimensions.dense(FeedForwardDimensions.Kind.PLAIN, 16)))
                .toList();
        return new CacheGeometry(ModelDimensions.of(8, 32, 256, layers), Float.BYTES, BLOCK_TOKENS, 2 * BLOCK_TOKENS);
    }

    private final CpuDevice device = new CpuDevice(new CpuOptions(64 << 20, 64 << 20, OptionalDouble.empty(), 1));

    @AfterEach
    void close() {
        device.close();
    }

    private KvCache cache(CacheGeometry geometry, int deviceBlocks, int hostBlocks) {
        long blockBytes = geometry.blockBytes(Content.KEY_VALUE);
        long ringBytes = SEQUENCES_MOST * geometry.ringBytes(2 * PROMPT_MOST, STEP_TOKENS);
        return new KvCache(
                device,
                geometry,
                new KvCache.StepNeeds(
                        SEQUENCES_MOST * (Math.ceilDiv(STEP_TOKENS + DRAFTS_MOST, BLOCK_TOKENS) + 1), STEP_TOKENS),
                ringBytes + deviceBlocks * blockBytes,
                HostRegion.of(device.allocateHost("host", hostBlocks * blockBytes)),
                Optional.of(new BlockNaming(new byte[] {1, 2, 3}, maxTokens -> 0)));
    }

    /** Memory is scarce, or for one place alone, or enough for all. */
    @Test
    void everyBlockHoldsWhatItsTokensAskForAndNothingIsHeldThatNothingNames() {
        List<int[]> sizes = List.of(
                new int[] {4, 4},
                new int[] {0, 12},
                new int[] {12, 0},
                new int[] {7, 20},
                new int[] {20, 7},
                new int[] {200, 400});
        int plays = 10_000 / (2 * sizes.size()) + 1;
        int evicting = 0;
        long hits = 0;
        for (CacheGeometry geometry : List.of(ALL_CACHED, WITH_WINDOWS)) {
            for (int[] size : sizes) {
                KvCache cache = cache(geometry, size[0], size[1]);
                for (int seed = 0; seed < plays; seed++) {
                    Play play = new Play(cache, new Random(seed), size[0] == 200);
                    try {
                        play.run(24);
                    } catch (Throwable e) {
                        throw new AssertionError(
                                "seed %d, %d blocks on the device, %d on the host, %d layers with a window"
                                        .formatted(seed, size[0], size[1], geometry.windowLayerCount()),
                                e);
                    }
                    hits += play.hits;
                }
                evicting += cache.evictions().equals(new Evictions(0, 0)) ? 0 : 1;
            }
        }
        assertThat(evicting).as("caches that gave blocks up").isGreaterThanOrEqualTo(2 * (sizes.size() - 1));
        assertThat(hits).isGreaterThan(plays);
    }

    /** Until then it finds less, and after that no more; where a ring is not kept, there is nothing to wait for. */
    @Test
    void whoWaitsForASequenceThatFillsItsBeginningFindsAllOfIt() {
        for (CacheGeometry geometry : List.of(ALL_CACHED, WITH_WINDOWS)) {
            KvCache cache = cache(geometry, 0, 100);
            for (int tokens = 1; tokens <= 6 * BLOCK_TOKENS + 1; tokens++) {
                for (int shared = 0; shared <= tokens; shared++) {
                    for (int more = shared == tokens ? 0 : 1; more < 2 * BLOCK_TOKENS; more += 2) {
                        waitForBeginning(cache, tokens, shared, more);
                        cache.takeDepartures();
                        cache.takeRingFills();
                        cache.forget(any -> true);
                    }
                }
            }
        }
    }

    private static void waitForBeginning(KvCache cache, int tokens, int shared, int more) {
        List<Integer> ofFirst = Collections.nCopies(tokens, 1);
        List<Integer> ofSecond = new ArrayList<>(ofFirst.subList(0, shared));
        ofSecond.addAll(Collections.nCopies(more, 2));
        Prompt prompt = cache.prompt(ofFirst, PROMPT_MOST, "");
        Prompt waiting = cache.prompt(ofSecond, PROMPT_MOST, "");
        int common = Math.min(prompt.fullBlocks(), Math.min(shared / BLOCK_TOKENS, waiting.knowableBlocks()));
        boolean isOfUse = cache.geometry().windowLayerCount() == 0 || common >= prompt.fullBlocks() - 1;
        int expected = isOfUse ? common : 0;
        try (CacheSequence first =
                cache.admit(prompt, block -> List.of(CacheForm.HOST_KV)).orElseThrow()) {
            while (first.fillsFor(waiting)) {
                assertThat(first.fillsPrompt()).isTrue();
                assertThat(first.open(1)).isTrue();
                first.commit(List.of(1));
            }
            boolean isKeptAtTheEnd = cache.geometry().windowLayerCount() > 0 && expected > 0;
            assertThat(first.tokens()).isEqualTo(BLOCK_TOKENS * (isKeptAtTheEnd ? prompt.fullBlocks() : expected));
            try (CacheSequence second =
                    cache.admit(waiting, block -> List.of(CacheForm.HOST_KV)).orElseThrow()) {
                assertThat(second.cachedTokens())
                        .as("%d tokens, of which %d are shared by one of %d", tokens, shared, ofSecond.size())
                        .isEqualTo(BLOCK_TOKENS * expected);
            }
        }
    }

    /** A request and what it will say. */
    private static final class Request {
        final String salt;
        final List<Integer> tokens;
        final CacheSequence cache;

        Request(String salt, List<Integer> tokens, CacheSequence cache) {
            this.salt = salt;
            this.tokens = tokens;
            this.cache = cache;
        }

        /** What block {@code block} holds. */
        long content(int block) {
            return hash(salt, tokens.subList(0, (block + 1) * BLOCK_TOKENS));
        }
    }

    /**
     * A request's part in a step.
     *
     * @param tokens that it runs
     * @param accepted of these; the others are drafts that are not what it will say
     */
    private record Member(Request request, int tokens, int accepted) {}

    private static long hash(String salt, List<Integer> tokens) {
        long hash = salt.hashCode() + 1L;
        for (int token : tokens) {
            hash = hash * 6364136223846793005L + token + 1442695040888963407L;
        }
        return hash;
    }

    /** Some requests that come and go. */
    private static final class Play {
        private final KvCache cache;
        private final CacheGeometry geometry;
        private final Random random;
        private final boolean isRoomy;
        private final List<List<Integer>> documents;
        private final List<Request> running = new ArrayList<>();
        /** Of all full blocks that were ever committed and not forgotten. */
        private final Set<Long> known = new HashSet<>();

        private long hits;

        Play(KvCache cache, Random random, boolean isRoomy) {
            this.cache = cache;
            this.geometry = cache.geometry();
            this.random = random;
            this.isRoomy = isRoomy;
            this.documents =
                    IntStream.range(0, 3).mapToObj(any -> tokens(PROMPT_MOST)).toList();
        }

        private List<Integer> tokens(int count) {
            // Few kinds, so that some are alike by chance.
            return random.ints(count, 0, 2).boxed().toList();
        }

        void run(int rounds) {
            for (int round = 0; round < rounds; round++) {
                switch (random.nextInt(8)) {
                    case 0, 1 -> admit();
                    case 2 -> {
                        if (!running.isEmpty()) {
                            running.remove(random.nextInt(running.size())).cache.close();
                        }
                    }
                    case 3 -> {
                        if (random.nextInt(6) == 0) {
                            forget();
                        }
                    }
                    default -> step();
                }
                check();
            }
            running.forEach(request -> request.cache.close());
            running.clear();
            check();
            if (isRoomy) {
                assertThat(cache.held(salt -> true).idle()).isEqualTo(known.size());
            }
            cache.forget(any -> true);
            assertThat(cache.held(salt -> true)).isEqualTo(new HeldBlocks(0, 0, 0));
            assertThat(cache.usage().open().usedBytes()).isZero();
            assertThat(cache.usage().copyBytes()).isZero();
            for (PoolUsage pool : List.of(cache.usage().device(), cache.usage().host())) {
                assertThat(pool.usedBytes()).isZero();
                assertThat(pool.idleBytes()).isZero();
            }
        }

        private void admit() {
            if (running.size() == SEQUENCES_MOST) {
                return;
            }
            String salt = random.nextInt(4) == 0 ? "other" : "";
            List<Integer> document = documents.get(random.nextInt(documents.size()));
            List<Integer> prompt = new ArrayList<>(document.subList(0, random.nextInt(document.size())));
            prompt.addAll(tokens(1 + random.nextInt(4)));
            List<Integer> all = new ArrayList<>(prompt);
            all.addAll(tokens(random.nextInt(20)));
            int knownBlocks = 0;
            while (knownBlocks < (prompt.size() - 1) / BLOCK_TOKENS
                    && known.contains(hash(salt, prompt.subList(0, (knownBlocks + 1) * BLOCK_TOKENS)))) {
                knownBlocks++;
            }
            boolean hasName = random.nextInt(8) > 0;
            Prompt asked = hasName ? cache.prompt(prompt, all.size(), salt) : Prompt.unnamed(prompt, all.size());
            Optional<CacheSequence> admitted = cache.admit(asked, block -> {
                List<CacheForm> forms = new ArrayList<>(CachePolicy.EXACT.forms());
                Collections.shuffle(forms, random);
                return forms.subList(0, 1 + random.nextInt(4));
            });
            if (admitted.isEmpty()) {
                assertThat(geometry.windowLayerCount())
                        .as("there is no room for a ring")
                        .isPositive();
                return;
            }
            CacheSequence sequence = admitted.get();
            assertThat(sequence.tokens()).isEqualTo(sequence.cachedTokens());
            hits += sequence.cachedTokens() > 0 ? 1 : 0;
            boolean isCertain = hasName && isRoomy && geometry.windowLayerCount() == 0;
            assertThat(sequence.cachedTokens() / BLOCK_TOKENS)
                    .isBetween(isCertain ? knownBlocks : 0, hasName ? knownBlocks : 0);
            // Unnamed blocks are nobody else's, so what they hold is, too.
            running.add(new Request(hasName ? salt : "unnamed", all, sequence));
        }

        private void forget() {
            if (random.nextBoolean()) {
                cache.forget(any -> true);
            } else {
                cache.forget("other"::equals);
                cache.forget(String::isEmpty);
            }
            known.clear();
        }

        /** Some requests run some tokens, as a pipeline would. */
        private void step() {
            List<Member> members = new ArrayList<>();
            for (Request request : running) {
                if (random.nextInt(3) > 0) {
                    promoteSome(request);
                    int left = request.tokens.size() - request.cache.tokens();
                    int tokens = Math.min(left, 1 + random.nextInt(STEP_TOKENS));
                    int drafted =
                            tokens == 0 || random.nextBoolean() ? 0 : random.nextInt(Math.min(tokens, DRAFTS_MOST + 1));
                    if (request.cache.open(tokens, drafted)) {
                        members.add(new Member(request, tokens, tokens - random.nextInt(drafted + 1)));
                    }
                }
            }
            if (random.nextInt(10) == 0) {
                // The step was never issued.
                return;
            }
            for (KvCache.Departure departure : cache.takeDepartures()) {
                copy(departure.from(), departure.to());
            }
            for (KvCache.RingFill fill : cache.takeRingFills()) {
                at(fill.to()).copyFrom(fill.from().segment());
            }
            members.forEach(member -> read(member.request()));
            members.forEach(this::write);
            for (Member member : members) {
                for (CacheSequence.Arrival arrival : member.request().cache.arrivals()) {
                    long held = first(arrival.from().layer(1, 1).segment());
                    bytes(arrival.to(), 0).set(ValueLayout.JAVA_LONG, 0, held);
                    bytes(arrival.to(), 1).set(ValueLayout.JAVA_LONG, 0, held);
                }
            }
            if (random.nextInt(10) == 0) {
                // The step failed.
                return;
            }
            for (Member member : members) {
                Request request = member.request();
                int from = request.cache.tokens();
                int fullBefore = request.cache.closedBlocks();
                request.cache.commit(request.tokens.subList(from, from + member.accepted()));
                for (int block = fullBefore; block < request.cache.closedBlocks(); block++) {
                    if (!request.salt.equals("unnamed")) {
                        known.add(request.content(block));
                    }
                }
            }
            running.forEach(this::read);
        }

        private void promoteSome(Request request) {
            for (int block = 0; block < request.cache.closedBlocks(); block++) {
                if (request.cache.place(block) instanceof BlockHome.OnHost && random.nextInt(4) == 0) {
                    request.cache.promote(block, 1);
                }
            }
        }

        /** Blocks that are not full of accepted tokens hold nothing of use. */
        private void write(Member member) {
            Request request = member.request();
            CacheSequence sequence = request.cache;
            int accepted = sequence.tokens() + member.accepted();
            int written = sequence.tokens() + member.tokens();
            for (int block = sequence.tokens() / BLOCK_TOKENS; block < geometry.blocks(written); block++) {
                long content = (block + 1) * BLOCK_TOKENS <= accepted ? request.content(block) : 0;
                open(sequence, block).set(ValueLayout.JAVA_LONG, 0, content);
                if (hasRing(sequence)) {
                    at(sequence.ring().block(block)).set(ValueLayout.JAVA_LONG, 0, content);
                }
            }
            for (int i = 0; i < sequence.closingBlocks(); i++) {
                int block = sequence.closedBlocks() + i;
                for (int layer = 0; layer < LAYERS; layer++) {
                    bytes(sequence.home(block), layer).set(ValueLayout.JAVA_LONG, 0, first(open(sequence, block)));
                }
            }
        }

        private static MemorySegment open(CacheSequence sequence, int block) {
            return at(sequence.openBlocks().get(block - sequence.closedBlocks()));
        }

        private boolean hasRing(CacheSequence sequence) {
            return sequence.ring().blocks() > 0;
        }

        private void read(Request request) {
            CacheSequence sequence = request.cache;
            int firstSeen = Math.max(0, sequence.tokens() + 1 - WINDOW) / BLOCK_TOKENS;
            for (int block = firstSeen; block < sequence.closedBlocks() && hasRing(sequence); block++) {
                requireEqual(first(at(sequence.ring().block(block))), request.content(block), "in the ring", block);
            }
            for (int block = sequence.closedBlocks(); block < sequence.tokens() / BLOCK_TOKENS; block++) {
                requireEqual(first(open(sequence, block)), request.content(block), "in an open block", block);
            }
            for (int block = 0; block < sequence.closedBlocks(); block++) {
                for (int layer = 0; layer < LAYERS; layer++) {
                    requireEqual(
                            first(bytes(sequence.place(block), layer)),
                            request.content(block),
                            "in a cached layer",
                            block);
                }
            }
        }

        /** Millions of times: too often for a description that nobody reads. */
        private static void requireEqual(long actual, long expected, String where, int block) {
            if (actual != expected) {
                throw new AssertionError(
                        "block %d, %s, holds %x, must hold %x".formatted(block, where, actual, expected));
            }
        }

        private static long first(MemorySegment segment) {
            return segment.get(ValueLayout.JAVA_LONG, 0);
        }

        private static MemorySegment at(DeviceBuffer buffer) {
            return MemorySegment.ofAddress(buffer.address()).reinterpret(buffer.bytes());
        }

        private static MemorySegment bytes(BlockHome home, int layer) {
            return switch (home) {
                case BlockHome.OnHost onHost -> onHost.layer(layer, 1).segment();
                case BlockHome.OnDevice(CacheForm form, DeviceBuffer memory) -> {
                    long bytes = memory.bytes() / LAYERS;
                    yield at(memory.slice(layer * bytes, bytes));
                }
            };
        }

        private static void copy(List<DeviceBuffer> from, List<HostBuffer> to) {
            for (int layer = 0; layer < to.size(); layer++) {
                to.get(layer).segment().copyFrom(at(from.get(layer)));
            }
        }

        /** Counts equal users, and memory adds up. */
        private void check() {
            IdentityHashMap<Block, Integer> users = new IdentityHashMap<>();
            long deviceBytes = 0;
            long hostBytes = 0;
            long arriving = 0;
            for (Request request : running) {
                for (Block block : request.cache.blocks()) {
                    users.merge(block, 1, Integer::sum);
                }
                deviceBytes += request.cache.ring().memory().bytes();
                arriving += request.cache.arrivals().stream()
                        .mapToLong(arrival -> arrival.to().memory().bytes())
                        .sum();
            }
            long idlePieceBytes = 0;
            Set<Block> all = Collections.newSetFromMap(new IdentityHashMap<>());
            all.addAll(users.keySet());
            all.addAll(cache.named(any -> true));
            for (Block block : all) {
                WindowPiece piece = block.windowPiece();
                if (piece != null && piece.isIdle()) {
                    idlePieceBytes += geometry.windowBlockBytes();
                } else if (piece != null) {
                    hostBytes += geometry.windowBlockBytes();
                }
            }
            for (Map.Entry<Block, Integer> entry : users.entrySet()) {
                assertThat(entry.getKey().users()).isEqualTo(entry.getValue());
                long bytes = geometry.blockBytes(entry.getKey().home().form().encoding());
                switch (entry.getKey().home()) {
                    case BlockHome.OnDevice onDevice -> deviceBytes += bytes;
                    case BlockHome.OnHost onHost -> hostBytes += bytes;
                }
            }
            CacheUsage usage = cache.usage();
            assertThat(usage.device().usedBytes()).isEqualTo(deviceBytes + usage.copyBytes());
            assertThat(usage.host().usedBytes()).isEqualTo(hostBytes);
            long copies = 0;
            int named = 0;
            int idle = 0;
            long idleBytes = 0;
            for (Block block : cache.named(any -> true)) {
                named++;
                idle += block.isIdle() ? 1 : 0;
                idleBytes +=
                        block.isIdle() ? geometry.blockBytes(block.home().form().encoding()) : 0;
                assertThat(block.isIdle()).isNotEqualTo(users.containsKey(block));
            }
            for (Block block : all) {
                copies += block.copy() == null ? 0 : block.copy().memory().bytes();
            }
            assertThat(usage.copyBytes()).isEqualTo(copies + arriving);
            assertThat(usage.device().idleBytes() + usage.host().idleBytes()).isEqualTo(idleBytes + idlePieceBytes);
            assertThat(cache.held(salt -> true).idle()).isEqualTo(idle);
            assertThat(cache.held(salt -> true).onDevice()
                            + cache.held(salt -> true).onHost())
                    .isEqualTo(named);
        }
    }
}
