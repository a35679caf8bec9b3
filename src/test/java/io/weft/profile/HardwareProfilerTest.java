package io.weft.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.weft.device.Device;
import io.weft.device.Event;
import io.weft.device.Stream;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheGeometry;
import io.weft.model.LayerDimensions;
import io.weft.model.LayerGroup;
import io.weft.model.ModelFiles;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.model.ModelWeights;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.prediction.CostModel;
import io.weft.profile.HardwareProfiler.Kept;
import io.weft.profile.ProfileStore.StoredProfile;
import io.weft.profile.Profiler.Effort;
import io.weft.profile.Profiler.Measurement;
import io.weft.profile.Stopwatch.Work;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** On a machine whose figures are known, but for two tests on the CPU device. */
class HardwareProfilerTest {
    /** Of the demo model's stages: norm, the products of queries and of K and V in one, and placing; */
    private static final int PROJECT_KERNELS = 3;
    /** one product; */
    private static final int KEY_VALUES_KERNELS = 1;
    /** two products, norm, and the product of gates. */
    private static final int FEED_FORWARD_KERNELS = 4;

    private static final int LAYER_KERNELS = PROJECT_KERNELS + 1 + FEED_FORWARD_KERNELS;

    private static final long POOL_BYTES = 256 << 20;

    @TempDir
    private Path directory;

    private ModelFiles files;
    private Device device;
    private TimedDevice machine;
    private ModelWeights weights;
    private CacheGeometry geometry;
    private ProfilingMemory memory;

    @BeforeEach
    void load() {
        files = ModelFiles.open(new ModelSource.Demo());
        device = new CpuDevice(new CpuOptions(POOL_BYTES, POOL_BYTES, OptionalDouble.empty(), 2));
        machine = new TimedDevice(device);
        weights = ModelWeights.load(files, device, 1024, (layer, layers) -> {});
        geometry = new CacheGeometry(files.architecture().dimensions(), 4, 16, 64);
        memory = new ProfilingMemory(device.allocate("profiling", 48 << 20), device.allocateHost("profiling", 4 << 20));
    }

    @AfterEach
    void close() {
        device.close();
        files.close();
    }

    /** Of a service that starts. */
    private HardwareProfiler starting() {
        return new HardwareProfiler(Effort.START, Kept.USED, () -> {}, machine);
    }

    /** Of those who have time. */
    private HardwareProfiler patient() {
        return new HardwareProfiler(Effort.patient(Duration.ofSeconds(5)), Kept.USED, () -> {}, machine);
    }

    private HardwareProfile profile(HardwareProfiler profiler) {
        return profiler.profile(machine, weights, geometry, memory, directory);
    }

    private Measurement measure(HardwareProfiler profiler) {
        return profiler.measure(machine, weights, geometry, memory);
    }

    /** What goes ahead would else write over the index arrays of what is measured after it. */
    @ParameterizedTest
    @ValueSource(ints = {16, 64, 128})
    void whatRunsAheadOfOtherWorkHasMemoryOfItsOwn(int tokens) {
        Stream stream = device.stream("ahead");
        Scratch scratch = new Scratch(device, memory, stream);
        scratch.fillWithNoise();
        LayerProbe probe = new LayerProbe(device, weights, geometry, scratch);
        LayerGroup group = geometry.dimensions().groups().getFirst();
        Work ahead = probe.keptKeyValues(tokens);
        List<Supplier<List<Work>>> others = List.of(
                () -> probe.embed(8),
                () -> probe.project(group, 8),
                () -> probe.gather(8),
                () -> probe.attentionReads(group, 256),
                () -> probe.attentionPairs(group, 256, 64),
                () -> probe.feedForward(group, 8),
                () -> probe.head(8),
                () -> probe.attentionReads(group, 4, 32),
                () -> probe.decode(group, 2, 128));
        for (Supplier<List<Work>> other : others) {
            List<Work> works = other.get();
            assertThat(works).isNotEmpty();
            ahead.issue(stream, 0);
            works.forEach(work -> work.issue(stream, 0));
            Event done = device.event(Event.Timing.UNTIMED);
            stream.record(done);
            // Places and tokens that are noise lie outside of everything.
            done.join();
        }
        scratch.keepNothing();
        Scratch.Division whole = scratch.divide();
        assertThat(whole.take(scratch.deviceBytes()).bytes()).isEqualTo(scratch.deviceBytes());
    }

    @Test
    void theCpuDeviceIsMeasuredAndItsFiguresAreKept() {
        HardwareProfiler profiler = new HardwareProfiler();
        HardwareProfile measured =
                profiler.measure(device, weights, geometry, memory).profile();
        assertThat(profiler.current()).containsSame(measured);
        for (Curve curve : curves(measured)) {
            assertThat(curve.unitsPerSecond()).isPositive();
        }
        StoredProfile stored = StoredProfile.of(device, geometry, measured);
        new ProfileStore(directory).save(stored);
        assertThat(new ProfileStore(directory).load(stored.key())).contains(measured);
    }

    private static List<Curve> curves(HardwareProfile profile) {
        return List.of(
                profile.linkIn(),
                profile.linkOut(),
                profile.deviceCopy(),
                profile.embed(),
                profile.layers().getFirst().project(),
                profile.keyValues(),
                profile.layers().getFirst().attentionReads(),
                profile.layers().getFirst().attentionPairs(),
                profile.layers().getFirst().feedForward(),
                profile.head());
    }

    private static List<Effort> efforts() {
        return List.of(Effort.START, Effort.patient(Duration.ofSeconds(5)));
    }

    @ParameterizedTest
    @MethodSource("efforts")
    void findsTheFiguresOfTheMachine(Effort effort) {
        Measurement measured = measure(new HardwareProfiler(effort, Kept.USED, () -> {}, machine));
        assertThat(measured.isSteady()).isTrue();
        HardwareProfile profile = measured.profile();
        assertThat(profile.linkBytesPerSecond()).isCloseTo(TimedDevice.LINK_IN_BYTES_PER_SECOND, withinPercentage(0.1));
        assertThat(profile.linkOut().unitsPerSecond())
                .isCloseTo(TimedDevice.LINK_OUT_BYTES_PER_SECOND, withinPercentage(0.1));
        for (int rows : new int[] {1, 5, 64}) {
            assertThat(profile.embed().nanos(rows)).isCloseTo(stageNanos(1, rows), withinPercentage(1));
            assertThat(profile.layers().getFirst().project().nanos(rows))
                    .isCloseTo(stageNanos(PROJECT_KERNELS, rows), withinPercentage(1));
            assertThat(profile.layers().getFirst().feedForward().nanos(rows))
                    .isCloseTo(stageNanos(FEED_FORWARD_KERNELS, rows), withinPercentage(1));
        }
        for (int tokens : new int[] {16, 100, 1024}) {
            assertThat(profile.layers().getFirst().attentionReads().nanos(tokens))
                    .isCloseTo(TimedDevice.START_NANOS + TimedDevice.PAIR_NANOS * tokens, withinPercentage(1));
            assertThat(profile.keyValues().nanos(tokens))
                    .isCloseTo(stageNanos(KEY_VALUES_KERNELS, tokens), withinPercentage(1));
        }
        for (int tokens : new int[] {1024, 10_000, 100_000}) {
            int rows = 512;
            assertThat(profile.layers()
                            .getFirst()
                            .attentionPairs()
                            .nanos(LayerProbe.pairs(tokens, rows, LayerDimensions.NO_WINDOW)))
                    .as("a piece of a prompt of %d tokens", tokens)
                    .isCloseTo(TimedDevice.PREFILL_PAIR_NANOS * rows * tokens, withinPercentage(10));
        }
        assertThat(profile.launchNanos())
                .isCloseTo(TimedDevice.ISSUE_NANOS * LAYER_KERNELS / CostModel.STAGES_OF_A_LAYER, within(1.0));
        assertThat(profile.handoffNanos()).isCloseTo(TimedDevice.HANDOFF_NANOS, within(1.0));
        assertThat(profile.pauseNanos()).isCloseTo(TimedDevice.WAKE_NANOS, within(1.0));
        assertThat(profile.linkContentionFactor()).isCloseTo(1, within(1e-3));
        assertThat(profile.graphGain().nanos(1))
                .isCloseTo(
                        (TimedDevice.START_NANOS - TimedDevice.GRAPH_START_NANOS)
                                * LAYER_KERNELS
                                / CostModel.STAGES_OF_A_LAYER,
                        withinPercentage(1));
        assertThat(profile.graphGain().points()).extracting(Curve.Point::size).startsWith(1L);
    }

    private static double stageNanos(int kernels, int rows) {
        return kernels * (TimedDevice.START_NANOS + TimedDevice.ROW_NANOS * rows);
    }

    /** As long as kernels get faster, or a compiler is at work, the machine will be faster than what is measured. */
    @Test
    void kernelsThatStillGetFasterAreNotSteady() {
        machine.setSlowness(seconds -> Math.pow(0.5, seconds / 2));
        HardwareProfiler profiler =
                new HardwareProfiler(Effort.patient(Duration.ofSeconds(15)), Kept.USED, () -> {}, machine);
        assertThat(measure(profiler).isSteady()).isFalse();
    }

    @Test
    void kernelsAreNotSteadyWhileTheCompilerIsAtWork() {
        machine.setCompiling(seconds -> 0.5 * seconds);
        assertThat(measure(starting()).isSteady()).isFalse();
    }

    @Test
    void kernelsAreSteadyOnceTheCompilerHasLittleToDo() {
        machine.setCompiling(seconds -> Math.min(seconds, 1.5));
        assertThat(measure(starting()).isSteady()).isTrue();
    }

    /** The compiler had no processor for a while, and came to the kernels after they had been measured. */
    @Test
    void kernelsThatGotFasterAfterTheyWereMeasuredWereNotSteady() {
        machine.setSlowness(seconds -> seconds < 3 ? 20 : 1);
        assertThat(measure(patient()).isSteady()).isFalse();
    }

    @Test
    void theLinkAsItIsNowTakesThePlaceOfOneThatIsKnown() {
        HardwareProfile known = TestProfiles.small();
        machine.setSlowness(_ -> 2);
        HardwareProfile now =
                patient().linkMeter(machine, weights, geometry, memory).apply(known);
        assertThat(now.linkBytesPerSecond()).isCloseTo(TimedDevice.LINK_IN_BYTES_PER_SECOND / 2, withinPercentage(0.1));
        assertThat(now.linkOut().unitsPerSecond() / now.linkBytesPerSecond())
                .isCloseTo(known.linkOut().unitsPerSecond() / known.linkBytesPerSecond(), within(1e-9));
        assertThat(now.keyValues()).isEqualTo(known.keyValues());
    }

    @Test
    void aKeptProfileIsReadAndNotMeasuredAgain() {
        HardwareProfiler first = patient();
        assertThat(first.current()).isEmpty();
        HardwareProfile measured = profile(first);
        assertThat(first.current()).containsSame(measured);
        machine.setSlowness(_ -> 2);
        HardwareProfiler second = patient();
        assertThat(profile(second)).isEqualTo(measured);
        assertThat(second.current()).contains(measured);
        CacheGeometry other = new CacheGeometry(files.architecture().dimensions(), 4, 16, 128);
        assertThat(patient().profile(machine, weights, other, memory, directory))
                .isNotEqualTo(measured);
        HardwareProfiler anew =
                new HardwareProfiler(Effort.patient(Duration.ofSeconds(5)), Kept.REPLACED, () -> {}, machine);
        HardwareProfile slower = profile(anew);
        assertThat(slower).isNotEqualTo(measured);
        assertThat(profile(patient())).isEqualTo(slower);
    }

    @Test
    void whatWasMeasuredBeforeKernelsWereSteadyIsNotKept() {
        machine.setCompiling(seconds -> seconds);
        HardwareProfile measured = profile(patient());
        assertThat(directory).isEmptyDirectory();
        machine.setSlowness(_ -> 2);
        assertThat(profile(patient())).isNotEqualTo(measured);
    }

    @Test
    void whatAStartHasMeasuredIsForStartsOnly() {
        HardwareProfile measured = profile(starting());
        machine.setSlowness(_ -> 2);
        assertThat(profile(starting())).isEqualTo(measured);
        assertThat(profile(patient())).isNotEqualTo(measured);
    }

    @Test
    void onlyAStartThatHasToMeasureWaits() {
        AtomicInteger waits = new AtomicInteger();
        profile(new HardwareProfiler(Effort.START, Kept.USED, waits::incrementAndGet, machine));
        assertThat(waits).hasValue(1);
        profile(new HardwareProfiler(Effort.START, Kept.USED, waits::incrementAndGet, machine));
        assertThat(waits).hasValue(1);
    }

    @Test
    void modelsOfEqualSizesWhoseWeightsAreStoredInOtherWaysHaveProfilesOfTheirOwn() {
        Path golden = Path.of("src/test/resources/goldens/llama-w4a16");
        try (ModelFiles quantised = ModelFiles.open(new ModelSource.Directory(golden))) {
            weights = ModelWeights.load(quantised, device, 512, (layer, layers) -> {});
            geometry = new CacheGeometry(quantised.architecture().dimensions(), 4, 16, 64);
            HardwareProfile ofElements = TestProfiles.small();
            new ProfileStore(directory).save(StoredProfile.of(device, geometry, ofElements));
            HardwareProfile measured = profile(patient());
            assertThat(measured).isNotEqualTo(ofElements);
            assertThat(profile(patient())).isEqualTo(measured);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "{", "[]", "null", "{\"version\":1}", "truncated", "other version", "other key", "no curve"})
    void aFileThatCannotBeUsedIsMeasuredAgain(String damage) throws IOException {
        String key = HardwareProfiler.key(device, geometry);
        ProfileStore store = new ProfileStore(directory);
        HardwareProfile kept = TestProfiles.small();
        store.save(StoredProfile.of(device, geometry, kept));
        assertThat(store.load(key)).contains(kept);
        damage(store.file(key), damage);
        assertThat(store.load(key)).isEmpty();
        HardwareProfile measured = profile(patient());
        assertThat(measured).isNotEqualTo(kept);
        assertThat(store.load(key)).contains(measured);
    }

    private static void damage(Path file, String damage) throws IOException {
        UnaryOperator<String> change = switch (damage) {
            case "truncated" -> text -> text.substring(0, text.length() / 2);
            case "other version" -> text -> text.replaceFirst("\"version\" : \\d+", "\"version\" : 999");
            case "other key" -> text -> text.replaceFirst("\"key\" : \"", "\"key\" : \"another ");
            case "no curve" -> text -> text.replaceFirst("\"linkIn\"", "\"linkThrough\"");
            default -> text -> damage;
        };
        String before = Files.readString(file);
        String after = change.apply(before);
        assertThat(after).isNotEqualTo(before);
        Files.writeString(file, after);
    }

    @Test
    void aDirectoryThatCannotBeWrittenCostsNothingButTime() throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "not a directory");
        HardwareProfile measured = patient().profile(machine, weights, geometry, memory, file.resolve("profiles"));
        assertThat(measured.linkBytesPerSecond()).isPositive();
        assertThat(Files.readString(file)).isEqualTo("not a directory");
    }

    @Test
    void onlyTheProfileItselfStaysInTheDirectory() throws IOException {
        StoredProfile stored = StoredProfile.of(device, geometry, TestProfiles.small());
        new ProfileStore(directory).save(stored);
        try (var all = Files.list(directory)) {
            assertThat(all).containsExactly(new ProfileStore(directory).file(stored.key()));
        }
        Path chosen = directory.resolve("chosen.json");
        ProfileStore.write(stored, chosen);
        assertThat(ProfileStore.read(chosen)).isEqualTo(stored);
        Files.writeString(chosen, "{\"version\":\"x\"}");
        assertThatThrownBy(() -> ProfileStore.read(chosen))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith("not a profile")
                .message()
                .hasLineCount(1);
    }

    @Test
    void theNewestProfileOfAModelIsFound() throws IOException {
        ProfileStore store = new ProfileStore(directory);
        assertThat(store.newest(geometry.dimensions())).isEmpty();
        assertThat(new ProfileStore(directory.resolve("none")).newest(geometry.dimensions()))
                .isEmpty();
        List<StoredProfile> stored = new ArrayList<>();
        for (int cells = 1; cells <= 3; cells++) {
            CacheGeometry cut = new CacheGeometry(geometry.dimensions(), Float.BYTES, 16, 16 * cells);
            stored.add(StoredProfile.of(device, cut, TestProfiles.small()));
            store.save(stored.getLast());
            Files.setLastModifiedTime(
                    store.file(stored.getLast().key()), FileTime.fromMillis(1_000_000L * (cells == 2 ? 9 : cells)));
        }
        Files.writeString(directory.resolve("profile-00000000.json"), "not a profile");

        assertThat(store.newest(geometry.dimensions())).contains(stored.get(1));
        assertThat(store.newest(ModelPreset.OPT_6_7B.dimensions())).isEmpty();
    }
}
