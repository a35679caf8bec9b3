package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.app.Assembly;
import io.weft.app.Settings;
import io.weft.app.Settings.ScheduleChoice;
import io.weft.bench.Bench;
import io.weft.bench.Bench.Load;
import io.weft.bench.Bench.Setting;
import io.weft.bench.BenchHistory;
import io.weft.bench.BenchReport;
import io.weft.bench.DrivenDrafts;
import io.weft.device.Device;
import io.weft.model.CacheForm;
import io.weft.model.CacheGeometry;
import io.weft.model.CachePolicy;
import io.weft.model.ModelWeights;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.prediction.CostModel;
import io.weft.profile.HardwareProfiler;
import io.weft.profile.ProfileStore;
import io.weft.profile.ProfileStore.StoredProfile;
import io.weft.profile.ProfilingMemory;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code weft bench} on the CPU device with the demo model. What steps take is not looked at. */
class BenchCommandTest {
    /** Flags are settings, and settings are system properties. */
    private static final Map<String, String> PROPERTIES = Map.of(
            "weft.device", "cpu",
            "weft.model", "demo",
            "weft.device-memory", "200MB",
            "weft.host-memory", "200MB",
            "weft.cpu.link-gbps", "0.5");

    private static final Load SMALL = new Load(1, 64, 4);
    private static final Load LARGE = new Load(3, 90, 4);

    @TempDir
    static Path directory;

    private static Assembly assembly;

    @BeforeAll
    static void load() {
        PROPERTIES.forEach(System::setProperty);
        System.setProperty("weft.profile-directory", directory.toString());
        Settings settings = Settings.current()
                .forBatch(3, OptionalInt.of(LARGE.contextTokens()), OptionalLong.of(LARGE.totalTokens()));
        assembly = Assembly.load(settings, new KnownMachine(), progress -> {});
    }

    /** Whatever this machine is, its profile is that of a T4, which commands then find. */
    private static final class KnownMachine extends HardwareProfiler {
        @Override
        public HardwareProfile profile(
                Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory, Path directory) {
            HardwareProfile known = HardwarePreset.T4.spec().profile(geometry);
            new ProfileStore(directory).save(StoredProfile.of(device, geometry, known));
            return super.profile(device, weights, geometry, memory, directory);
        }
    }

    @AfterAll
    static void close() {
        // It needs most of the cache: no test has left anything there.
        assertThat(report(Setting.of(LARGE, ScheduleChoice.RESIDENT))).isPresent();
        assembly.close();
        PROPERTIES.keySet().forEach(System::clearProperty);
        System.clearProperty("weft.profile-directory");
    }

    private static Optional<BenchReport> report(Setting setting) {
        return report(assembly.costs(), setting);
    }

    private static Optional<BenchReport> report(CostModel costs, Setting setting) {
        try (Bench bench = new Bench(assembly, costs, setting, Duration.ZERO, progress -> {})) {
            return bench.run();
        }
    }

    @Test
    void theBudgetSaysHowFastWeightsWereLoaded() {
        assertThat(assembly.budget())
                .containsPattern("(?m)^weights +[0-9.]+ MB +[0-9.]+ MB  loaded in [0-9.]+ s, [0-9.]+ GB/s$")
                .containsPattern("(?m)^workspace +[0-9.]+ MB +[0-9.]+ MB$");
    }

    @Test
    void predictionsAreOfTheLinkThatWasMeasuredBeforeTheSetting() {
        CostModel start = assembly.costs();
        CostModel slow = new CostModel(start.profile().withLinkTimes(100), start.geometry());
        Setting setting = Setting.of(LARGE, ScheduleChoice.FULL_TRANSFER);
        BenchReport report = report(slow, setting).orElseThrow();
        assertThat(report.linkBytesPerSecond()).isEqualTo(slow.profile().linkBytesPerSecond());
        // All that its link has to do takes a hundred times as long.
        assertThat(report.predictedStepMillis() * 1e6)
                .isGreaterThan(0.9 * slow.profile().linkIn().nanos((long) report.linkBytesPerStep()));
        assertThat(report.boundMillis())
                .isGreaterThan(report(setting).orElseThrow().boundMillis());
        assertThat(assembly.costsWithLinkNow().get().profile().keyValues())
                .isEqualTo(start.profile().keyValues());
    }

    private static BenchReport automatic(Load load, int deviceCachePercent, CacheForm... forms) {
        Setting setting =
                new Setting(load, ScheduleChoice.AUTO, OptionalInt.of(deviceCachePercent), CacheForm.setOf(forms));
        return report(setting).orElseThrow();
    }

    private static BenchReport automatic(Load load, int deviceCachePercent) {
        return automatic(load, deviceCachePercent, CacheForm.all().toArray(CacheForm[]::new));
    }

    private static long tokens(BenchReport report, CacheForm form) {
        return report.tokensByForm().getOrDefault(form.label(), 0L);
    }

    @ParameterizedTest
    @EnumSource(
            value = ScheduleChoice.class,
            names = {"FULL_TRANSFER", "KVPR", "CHUNKED", "RESIDENT"})
    void aScheduleUsesItsFormsOnly(ScheduleChoice schedule) {
        for (Load load : List.of(SMALL, LARGE)) {
            BenchReport report = report(Setting.of(load, schedule)).orElseThrow();
            assertThat(report.load()).isEqualTo(load.batch() + "x" + load.promptTokens());
            assertThat(report.deviceCachePercent()).isNull();
            Set<CacheForm> allowed = schedule.forms();
            long all = 0;
            for (CacheForm form : CacheForm.all()) {
                assertThat(tokens(report, form) == 0 || allowed.contains(form))
                        .as("%s: %s", form, report)
                        .isTrue();
                all += tokens(report, form);
            }
            int blockTokens = 16;
            int cached = load.contextTokens() - 1;
            assertThat(all).isEqualTo((long) load.batch() * (cached / blockTokens) * blockTokens);
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 64", "3, 90"})
    void withoutDeviceMemoryAutoIsChunked(int batch, int promptTokens) {
        Load load = new Load(batch, promptTokens, 4);
        BenchReport chunked = report(Setting.of(load, ScheduleChoice.CHUNKED)).orElseThrow();
        BenchReport automatic = automatic(load, 0);
        // The programme counts the upload of the step's index, which may move one block of a sequence.
        for (CacheForm form : CacheForm.all()) {
            assertThat((double) tokens(automatic, form))
                    .as("%s", form)
                    .isCloseTo(tokens(chunked, form), within(16.0 * batch));
        }
        assertThat(automatic.boundMillis()).isEqualTo(chunked.boundMillis());
    }

    @Test
    void withRoomForAllAutoIsResident() {
        for (BenchReport report : List.of(
                automatic(LARGE, 100),
                report(new Setting(LARGE, ScheduleChoice.AUTO, OptionalInt.empty(), new TreeSet<>(CacheForm.all())))
                        .orElseThrow())) {
            assertThat(tokens(report, CacheForm.DEVICE_KV))
                    .isEqualTo(report.tokensByForm().values().stream()
                            .mapToLong(tokens -> tokens)
                            .sum());
            assertThat(report.linkBytesPerStep()).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 10, 25, 50, 75, 99, 100})
    void theDeviceHoldsNoMoreThanItMay(int percent) {
        BenchReport report = automatic(LARGE, percent);
        double keyValues = tokens(report, CacheForm.DEVICE_KV);
        double activations = tokens(report, CacheForm.DEVICE_ACT);
        // Shares become whole blocks: of every form perhaps one more a sequence.
        double spare = 2 * 16 * LARGE.batch();
        assertThat(keyValues + activations / 2).isLessThanOrEqualTo(percent * LARGE.totalTokens() / 100.0 + spare);
        assertThat(report.deviceCachePercent()).isEqualTo(percent);
    }

    @Test
    void moreMemoryOrMoreFormsNeverMakeTheBoundLonger() {
        List<Double> bounds = new ArrayList<>();
        for (int percent : List.of(0, 25, 50, 100)) {
            BenchReport all = automatic(LARGE, percent);
            BenchReport keyValues = automatic(LARGE, percent, CacheForm.DEVICE_KV, CacheForm.HOST_KV);
            assertThat(all.boundMillis()).isLessThanOrEqualTo(keyValues.boundMillis() * (1 + 1e-9));
            assertThat(tokens(keyValues, CacheForm.DEVICE_ACT) + tokens(keyValues, CacheForm.HOST_ACT))
                    .isZero();
            assertThat(keyValues.forms()).containsExactly("device_kv", "host_kv");
            bounds.add(all.boundMillis());
        }
        assertThat(bounds.reversed()).isSorted();
    }

    @Test
    void aLoadIsPlannedAsIfItWereTheOnlyOne() {
        Settings alone = Settings.current()
                .forBatch(SMALL.batch(), OptionalInt.of(SMALL.contextTokens()), OptionalLong.of(SMALL.totalTokens()));
        try (Assembly small = Assembly.load(alone, new KnownMachine(), progress -> {})) {
            for (ScheduleChoice schedule : ScheduleChoice.values()) {
                var there = small.runtime(schedule).planning().get();
                var here = assembly.runtime(
                                schedule,
                                assembly.costs(),
                                assembly.limits().withLoad(SMALL.batch(), SMALL.contextTokens()))
                        .planning()
                        .get();
                assertThat(here.planner())
                        .as("%s", schedule)
                        .usingRecursiveComparison()
                        .isEqualTo(there.planner());
            }
        }
    }

    @Test
    void whatDoesNotFitIsLeftOut() {
        assertThat(report(Setting.of(new Load(4, 4096, 4), ScheduleChoice.CHUNKED)))
                .as("longer than the model's context")
                .isEmpty();
        assertThat(report(new Setting(
                        LARGE, ScheduleChoice.AUTO, OptionalInt.of(50), CacheForm.setOf(CacheForm.DEVICE_KV))))
                .as("half of the memory that it needs")
                .isEmpty();
    }

    @ParameterizedTest
    @EnumSource(
            value = ScheduleChoice.class,
            names = {"CHUNKED", "RESIDENT", "AUTO"})
    void acceptedDraftsCountAsTokens(ScheduleChoice schedule) {
        Load load = new Load(3, 64, 30);
        for (double accepted : List.of(0.0, 1.6, 3.0)) {
            BenchReport report = report(Setting.of(load, schedule).with(new DrivenDrafts(3, accepted)))
                    .orElseThrow();
            assertThat(report.drafts()).isEqualTo(3);
            assertThat(report.acceptedDrafts()).isCloseTo(accepted, within(0.5));
            assertThat(report.tokensPerPass()).isEqualTo(1 + report.acceptedDrafts());
            assertThat(report.tokensPerSecond()).isPositive();
            assertThat(report.predictedStepMillis()).isPositive();
        }
    }

    @Test
    void draftsForWhichThereIsNoMemoryAreLeftOut() {
        Load load = new Load(3, 64, 40);
        int most = assembly.limits().draftRows() / load.batch();
        try (Bench bench = new Bench(
                assembly,
                assembly.costs(),
                Setting.of(load, ScheduleChoice.CHUNKED).with(new DrivenDrafts(most + 1, 1)),
                Duration.ZERO,
                progress -> {})) {
            assertThat(bench.run()).isEmpty();
            assertThat(bench.tooLarge()).contains("drafts " + load.batch() * (most + 1) + " tokens in a step");
        }
    }

    @Test
    void oneRunMeasuresPlainStepsAndDrafts() throws IOException {
        Path json = directory.resolve("drafts.json");
        CommandRun run = CommandRun.run("bench --warm-up 0 --loads 2x64 --schedules full-transfer,chunked --drafts 0,2"
                + " --accepted 1 --generate 20 --json " + json);
        assertThat(run.error()).isEmpty();
        JsonNode reports = new ObjectMapper().readTree(json.toFile());
        assertThat(reports.findValues("drafts").stream().map(JsonNode::intValue))
                .containsExactly(0, 2, 0, 2);
        assertThat(run.out().lines().filter(line -> line.contains("a step of 2 drafts a sequence:")))
                .hasSize(2)
                .allMatch(line -> line.length() <= 120);
        assertThat(CommandRun.run("bench --drafts 3 --generate 4").error())
                .contains("--drafts is 3, must be from 0 to 2");
        assertThat(CommandRun.run("bench --accepted -1").error()).contains("--accepted is -1.0");
    }

    @Test
    void oneRunMeasuresAllSettings() throws IOException {
        Path json = directory.resolve("bench.json");
        Path history = directory.resolve("history.jsonl");
        CommandRun run =
                CommandRun.run("bench --warm-up 0 --loads 1x48,2x64 --schedules full-transfer,auto --device-cache 0,50"
                        + " --forms device_kv,host_kv --forms device_kv,host_act --generate 4 --json " + json
                        + " --commit 0123abcd --history " + history);
        assertThat(run.error()).isEmpty();
        assertThat(run.status()).isZero();
        JsonNode reports = new ObjectMapper().readTree(json.toFile());
        assertThat(reports).hasSize(2 * (1 + 2 * 2));
        for (JsonNode report : reports) {
            double predicted = report.get("predicted_step_millis").asDouble();
            double measured = report.get("step_millis_median").asDouble();
            assertThat(report.get("predicted_ratio").asDouble()).isCloseTo(predicted / measured, within(1e-9));
            assertThat(report.get("deviation_percent").asDouble())
                    .isCloseTo(100 * (predicted - measured) / measured, within(1e-6));
            assertThat(report.get("bound_millis").asDouble()).isPositive();
            assertThat(report.get("tokens_by_form").properties())
                    .hasSize(CachePolicy.EXACT.forms().size());
            assertThat(report.get("forms"))
                    .hasSizeLessThanOrEqualTo(CachePolicy.EXACT.forms().size());
            assertThat(report.get("load").asText())
                    .isEqualTo(report.get("batch").asInt() + "x"
                            + report.get("prompt_tokens").asInt());
        }
        BenchHistory.Run noted = BenchHistory.read(history).getFirst();
        assertThat(noted.commit()).isEqualTo("0123abcd");
        assertThat(noted.settings().stream().map(BenchHistory.Measured::tokensPerSecond))
                .containsExactlyElementsOf(reports.findValues("tokens_per_second").stream()
                        .map(JsonNode::doubleValue)
                        .toList());
        List<String> rows = run.out()
                .lines()
                .filter(line -> line.startsWith("1x48") || line.startsWith("2x64"))
                .toList();
        assertThat(rows).hasSize(reports.size());
        assertThat(run.out().lines()).allMatch(line -> line.length() <= 120);
        // Each load has its own full transfer to compare with.
        assertThat(rows)
                .filteredOn(row -> row.contains("full-transfer"))
                .hasSize(2)
                .allMatch(row -> row.endsWith("1.00"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--loads 8",
                "--loads 0x5",
                "--loads 4097x5",
                "--loads 8x1024 --batch 3",
                "--loads 8x1024 --prompt 3",
                "--schedules auto --device-cache 101",
                "--schedules auto --forms device_kw",
                "--schedules auto --forms host_fp8",
                "--schedules automatic",
                "--schedules chunked --device-cache 50",
                "--forms host_kv",
                "--generate 1",
                "--warm-up 601",
                "--prompt 0",
                "--commit 0123abcd",
                "--history x --commit main",
            })
    void wrongFlagsAreSaidInOneLine(String flags) {
        CommandRun run = CommandRun.run("bench " + flags);
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.out()).isEmpty();
        assertThat(run.error()).startsWith("weft: --").hasLineCount(1).doesNotContain("Exception");
    }
}
