package io.weft.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.weft.device.Device;
import io.weft.device.Event;
import io.weft.device.Stream;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelFamily;
import io.weft.model.ModelFiles;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.model.ModelWeights;
import io.weft.plan.machine.Curve;
import io.weft.plan.machine.HardwareProfile;
import io.weft.profile.ProfileStore.StoredProfile;
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
import org.junit.jupiter.params.provider.ValueSource;

/** On the CPU device with a slow link, whose rate is known. */
class HardwareProfilerTest {
    private static final double LINK_GIGABYTES_PER_SECOND = 0.5;
    /** A busy machine takes long to compile kernels, and only a steady profile is kept. */
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private static final long POOL_BYTES = 256 << 20;

    @TempDir
    private Path directory;

    private ModelFiles files;
    private Device device;
    private ModelWeights weights;
    private CacheGeometry geometry;
    private ProfilingMemory memory;

    @BeforeEach
    void load() {
        files = ModelFiles.open(new ModelSource.Demo(), ModelFamily.all());
        device = new CpuDevice(new CpuOptions(POOL_BYTES, POOL_BYTES, OptionalDouble.of(LINK_GIGABYTES_PER_SECOND), 2));
        weights = ModelWeights.load(files, device, 1024, (layer, layers) -> {});
        geometry = new CacheGeometry(files.architecture().dimensions(), 4, 16, 64);
        memory = new ProfilingMemory(device.allocate("profiling", 48 << 20), device.allocateHost("profiling", 4 << 20));
    }

    @AfterEach
    void close() {
        device.close();
        files.close();
    }

    /** What goes ahead would else write over the index arrays of what is measured behind it. */
    @ParameterizedTest
    @ValueSource(ints = {16, 64, 128})
    void whatRunsAheadOfOtherWorkHasMemoryOfItsOwn(int tokens) {
        Stream stream = device.stream("ahead");
        Scratch scratch = new Scratch(device, memory, stream);
        scratch.fillWithNoise();
        LayerProbe probe = new LayerProbe(device, weights, geometry, scratch);
        Work ahead = probe.keptKeyValues(tokens);
        List<Supplier<List<Work>>> others = List.of(
                () -> probe.embed(8),
                () -> probe.project(8),
                () -> probe.gather(8),
                () -> probe.attentionReads(256),
                () -> probe.attentionPairs(256, 64),
                () -> probe.feedForward(8),
                () -> probe.head(8),
                () -> probe.attentionReads(4, 32),
                () -> probe.decode(2, 128));
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
    void findsTheRateOfTheLinkAndCurvesOfSeveralPoints() {
        HardwareProfile profile = new HardwareProfiler(PATIENCE)
                .measure(device, weights, geometry, memory)
                .profile();
        // Wide, since a machine under load may be late; but a unit that is wrong by 8 or 1000 would show.
        assertThat(profile.linkBytesPerSecond()).isBetween(0.2e9, 0.6e9);
        assertThat(profile.linkOut().unitsPerSecond()).isBetween(0.2e9, 0.6e9);
        for (Curve curve :
                new Curve[] {profile.keyValues(), profile.project(), profile.feedForward(), profile.attentionReads()}) {
            assertThat(curve.points()).hasSizeGreaterThan(3);
            assertThat(curve.nanos(64)).isGreaterThan(curve.nanos(1));
        }
        for (Curve link : new Curve[] {profile.linkIn(), profile.linkOut()}) {
            assertThat(link.nanos(4096) / 4096).isGreaterThanOrEqualTo(0.999e9 / link.unitsPerSecond());
        }
        assertThat(profile.handoffNanos()).isPositive();
        assertThat(profile.launchNanos()).isPositive();
        // Its kernels are no faster side by side with copies, and each sequence has a row of its own.
        assertThat(profile.linkContentionFactor()).isBetween(1.0, 3.0);
        assertThat(profile.shortSequenceNanos())
                .isLessThan(profile.attentionReads().nanos(1024));
        assertThat(profile.graphGain().points()).extracting(Curve.Point::size).startsWith(1L, 8L);
    }

    @Test
    void theLinkAsItIsNowTakesThePlaceOfOneThatIsKnown() {
        HardwareProfile known = TestProfiles.small();
        HardwareProfile now = new HardwareProfiler(PATIENCE)
                .linkMeter(device, weights, geometry, memory)
                .apply(known);
        assertThat(now.linkBytesPerSecond()).isBetween(0.2e9, 0.6e9);
        assertThat(now.linkOut().unitsPerSecond() / now.linkBytesPerSecond())
                .isCloseTo(known.linkOut().unitsPerSecond() / known.linkBytesPerSecond(), within(1e-9));
        assertThat(now.keyValues()).isEqualTo(known.keyValues());
    }

    @Test
    void aKeptProfileIsReadAndNotMeasuredAgain() {
        HardwareProfiler first = new HardwareProfiler(PATIENCE);
        assertThat(first.current()).isEmpty();
        HardwareProfile measured = first.profile(device, weights, geometry, memory, directory);
        assertThat(first.current()).containsSame(measured);
        HardwareProfiler second = new HardwareProfiler(PATIENCE);
        // Two measurements are never equal to the nanosecond.
        assertThat(second.profile(device, weights, geometry, memory, directory)).isEqualTo(measured);
        assertThat(second.current()).contains(measured);
        CacheGeometry other = new CacheGeometry(files.architecture().dimensions(), 4, 16, 128);
        assertThat(new HardwareProfiler(PATIENCE).profile(device, weights, other, memory, directory))
                .isNotEqualTo(measured);
    }

    @Test
    void whatWasMeasuredBeforeKernelsWereSteadyIsNotKept() {
        HardwareProfile measured =
                new HardwareProfiler(Duration.ZERO).profile(device, weights, geometry, memory, directory);
        assertThat(directory).isEmptyDirectory();
        assertThat(new HardwareProfiler(Duration.ZERO).profile(device, weights, geometry, memory, directory))
                .isNotEqualTo(measured);
    }

    @Test
    void whatAStartHasMeasuredIsForStartsOnly() {
        HardwareProfile kept = TestProfiles.small();
        new ProfileStore(directory.resolve("start")).save(StoredProfile.of(device, geometry, kept));
        assertThat(new HardwareProfiler().profile(device, weights, geometry, memory, directory))
                .isEqualTo(kept);
        assertThat(new HardwareProfiler(Duration.ZERO).profile(device, weights, geometry, memory, directory))
                .isNotEqualTo(kept);
    }

    @Test
    void onlyAStartThatHasToMeasureWaits() {
        AtomicInteger waits = new AtomicInteger();
        HardwareProfile measured = new HardwareProfiler(waits::incrementAndGet)
                .profile(device, weights, geometry, memory, directory.resolve("none"));
        assertThat(waits).hasValue(1);
        new ProfileStore(directory).save(StoredProfile.of(device, geometry, measured));
        new HardwareProfiler(waits::incrementAndGet).profile(device, weights, geometry, memory, directory);
        assertThat(waits).hasValue(1);
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
        HardwareProfile measured = new HardwareProfiler(PATIENCE).profile(device, weights, geometry, memory, directory);
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
        HardwareProfile measured =
                new HardwareProfiler(PATIENCE).profile(device, weights, geometry, memory, file.resolve("profiles"));
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
