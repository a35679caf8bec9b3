package io.weft.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.plan.Schedule;
import io.weft.profile.HardwareProfiler;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weft bench}: measures decode steps. */
@Command(
        name = "bench",
        description = "Measure decode steps of each schedule, next to what the simulator predicts.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class BenchCommand implements Callable<Integer> {
    /** A benchmark may wait for kernels that no longer get faster. */
    private static final Duration PROFILING_TIME = Duration.ofSeconds(5);

    @Mixin
    @SuppressWarnings("UnusedVariable") // its setters are what counts
    private final CommonOptions common = new CommonOptions();

    @Option(
            names = "--preset",
            order = 18,
            paramLabel = "NAME",
            description = "A well-known model's shape: opt-1.3b, opt-6.7b, opt-13b, opt-30b, llama-2-7b, llama-3-8b.")
    private String preset = "";

    @Option(
            names = "--random-weights",
            order = 19,
            description = "Build the preset's weights on the device, without files.")
    private boolean randomWeights;

    @Option(
            names = "--schedules",
            order = 20,
            split = ",",
            paramLabel = "NAME",
            defaultValue = "resident,full-transfer,kvpr,chunked",
            description = "Schedules to measure, with commas between. Default: ${DEFAULT-VALUE}.")
    private List<String> schedules = List.of();

    @Option(
            names = "--batch",
            order = 21,
            paramLabel = "N",
            defaultValue = "4",
            description = "Sequences. Default: ${DEFAULT-VALUE}.")
    private int batch;

    @Option(
            names = "--prompt",
            order = 22,
            paramLabel = "N",
            defaultValue = "512",
            description = "Prompt tokens of each sequence. Default: ${DEFAULT-VALUE}.")
    private int promptTokens;

    @Option(
            names = "--generate",
            order = 23,
            paramLabel = "N",
            defaultValue = "16",
            description = "Tokens to generate for each sequence. Default: ${DEFAULT-VALUE}.")
    private int generatedTokens;

    @Option(names = "--json", order = 24, paramLabel = "FILE", description = "Write the figures to this file as well.")
    private Path json = Path.of("");

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        choosePreset();
        requireWithin("--batch", batch, 1, 4096);
        requireWithin("--prompt", promptTokens, 1, 1 << 24);
        requireWithin("--generate", generatedTokens, 2, 1 << 20);
        List<Schedule> chosen = schedules.stream().map(this::schedule).toList();
        Settings settings = CommonOptions.settings().forBatch(batch, OptionalInt.of(promptTokens + generatedTokens));
        PrintWriter out = spec.commandLine().getOut();
        List<BenchReport> reports = new ArrayList<>();
        try (Progress progress = new Progress(spec.commandLine().getErr());
                Assembly assembly = Assembly.load(settings, new HardwareProfiler(PROFILING_TIME), progress::show)) {
            out.print(assembly.budget());
            for (Schedule schedule : chosen) {
                reports.add(measure(assembly, schedule, progress));
            }
        }
        out.print(BenchReport.table(reports));
        out.flush();
        if (!json.toString().isEmpty()) {
            write(reports);
        }
        return 0;
    }

    private void choosePreset() {
        if (preset.isEmpty()) {
            return;
        }
        if (!ModelPreset.labels().contains(preset)) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--preset is \"" + preset + "\", must be one of " + String.join(", ", ModelPreset.labels()));
        }
        if (!randomWeights) {
            throw new ParameterException(
                    spec.commandLine(), "--preset has no files: add --random-weights, or give --model a directory");
        }
        CommonOptions.set("weft.model", ModelSource.RANDOM + preset);
    }

    private BenchReport measure(Assembly assembly, Schedule schedule, Progress progress) {
        Bench.Load load = new Bench.Load(batch, promptTokens, generatedTokens);
        try (Bench bench = new Bench(
                assembly.runtime(Settings.ScheduleChoice.of(schedule)),
                load,
                assembly::predictedNanos,
                progress::show)) {
            return bench.run(schedule.label(), assembly.deviceName());
        }
    }

    private Schedule schedule(String label) {
        for (Schedule schedule : Schedule.values()) {
            if (schedule.label().equals(label)) {
                return schedule;
            }
        }
        throw new ParameterException(
                spec.commandLine(),
                "--schedules has \"" + label + "\", must be of resident, full-transfer, kvpr, chunked");
    }

    private void requireWithin(String flag, int value, int least, int most) {
        if (value < least || value > most) {
            throw new ParameterException(
                    spec.commandLine(), flag + " is " + value + ", must be from " + least + " to " + most);
        }
    }

    private void write(List<BenchReport> reports) throws IOException {
        new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(json.toFile(), reports);
    }
}
