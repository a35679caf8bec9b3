package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.mutiny.helpers.test.AssertSubscriber;
import io.weft.cache.CacheUsage;
import io.weft.cache.DiskStore;
import io.weft.cache.DiskUsage;
import io.weft.cache.HeldBlocks;
import io.weft.cache.KvCache;
import io.weft.device.Device;
import io.weft.device.DeviceException;
import io.weft.device.ForwardingDevice;
import io.weft.device.Stream;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.engine.GenerationEvent.Admitted;
import io.weft.engine.GenerationEvent.Generated;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.plan.machine.Profiles;
import io.weft.plan.placement.DecodeLoad;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.placement.Placements;
import io.weft.plan.placement.Planning;
import io.weft.plan.placement.Planning.Prediction;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.step.Schedule;
import io.weft.plan.step.StepPlanner;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever a disk has of a prompt, and in whatever state: the answer is that of a cold run. */
class DiskReuseTest {
    /** Only what hangs takes so long. */
    private static final Duration HANG = Duration.ofMinutes(10);

    private static final int BLOCK = SmallModel.BLOCK_TOKENS;
    private static final int SOAK = Integer.getInteger("weft.soak.requests", 1000);
    private static final long SEED = Long.getLong("weft.soak.seed", 20_261_130);
    private static final long PLENTY = 1L << 30;

    @TempDir
    private Path directory;

    private long directoryBytes = PLENTY;
    private Prediction prediction = Prediction.NONE;
    private String golden = "opt";
    private CachePolicy policy = CachePolicy.EXACT;
    /** Where blocks go; by default wherever the plan likes. */
    private Optional<PlacementPolicy> placement = Optional.empty();

    private UnaryOperator<Device> wrapped = device -> device;
    private KvCache cache;
    private BatchingEngine engine;
    private BatchingEngine cold;

    private EngineRuntime load(SmallModel model, Supplier<Prediction> prediction) {
        return model.load(
                wrapped.apply(new CpuDevice(new CpuOptions(256 << 20, 256 << 20, OptionalDouble.empty(), 2))),
                geometry -> planning(geometry, prediction.get()),
                StepObserver.NONE,
                () -> {});
    }

    /** With all forms and copies, as for a machine whose link is slow. */
    private Supplier<Planning> planning(CacheGeometry geometry, Prediction prediction) {
        CostModel costs = new CostModel(Profiles.machine(1, 1, 0.001), geometry);
        Placements placements = new Placements(costs, new DecodeLoad(4, SmallModel.CONTEXT_TOKENS, 64));
        Planning planning = new Planning(
                new StepPlanner(geometry, Schedule.CHUNKED, SmallModel.STAGING_BYTES, 64, 3),
                prediction,
                (occupancy, tokens) -> placement.orElseGet(
                        () -> placements.admission(occupancy, tokens).orAnyOther(geometry)),
                Optional.of(new MovePlanner(costs, 64)));
        return () -> planning;
    }

    private EngineRuntime onDisk(SmallModel model) {
        EngineRuntime runtime = load(model, () -> prediction);
        cache = runtime.cache();
        cache.keepOn(new DiskStore(directory, directoryBytes, new byte[] {4, 5, 6}));
        return new EngineRuntime(
                runtime.model(), cache, runtime.pipeline(), runtime.planning(), runtime.observer(), () -> {
                    runtime.cache().closeDisk(HANG);
                    runtime.close();
                });
    }

    private void start(int seats, int deviceBlocks, int hostBlocks) throws InterruptedException {
        SmallModel model = SmallModel.keeping(seats, deviceBlocks * BLOCK, hostBlocks * BLOCK)
                .of(golden)
                .under(policy);
        engine = new BatchingEngine(phase -> onDisk(model), EngineOptions.queueing(1 << 16));
        engine.awaitServing();
        await("the directory is listed", () -> disk().isThere());
    }

    private BatchingEngine cold() throws InterruptedException {
        if (cold == null) {
            SmallModel model = new SmallModel(100 * BLOCK, 2 * SmallModel.CONTEXT_TOKENS)
                    .of(golden)
                    .under(policy);
            cold = new BatchingEngine(phase -> load(model, () -> Prediction.NONE), EngineOptions.queueing(1));
            cold.awaitServing();
        }
        return cold;
    }

    /** Ends it in order, so that all that was on the host is on the disk. */
    private void stop() throws InterruptedException {
        engine.drain(HANG);
        await("nobody holds anything", this::isIdle);
        engine.close();
    }

    private boolean isIdle() {
        CacheUsage usage = cache.usage().withoutCopies();
        HeldBlocks held = cache.held(salt -> true);
        return usage.open().usedBytes()
                                + usage.device().usedBytes()
                                + usage.host().usedBytes()
                        == 0
                && held.idle() == held.onDevice() + held.onHost();
    }

    private void restart(int seats, int deviceBlocks, int hostBlocks) throws InterruptedException {
        stop();
        start(seats, deviceBlocks, hostBlocks);
    }

    @AfterEach
    void close() throws InterruptedException {
        if (engine != null) {
            stop();
        }
        if (cold != null) {
            cold.close();
        }
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long endNanos = System.nanoTime() + HANG.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(endNanos);
            Thread.sleep(1);
        }
    }

    private DiskUsage disk() {
        return cache.diskUsage().orElseThrow();
    }

    private static List<Integer> prompt(int tokens, int first) {
        return IntStream.range(0, tokens)
                .map(i -> 3 + (first + i * 7) % 380)
                .boxed()
                .toList();
    }

    private static GenerationRequest request(List<Integer> prompt, int newTokens, RequestTerms terms) {
        return new GenerationRequest(
                prompt,
                newTokens,
                SamplingParameters.greedy(),
                EndTokens.IGNORE,
                OptionalInt.of(2),
                OptionalInt.empty(),
                terms);
    }

    private static GenerationRequest request(List<Integer> prompt, int newTokens) {
        return request(prompt, newTokens, RequestTerms.USUAL);
    }

    private static List<Generated> tokens(List<GenerationEvent> events) {
        return events.stream()
                .filter(Generated.class::isInstance)
                .map(Generated.class::cast)
                .toList();
    }

    private List<Generated> expected(GenerationRequest request) throws InterruptedException {
        return tokens(cold().generate(request).collect().asList().await().atMost(HANG));
    }

    /** Where its prompt was found; its answer must be that of a cold run. */
    private PrefixHit hit(GenerationRequest request) throws InterruptedException {
        List<GenerationEvent> events =
                engine.generate(request).collect().asList().await().atMost(HANG);
        assertThat(tokens(events)).isEqualTo(expected(request));
        return hit(events);
    }

    private static PrefixHit hit(List<GenerationEvent> events) {
        return events.stream()
                .filter(Admitted.class::isInstance)
                .map(event -> ((Admitted) event).hit())
                .reduce(PrefixHit.NONE, PrefixHit::plus);
    }

    private List<Path> files() {
        try (java.util.stream.Stream<Path> all = Files.walk(directory)) {
            return all.filter(Files::isRegularFile)
                    .filter(file -> !file.getFileName().toString().startsWith("weft-cache."))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = CachePolicy.class,
            names = {"EXACT", "FP8", "INT4"})
    void promptsAreFoundAfterARestart(CachePolicy chosen) throws Exception {
        policy = chosen;
        start(SmallModel.SEATS, 0, 200);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(PrefixHit.NONE);
        assertThat(hit(request(prompt(100, 5), 30))).isEqualTo(PrefixHit.NONE);
        restart(SmallModel.SEATS, 0, 200);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 0, 192));
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 192, 0));
        assertThat(hit(request(prompt(100, 5), 3))).isEqualTo(new PrefixHit(0, 0, 96));
        restart(SmallModel.SEATS, 0, 200);
        // Cut within a block.
        assertThat(hit(request(prompt(70, 3), 3))).isEqualTo(new PrefixHit(0, 0, 64));
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 64, 128));
    }

    /** What rings had is on the disk, too. */
    @ParameterizedTest
    @ValueSource(strings = {"gemma3", "gpt-oss"})
    void promptsOfModelsWithWindowsAreFoundAfterARestart(String name) throws Exception {
        golden = name;
        placement = Optional.of((block, tokens) -> List.of(CacheForm.HOST_KV));
        start(SmallModel.SEATS, 100, 200);
        assertThat(hit(request(prompt(200, 3), 30))).isEqualTo(PrefixHit.NONE);
        await("it is written", () -> disk().writtenBlocks() > 0);
        restart(SmallModel.SEATS, 100, 200);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 0, 192));
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 192, 0));
        // What rings had in the midst of it is not kept.
        restart(SmallModel.SEATS, 100, 200);
        assertThat(hit(request(prompt(100, 3), 3))).isEqualTo(PrefixHit.NONE);
        assertThat(hit(request(prompt(200, 3), 3)).tokens()).isEqualTo(192);
        assertThat(disk().missedReads()).isZero();
    }

    /** What host memory has no room for any more is on the disk. */
    @Test
    void blocksThatLeaveHostMemoryAreOnTheDisk() throws Exception {
        start(SmallModel.SEATS, 0, 40);
        for (int turn = 0; turn < 2; turn++) {
            for (int first = 0; first < 8; first++) {
                PrefixHit hit = hit(request(prompt(200, 11 * first), 3));
                assertThat(hit.tokens()).isEqualTo(turn == 0 ? 0 : 192);
                await("it is written", () -> disk().writtenBlocks() >= disk().files());
            }
        }
        assertThat(disk().readBlocks()).isGreaterThan(3 * 12);
        assertThat(cache.evictions().fromHost()).isPositive();
    }

    /** And from the device, of which the host has the overflow. */
    @Test
    void blocksThatLeaveTheDeviceFollow() throws Exception {
        start(SmallModel.SEATS, 20, 60);
        for (int first = 0; first < 12; first++) {
            hit(request(prompt(200, 11 * first), 3));
        }
        await(
                "all of the host is written",
                () -> files().size() >= cache.held(salt -> true).onHost());
        for (int first = 0; first < 12; first++) {
            hit(request(prompt(200, 11 * first), 3));
        }
        assertThat(disk().readBlocks()).isPositive();
    }

    /** By way of host memory, which has room for few of them, or for none beside what it holds. */
    @ParameterizedTest
    @CsvSource({"opt, 5", "opt, 100", "gemma3, 20", "gpt-oss, 20"})
    void whatIsOnTheDeviceIsWrittenAtTheEnd(String name, int hostBlocks) throws Exception {
        golden = name;
        placement = Optional.of((block, tokens) -> List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV));
        start(SmallModel.SEATS, 100, hostBlocks);
        hit(request(prompt(200, 3), 3));
        hit(request(prompt(100, 5), 3));
        assertThat(cache.held(salt -> true).onDevice()).isEqualTo(18);
        restart(SmallModel.SEATS, 100, 40);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 0, 192));
        assertThat(hit(request(prompt(100, 5), 3))).isEqualTo(new PrefixHit(0, 0, 96));
        assertThat(disk().missedReads()).isZero();
    }

    /** Whatever memory on the host holds that was to be copied to is not on the disk. */
    @Test
    void whatCannotBeCopiedAtTheEndIsAMiss() throws Exception {
        placement = Optional.of((block, tokens) -> List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV));
        wrapped = device -> new ForwardingDevice(device) {
            @Override
            public Stream stream(String name) {
                if (name.equals("cache-departures")) {
                    throw new DeviceException("the device is gone");
                }
                return super.stream(name);
            }
        };
        start(SmallModel.SEATS, 14, 100);
        hit(request(prompt(100, 5), 3));
        // Half of what the first has leaves the device.
        hit(request(prompt(200, 3), 3));
        stop();
        assertThat(files()).hasSizeLessThan(6);
        wrapped = device -> device;
        start(SmallModel.SEATS, 14, 100);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(PrefixHit.NONE);
        hit(request(prompt(100, 5), 3));
        restart(SmallModel.SEATS, 14, 100);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 0, 192));
    }

    @Test
    void nothingIsReadThatIsComputedSooner() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        hit(request(prompt(200, 3), 3));
        prediction = plan -> Duration.ofNanos(1);
        restart(SmallModel.SEATS, 0, 200);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(PrefixHit.NONE);
        prediction = plan -> HANG;
        restart(SmallModel.SEATS, 0, 200);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 0, 192));
    }

    /** Host memory for little more than one prompt: what is read takes the place of what others had. */
    @Test
    void whatIsReadTakesTheMemoryOfIdleBlocks() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        for (int first = 0; first < 5; first++) {
            hit(request(prompt(300, 11 * first), 3));
        }
        restart(SmallModel.SEATS, 0, 19);
        for (int turn = 0; turn < 2; turn++) {
            for (int first = 0; first < 5; first++) {
                PrefixHit hit = hit(request(prompt(300, 11 * first), 3));
                assertThat(hit.tokens()).isEqualTo(288);
                assertThat(hit.diskTokens()).isPositive();
            }
        }
    }

    @Test
    void whoeverAsksTheSameAtOnceReadsItOnce() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        hit(request(prompt(200, 3), 3));
        restart(SmallModel.SEATS, 0, 200);
        List<AssertSubscriber<GenerationEvent>> asked = IntStream.range(0, 6)
                .mapToObj(i -> engine.generate(request(prompt(200, 3), 3))
                        .subscribe()
                        .withSubscriber(AssertSubscriber.create(Long.MAX_VALUE)))
                .toList();
        List<Generated> expected = expected(request(prompt(200, 3), 3));
        for (AssertSubscriber<GenerationEvent> one : asked) {
            List<GenerationEvent> events = one.awaitCompletion(HANG).getItems();
            assertThat(tokens(events)).isEqualTo(expected);
            assertThat(hit(events).tokens()).isEqualTo(192);
        }
        assertThat(disk().readBlocks()).isEqualTo(12);
    }

    /** The rest of the text is computed, and on the disk again. */
    @ParameterizedTest
    @EnumSource(
            value = CachePolicy.class,
            names = {"EXACT", "FP8"})
    void aDamagedFileIsAMiss(CachePolicy chosen) throws Exception {
        policy = chosen;
        start(SmallModel.SEATS, 0, 200);
        hit(request(prompt(200, 3), 3));
        restart(SmallModel.SEATS, 0, 200);
        for (int damage = 0; damage < 3; damage++) {
            stop();
            damage(files().get(damage), damage);
            start(SmallModel.SEATS, 0, 200);
            PrefixHit found = hit(request(prompt(200, 3), 3));
            assertThat(found.tokens()).isLessThan(192);
            assertThat(found.hostTokens()).isZero();
            restart(SmallModel.SEATS, 0, 200);
            assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(new PrefixHit(0, 0, 192));
        }
    }

    private static void damage(Path file, int how) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        switch (how % 4) {
            case 0 -> {
                bytes[bytes.length / 2] ^= 4;
                Files.write(file, bytes);
            }
            case 1 -> Files.write(file, Arrays.copyOf(bytes, bytes.length / 3));
            case 2 -> Files.delete(file);
            default -> Files.write(file, new byte[bytes.length]);
        }
    }

    @Test
    void aDirectoryThatVanishesIsAMiss() throws Exception {
        start(SmallModel.SEATS, 0, 30);
        hit(request(prompt(200, 3), 3));
        await("all is written", () -> files().size() == 12);
        delete(directory);
        for (int first = 0; first < 6; first++) {
            assertThat(hit(request(prompt(200, 11 * first + 1), 3))).isEqualTo(PrefixHit.NONE);
        }
        assertThat(hit(request(prompt(200, 3), 3)).diskTokens()).isZero();
        Files.createDirectories(directory);
    }

    private static void delete(Path folder) throws IOException {
        try (java.util.stream.Stream<Path> all = Files.walk(folder)) {
            for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(each);
            }
        }
    }

    /** Some of the prompts are there, and the limit holds. */
    @Test
    void aSmallDirectoryKeepsWhatWasUsedLast() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        hit(request(prompt(200, 3), 3));
        await("all is written", () -> files().size() == 12);
        directoryBytes = 20 * Files.size(files().getFirst());
        restart(SmallModel.SEATS, 0, 200);
        hit(request(prompt(200, 5), 3));
        hit(request(prompt(200, 7), 3));
        stop();
        assertThat(files()).hasSizeLessThanOrEqualTo(20);
        start(SmallModel.SEATS, 0, 200);
        assertThat(hit(request(prompt(200, 7), 3))).isEqualTo(new PrefixHit(0, 0, 192));
    }

    @Test
    void whatIsForgottenIsGoneFromTheDisk() throws Exception {
        start(SmallModel.SEATS, 0, 200);
        RequestTerms mine = RequestTerms.USUAL.sharing("a", "s");
        RequestTerms other = RequestTerms.USUAL.sharing("a", "t");
        hit(request(prompt(200, 3), 3, mine));
        hit(request(prompt(200, 3), 3, other));
        await("all is written", () -> disk().files() == 24);
        assertThat(engine.held("a", Optional.empty()).await().atMost(HANG)).isEqualTo(new HeldTokens(0, 384, 384, 384));
        assertThat(engine.forget("a", Optional.of("s")).await().atMost(HANG))
                .isEqualTo(new HeldTokens(0, 192, 192, 192));
        assertThat(files()).hasSize(12);
        restart(SmallModel.SEATS, 0, 200);
        assertThat(hit(request(prompt(200, 3), 3))).isEqualTo(PrefixHit.NONE);
        assertThat(hit(request(prompt(200, 3), 3, mine))).isEqualTo(PrefixHit.NONE);
        assertThat(hit(request(prompt(200, 3), 3, other))).isEqualTo(new PrefixHit(0, 0, 192));
    }

    // ---- random ones

    private final List<List<Integer>> known = new ArrayList<>(List.of(List.of()));

    private List<Integer> grow(Random random) {
        List<Integer> parent = known.get(random.nextInt(known.size()));
        int edge = BLOCK * random.nextInt(parent.size() / BLOCK + 1) + random.nextInt(3) - 1;
        int kept = random.nextInt(3) == 0 ? parent.size() : Math.clamp(edge, 0, parent.size());
        List<Integer> tokens = new ArrayList<>(parent.subList(0, Math.min(kept, 300)));
        random.ints(1 + random.nextInt(60), 3, 384).forEach(tokens::add);
        known.add(tokens);
        return tokens;
    }

    private record Asked(GenerationRequest request, boolean isCancelled, AssertSubscriber<GenerationEvent> events) {}

    /** Requests that share beginnings, some cancelled; then a restart, before which files are damaged. */
    private void grownTree(long seed, int rounds, int requestsEach, int[]... sizes) throws Exception {
        Random random = new Random(seed);
        directoryBytes = random.nextBoolean() ? PLENTY : 400_000;
        long read = 0;
        for (int round = 0; round < rounds; round++) {
            int[] size = sizes[random.nextInt(sizes.length)];
            start(size[0], size[1], size[2]);
            List<Asked> asked = new ArrayList<>();
            for (int i = 0; i < requestsEach; i++) {
                GenerationRequest request = request(
                        grow(random),
                        1 + random.nextInt(40),
                        RequestTerms.USUAL.sharing(random.nextInt(3) == 0 ? "a" : "", ""));
                AssertSubscriber<GenerationEvent> events =
                        engine.generate(request).subscribe().withSubscriber(AssertSubscriber.create(Long.MAX_VALUE));
                boolean isCancelled = random.nextInt(8) == 0;
                asked.add(new Asked(request, isCancelled, events));
                if (isCancelled) {
                    Thread.sleep(random.nextInt(3));
                    events.cancel();
                }
                if (random.nextInt(4) == 0) {
                    expectedOf(asked);
                }
            }
            expectedOf(asked);
            read += disk().readBlocks();
            stop();
            List<Path> files = files();
            for (int i = 0; i < random.nextInt(4) && !files.isEmpty(); i++) {
                Path file = files.get(random.nextInt(files.size()));
                if (Files.exists(file)) {
                    damage(file, random.nextInt(4));
                }
            }
        }
        engine = null;
        assertThat(read).isPositive();
    }

    private void expectedOf(List<Asked> asked) throws InterruptedException {
        for (Asked one : asked) {
            if (!one.isCancelled()) {
                assertThat(tokens(one.events().awaitCompletion(HANG).getItems()))
                        .isEqualTo(expected(one.request()));
            }
        }
        asked.clear();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2})
    void anAnswerHasTheBitsOfAColdRunWithWindows(long seed) throws Exception {
        golden = "gemma3";
        placement = Optional.of((block, tokens) -> block % 3 == 0
                ? List.of(CacheForm.DEVICE_KV, CacheForm.HOST_KV)
                : List.of(CacheForm.HOST_KV, CacheForm.DEVICE_KV));
        grownTree(seed, 4, 12, new int[] {4, 40, 60}, new int[] {4, 40, 38}, new int[] {8, 60, 60});
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void anAnswerHasTheBitsOfAColdRun(long seed) throws Exception {
        grownTree(seed, 4, 12, new int[] {4, 0, 60}, new int[] {4, 12, 38}, new int[] {16, 10, 60});
    }

    @Test
    @Tag("soak")
    void anAnswerHasTheBitsOfAColdRunForLong() throws Exception {
        for (int tree = 0; tree < Math.ceilDiv(SOAK, 100); tree++) {
            known.subList(1, known.size()).clear();
            grownTree(SEED + tree, 5, 20, new int[] {4, 0, 60}, new int[] {4, 12, 38}, new int[] {16, 10, 60});
            delete(directory);
            Files.createDirectories(directory);
        }
    }
}
