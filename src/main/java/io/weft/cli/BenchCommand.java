package io.weft.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.weft.app.Assembly;
import io.weft.app.Settings;
import io.weft.app.Settings.ScheduleChoice;
import io.weft.app.Version;
import io.weft.bench.Bench;
import io.weft.bench.Bench.Load;
import io.weft.bench.Bench.Setting;
import io.weft.bench.BenchHistory;
import io.weft.bench.BenchReport;
import io.weft.bench.DrivenDrafts;
import io.weft.model.CacheForm;
import io.weft.model.CachePolicy;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.observe.ChromeTrace;
import io.weft.observe.ObservedStep;
import io.weft.plan.prediction.CostModel;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.profile.HardwareProfiler;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weft bench}: measures decode steps. */
@Command(
        name = "bench",
        description = "Measure decode steps of each schedule, next to what the simulator predicts.",
        mixinStandardHelpOptions = true,
        modelTransformer = SettingFlags.Engine.class,
        sortOptions = false)
final class BenchCommand implements Callable<Integer> {
    /** A benchmark may wait until kernels no longer become faster. */
    private static final Duration PROFILING_TIME = Duration.ofSeconds(15);

    private static final int BATCH_DEFAULT = 4;
    private static final int PROMPT_DEFAULT = 512;
    private static final int WARM_UP_SECONDS_MOST = 600;
    private static final int DRAFTS_MOST = 16;
    private static final Pattern LOAD = Pattern.compile("(\\d{1,9})x(\\d{1,9})");

    @Option(
            names = "--preset",
            order = 18,
            paramLabel = "NAME",
            description = "A well-known model's shape: " + WeightsOption.PRESETS + ".")
    private String preset = "";

    @Option(
            names = "--random-weights",
            order = 19,
            description = "Build the preset's weights on the device, without files.")
    private boolean randomWeights;

    @Option(
            names = "--weights",
            order = 19,
            paramLabel = "NAME",
            defaultValue = "fp16",
            description = WeightsOption.DESCRIPTION)
    private String weights = "";

    @Option(
            names = "--schedules",
            order = 20,
            split = ",",
            paramLabel = "NAME",
            defaultValue = "resident,full-transfer,kvpr,chunked",
            description =
                    "Schedules to measure, with commas between: resident, full-transfer, kvpr, chunked, or auto, which"
                            + " places all sequences as the optimiser has it. Default: ${DEFAULT-VALUE}.")
    private List<String> schedules = List.of();

    @Option(
            names = "--device-cache",
            order = 21,
            split = ",",
            paramLabel = "PERCENT",
            description = "Device memory that auto may use for the cache, in per cent of what K and V of the load take,"
                    + " with commas between: each is measured. Default: all that there is.")
    private List<Integer> deviceCachePercents = List.of();

    @Option(
            names = "--forms",
            order = 22,
            paramLabel = "FORM,...",
            description = "Forms of the cache that auto may use, with commas between: host_ or device_, and kv, act,"
                    + " packed_kv or packed_act, such as host_packed_kv; or the name of a lossy encoding. May be given several times: each is measured."
                    + " Default: all.")
    private List<String> forms = List.of();

    @Option(names = "--batch", order = 23, paramLabel = "N", description = "Sequences. Default: " + BATCH_DEFAULT + ".")
    private @Nullable Integer batch;

    @Option(
            names = "--prompt",
            order = 24,
            paramLabel = "N",
            description = "Prompt tokens of each sequence. Default: " + PROMPT_DEFAULT + ".")
    private @Nullable Integer promptTokens;

    @Option(
            names = "--loads",
            order = 25,
            split = ",",
            paramLabel = "NxM",
            description = "Several loads instead of --batch and --prompt: N sequences of M prompt tokens, with commas"
                    + " between. Each is planned as if it were the only one.")
    private List<String> loads = List.of();

    @Option(
            names = "--generate",
            order = 26,
            paramLabel = "N",
            defaultValue = "16",
            description = "Tokens to generate for each sequence. Default: ${DEFAULT-VALUE}.")
    private int generatedTokens;

    @Option(
            names = "--drafts",
            order = 26,
            split = ",",
            paramLabel = "N",
            defaultValue = "0",
            description = "Drafted tokens that a step checks for each sequence, with commas between: each is measured."
                    + " Default: ${DEFAULT-VALUE}.")
    private List<Integer> drafts = List.of();

    @Option(
            names = "--accepted",
            order = 26,
            paramLabel = "N",
            defaultValue = "1.6",
            description = "How many of these are accepted, mean, whatever the model says; no more than there are."
                    + " Default: ${DEFAULT-VALUE}.")
    private double accepted;

    @Option(
            names = "--warm-up",
            order = 27,
            paramLabel = "SECONDS",
            defaultValue = "2",
            description =
                    "Decode for so long, each setting, before the first step that is measured: the code that issues"
                            + " steps is compiled meanwhile. Default: ${DEFAULT-VALUE}.")
    private int warmUpSeconds;

    @Option(names = "--json", order = 28, paramLabel = "FILE", description = "Write the figures to this file as well.")
    private Path json = Path.of("");

    @Option(
            names = "--history",
            order = 30,
            paramLabel = "FILE",
            description =
                    "Add a line with the commit, the date, the device, the settings and their tokens/s to this file,"
                            + " such as docs/benchmarks/history.jsonl.")
    private @Nullable Path history;

    @Option(
            names = "--commit",
            order = 31,
            paramLabel = "ID",
            description = "The commit that --history notes. Default: the one that was built, if the build knows it.")
    private @Nullable String commit;

    @Option(
            names = "--trace",
            order = 29,
            paramLabel = "FILE",
            description =
                    "Write when the stages of one step of each setting ran, and when they should have, for Perfetto.")
    private Path trace = Path.of("");

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        choosePreset();
        requireWithin("--generate", generatedTokens, 2, 1 << 20);
        drafts.forEach(count -> requireWithin("--drafts", count, 0, Math.min(DRAFTS_MOST, generatedTokens - 2)));
        if (!(accepted >= 0 && accepted <= DRAFTS_MOST)) {
            throw wrong("--accepted is " + accepted + ", must be from 0 to " + DRAFTS_MOST);
        }
        requireWithin("--warm-up", warmUpSeconds, 0, WARM_UP_SECONDS_MOST);
        Optional<String> measuredCommit = measuredCommit();
        List<Load> chosenLoads = loads();
        List<Setting> settings = chosenLoads.stream()
                .flatMap(load -> settings(load).stream())
                .flatMap(setting ->
                        drafts.stream().map(count -> setting.with(new DrivenDrafts(count, Math.min(accepted, count)))))
                .toList();
        Settings largest = Settings.current()
                .forBatch(
                        chosenLoads.stream().mapToInt(Load::batch).max().orElseThrow(),
                        chosenLoads.stream().mapToInt(Load::contextTokens).max(),
                        chosenLoads.stream().mapToLong(Load::totalTokens).max());
        PrintWriter out = spec.commandLine().getOut();
        List<BenchReport> reports = new ArrayList<>();
        List<ObservedStep> observed = new ArrayList<>();
        try (Progress progress = new Progress(spec.commandLine().getErr());
                Assembly assembly = Assembly.load(largest, new HardwareProfiler(PROFILING_TIME), progress::show)) {
            out.print(assembly.budget());
            Supplier<CostModel> costs = assembly.costsWithLinkNow();
            for (Setting setting : settings) {
                // Predictions use the current rate of the link, which on a shared link changes within a minute.
                try (Bench bench =
                        new Bench(assembly, costs.get(), setting, Duration.ofSeconds(warmUpSeconds), progress::show)) {
                    Optional<BenchReport> report = bench.run();
                    report.ifPresent(reports::add);
                    bench.lastObserved().ifPresent(observed::add);
                    if (report.isEmpty()) {
                        progress.clear();
                        out.println("left out: " + bench.tooLarge());
                    }
                }
                // A long run that is stopped leaves its measurements.
                write(json, reports);
            }
        }
        write(trace, ChromeTrace.of(observed));
        if (history != null && measuredCommit.isPresent() && !reports.isEmpty()) {
            BenchHistory.append(
                    history, BenchHistory.Run.of(measuredCommit.get(), LocalDate.now(ZoneOffset.UTC), reports));
        }
        out.print(BenchReport.table(reports));
        out.flush();
        return reports.isEmpty() ? 1 : 0;
    }

    /** What the history notes; empty if it notes nothing. Wrong before anything is measured. */
    private Optional<String> measuredCommit() {
        if (history == null) {
            if (commit != null) {
                throw wrong("--commit is given, but --history is not");
            }
            return Optional.empty();
        }
        String chosen = Optional.ofNullable(commit)
                .or(Version::commit)
                .orElseThrow(() -> wrong(
                        "--history needs the commit, and this build does not know its own: give it with --commit"));
        try {
            BenchHistory.requireCommit(chosen);
        } catch (IllegalArgumentException e) {
            throw wrong("--history: " + e.getMessage());
        }
        return Optional.of(chosen);
    }

    private List<Load> loads() {
        if (loads.isEmpty()) {
            return List.of(load(
                    "--batch",
                    Objects.requireNonNullElse(batch, BATCH_DEFAULT),
                    "--prompt",
                    Objects.requireNonNullElse(promptTokens, PROMPT_DEFAULT)));
        }
        if (batch != null || promptTokens != null) {
            throw wrong("--loads is given, but --batch or --prompt is, too: one of them");
        }
        return loads.stream().map(this::load).toList();
    }

    private Load load(String text) {
        Matcher matcher = LOAD.matcher(text);
        if (!matcher.matches()) {
            throw wrong("--loads has \"" + text + "\", must be sequences x prompt tokens, such as 8x1024");
        }
        return load(
                "--loads: sequences",
                Integer.parseInt(matcher.group(1)),
                "--loads: prompt",
                Integer.parseInt(matcher.group(2)));
    }

    private Load load(String batchFlag, int sequences, String promptFlag, int tokens) {
        requireWithin(batchFlag, sequences, 1, 4096);
        requireWithin(promptFlag, tokens, 1, 1 << 24);
        return new Load(sequences, tokens, generatedTokens);
    }

    private List<Setting> settings(Load load) {
        List<ScheduleChoice> chosen = schedules.stream().map(this::schedule).toList();
        if (!chosen.contains(ScheduleChoice.AUTO) && !(deviceCachePercents.isEmpty() && forms.isEmpty())) {
            throw wrong("--device-cache and --forms are for the schedule auto, but --schedules is "
                    + String.join(",", schedules));
        }
        return chosen.stream()
                .flatMap(schedule -> switch (schedule) {
                    case AUTO -> automatic(load).stream();
                    case RESIDENT, FULL_TRANSFER, KVPR, CHUNKED -> Stream.of(Setting.of(load, schedule));
                })
                .toList();
    }

    private List<Setting> automatic(Load load) {
        List<OptionalInt> percents = deviceCachePercents.isEmpty()
                ? List.of(OptionalInt.empty())
                : deviceCachePercents.stream().map(OptionalInt::of).toList();
        deviceCachePercents.forEach(percent -> requireWithin("--device-cache", percent, 0, 100));
        List<Setting> settings = new ArrayList<>();
        for (Set<CacheForm> allowed : forms()) {
            for (OptionalInt percent : percents) {
                settings.add(new Setting(load, ScheduleChoice.AUTO, percent, allowed));
            }
        }
        return settings;
    }

    private List<Set<CacheForm>> forms() {
        CachePolicy policy = Settings.current().cache().encoding().policy();
        try {
            return forms.isEmpty()
                    ? List.of(new TreeSet<>(policy.forms()))
                    : forms.stream()
                            .map(list -> PlanQuestion.forms(List.of(list.split(",", -1)), policy))
                            .toList();
        } catch (IllegalArgumentException e) {
            throw wrong("--" + e.getMessage());
        }
    }

    private void choosePreset() {
        if (preset.isEmpty()) {
            return;
        }
        if (!ModelPreset.labels().contains(preset)) {
            throw wrong("--preset is \"" + preset + "\", must be one of " + String.join(", ", ModelPreset.labels()));
        }
        if (!randomWeights) {
            throw wrong("--preset has no files: add --random-weights, or give --model a directory");
        }
        SettingFlags.set("weft.model", ModelSource.random(preset, WeightsOption.parse(spec, weights)));
    }

    private ScheduleChoice schedule(String label) {
        return Arrays.stream(ScheduleChoice.values())
                .filter(schedule -> schedule.label().equals(label))
                .findFirst()
                .orElseThrow(() -> wrong("--schedules has \"" + label + "\", must be of "
                        + Arrays.stream(ScheduleChoice.values())
                                .map(ScheduleChoice::label)
                                .collect(Collectors.joining(", "))));
    }

    private void requireWithin(String flag, int value, int least, int most) {
        if (value < least || value > most) {
            throw wrong(flag + " is " + value + ", must be from " + least + " to " + most);
        }
    }

    private ParameterException wrong(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    private static void write(Path file, Object figures) throws IOException {
        if (!file.toString().isEmpty()) {
            new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), figures);
        }
    }
}
