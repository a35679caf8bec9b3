package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.DeviceBuffer;
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
    private static final long KV_BLOCK = GEOMETRY.blockBytes(Content.KEY_VALUE);
    private static final int STEP_TOKENS = 12;
    private static final int SEQUENCES_MOST = 6;
    private static final int PROMPT_MOST = 30;

    private final CpuDevice device = new CpuDevice(new CpuOptions(64 << 20, 64 << 20, OptionalDouble.empty(), 1));

    @AfterEach
    void close() {
        device.close();
    }

    private KvCache cache(int deviceBlocks, int hostBlocks) {
        return new KvCache(
                device,
                GEOMETRY,
                new KvCache.StepNeeds(SEQUENCES_MOST * (STEP_TOKENS / BLOCK_TOKENS + 2), 4),
                deviceBlocks * KV_BLOCK,
                HostRegion.of(device.allocateHost("host", hostBlocks * KV_BLOCK)),
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
        int eachOf = 10_000 / sizes.size() + 1;
        int evicted = 0;
        for (int[] size : sizes) {
            KvCache cache = cache(size[0], size[1]);
            for (int seed = 0; seed < eachOf; seed++) {
                try {
                    new Play(cache, new Random(seed), size[0] + size[1] >= 600).run(24);
                } catch (Throwable e) {
                    throw new AssertionError(
                            "seed %d, %d blocks on the device, %d on the host".formatted(seed, size[0], size[1]), e);
                }
            }
            evicted += (int) Math.min(
                    1, cache.evictions().fromDevice() + cache.evictions().fromHost());
        }
        assertThat(evicted).as("caches that gave blocks up").isEqualTo(sizes.size() - 1);
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

    private static long hash(String salt, List<Integer> tokens) {
        long hash = salt.hashCode() + 1;
        for (int token : tokens) {
            hash = hash * 6364136223846793005L + token + 1442695040888963407L;
        }
        return hash;
    }

    /** Some requests that come and go. */
    private static final class Play {
        private final KvCache cache;
        private final Random random;
        private final boolean isRoomy;
        private final List<List<Integer>> documents;
        private final List<Request> running = new ArrayList<>();
        /** Of all full blocks that were ever committed and not forgotten. */
        private final Set<Long> known = new HashSet<>();

        Play(KvCache cache, Random random, boolean isRoomy) {
            this.cache = cache;
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
                assertThat(cache.held().idle()).isEqualTo(known.size());
            }
            cache.forget();
            assertThat(cache.held()).isEqualTo(new HeldBlocks(0, 0, 0));
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
            CacheSequence sequence = cache.admit(asked, block -> {
                        List<CacheForm> forms = new ArrayList<>(List.of(CacheForm.values()));
                        Collections.shuffle(forms, random);
                        return forms.subList(0, 1 + random.nextInt(4));
                    })
                    .orElseThrow();
            assertThat(sequence.tokens()).isEqualTo(sequence.cachedTokens());
            assertThat(sequence.cachedTokens() / BLOCK_TOKENS)
                    .isBetween(hasName && isRoomy ? knownBlocks : 0, hasName ? knownBlocks : 0);
            // Unnamed blocks are nobody else's, so what they hold is, too.
            running.add(new Request(hasName ? salt : "unnamed", all, sequence));
        }

        private void forget() {
            if (random.nextBoolean()) {
                cache.forget();
                known.clear();
            } else {
                cache.forget("other");
                cache.forget("");
                known.clear();
            }
        }

        /** Some requests run some tokens, as a pipeline would. */
        private void step() {
            List<Request> members = new ArrayList<>();
            List<Integer> newTokens = new ArrayList<>();
            for (Request request : running) {
                if (random.nextInt(3) > 0) {
                    promoteSome(request);
                    int left = request.tokens.size() - request.cache.tokens();
                    int tokens = Math.min(left, 1 + random.nextInt(STEP_TOKENS));
                    if (request.cache.open(tokens)) {
                        members.add(request);
                        newTokens.add(tokens);
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
            members.forEach(Play::read);
            for (int i = 0; i < members.size(); i++) {
                write(members.get(i), newTokens.get(i));
            }
            for (Request member : members) {
                for (CacheSequence.Arrival arrival : member.cache.arrivals()) {
                    long held = first(arrival.from().layer(1, 1).segment());
                    bytes(arrival.to(), 0).set(ValueLayout.JAVA_LONG, 0, held);
                    bytes(arrival.to(), 1).set(ValueLayout.JAVA_LONG, 0, held);
                }
            }
            if (random.nextInt(10) == 0) {
                // The step failed.
                return;
            }
            for (int i = 0; i < members.size(); i++) {
                Request member = members.get(i);
                int from = member.cache.tokens();
                int fullBefore = member.cache.closedBlocks();
                member.cache.commit(member.tokens.subList(from, from + newTokens.get(i)));
                for (int block = fullBefore; block < member.cache.closedBlocks(); block++) {
                    if (!member.salt.equals("unnamed")) {
                        known.add(member.content(block));
                    }
                }
            }
            running.forEach(Play::read);
        }

        private void promoteSome(Request request) {
            for (int block = 0; block < request.cache.closedBlocks(); block++) {
                if (request.cache.place(block) instanceof BlockHome.OnHost && random.nextInt(4) == 0) {
                    request.cache.promote(block, 1);
                }
            }
        }

        private static void write(Request request, int tokens) {
            CacheSequence sequence = request.cache;
            for (int i = 0; i < sequence.closingBlocks(tokens); i++) {
                int block = sequence.closedBlocks() + i;
                for (int layer = 0; layer < LAYERS; layer++) {
                    bytes(sequence.home(block), layer).set(ValueLayout.JAVA_LONG, 0, request.content(block));
                }
            }
        }

        private static void read(Request request) {
            for (int block = 0; block < request.cache.closedBlocks(); block++) {
                for (int layer = 0; layer < LAYERS; layer++) {
                    assertThat(first(bytes(request.cache.place(block), layer)))
                            .as("block %d, layer %d", block, layer)
                            .isEqualTo(request.content(block));
                }
            }
        }

        private static long first(MemorySegment segment) {
            return segment.get(ValueLayout.JAVA_LONG, 0);
        }

        private static MemorySegment bytes(BlockHome home, int layer) {
            return switch (home) {
                case BlockHome.OnHost onHost -> onHost.layer(layer, 1).segment();
                case BlockHome.OnDevice(CacheForm form, DeviceBuffer memory) -> {
                    long bytes = GEOMETRY.blockLayerBytes(form.content());
                    DeviceBuffer part = memory.slice(layer * bytes, bytes);
                    yield MemorySegment.ofAddress(part.address()).reinterpret(bytes);
                }
            };
        }

        private static void copy(DeviceBuffer from, BlockHome.OnHost to) {
            for (int layer = 0; layer < LAYERS; layer++) {
                MemorySegment part = to.layer(layer, 1).segment();
                part.copyFrom(MemorySegment.ofAddress(from.address() + layer * part.byteSize())
                        .reinterpret(part.byteSize()));
            }
        }

        /** Counts equal users, and memory adds up. */
        private void check() {
            Map<Block, Integer> users = new IdentityHashMap<>();
            long deviceBytes = 0;
            long hostBytes = 0;
            long arriving = 0;
            for (Request request : running) {
                for (Block block : request.cache.blocks()) {
                    users.merge(block, 1, Integer::sum);
                }
                arriving += request.cache.arrivals().stream()
                        .mapToLong(arrival -> arrival.to().memory().bytes())
                        .sum();
            }
            for (Map.Entry<Block, Integer> entry : users.entrySet()) {
                assertThat(entry.getKey().users()).isEqualTo(entry.getValue());
                long bytes = GEOMETRY.blockBytes(entry.getKey().home().form().content());
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
            Set<Block> all = Collections.newSetFromMap(new IdentityHashMap<>());
            all.addAll(users.keySet());
            for (Block block : cache.named(any -> true)) {
                named++;
                idle += block.isIdle() ? 1 : 0;
                idleBytes +=
                        block.isIdle() ? GEOMETRY.blockBytes(block.home().form().content()) : 0;
                assertThat(block.isIdle()).isNotEqualTo(users.containsKey(block));
                all.add(block);
            }
            for (Block block : all) {
                copies += block.copy() == null ? 0 : block.copy().memory().bytes();
            }
            assertThat(usage.copyBytes()).isEqualTo(copies + arriving);
            assertThat(usage.device().idleBytes() + usage.host().idleBytes()).isEqualTo(idleBytes);
            assertThat(cache.held().idle()).isEqualTo(idle);
            assertThat(cache.held().onDevice() + cache.held().onHost()).isEqualTo(named);
        }
    }
}
