package io.weft.cli;

import io.weft.app.SettingReader;
import io.weft.app.Settings;
import io.weft.model.ModelInspection;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.model.PresetWeights;
import io.weft.model.WeightBits;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.whatif.PlanExplanation;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.plan.whatif.WhatIf;
import io.weft.profile.ProfileStore;
import io.weft.profile.ProfileStore.StoredProfile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weft plan}: what a model would do on a machine. Starts no device. */
@Command(
        name = "plan",
        description = "Predict what a model does on a machine, which need not be there: memory by part, tokens by form,"
                + " the step, what binds, and the alternatives.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class PlanCommand implements Callable<Integer> {
    @Option(
            names = "--preset",
            order = 1,
            paramLabel = "NAME",
            description = "A well-known model's shape: " + WeightsOption.PRESETS + ".")
    private @Nullable String preset;

    @Option(
            names = "--weights",
            order = 1,
            paramLabel = "NAME",
            description = "How the preset's weights are stored: bf16, fp16, fp8 or int4. Default: fp16.")
    private @Nullable String weights;

    @Option(
            names = "--model",
            order = 2,
            paramLabel = "DIR|demo",
            description = "Directory of a Hugging Face model, or the model that is built in, instead of a preset."
                    + " Default: the model that would be served.")
    private @Nullable String model;

    @Option(
            names = "--batch",
            order = 3,
            paramLabel = "N",
            defaultValue = "16",
            description = "Sequences. Default: ${DEFAULT-VALUE}.")
    private int batch;

    @Option(
            names = "--context",
            order = 4,
            paramLabel = "N",
            defaultValue = "2048",
            description = "Cached tokens of each sequence. Default: ${DEFAULT-VALUE}.")
    private int contextTokens;

    @Option(
            names = "--hardware",
            order = 5,
            paramLabel = "NAME",
            description = "A machine by its public figures: a100-40g, h100, rtx-4090, l40s, t4, h200. Default: what was"
                    + " measured here with the model, else h200.")
    private @Nullable String hardware;

    @Option(
            names = "--profile",
            order = 6,
            paramLabel = "FILE",
            description = "A machine by what was measured on it: a file of weft profile --save.")
    private @Nullable Path profile;

    @Option(
            names = {"--gpu-memory", "--device-memory"},
            order = 7,
            paramLabel = "SIZE",
            description = "Device memory for everything, such as 24GB. Default: the machine's.")
    private @Nullable String gpuMemory;

    @Option(
            names = "--host-memory",
            order = 8,
            paramLabel = "SIZE",
            description = "Host memory for the cache. Default: the measured machine's, else 128GB.")
    private @Nullable String hostMemory;

    @Option(
            names = "--link-gbps",
            order = 9,
            paramLabel = "RATE",
            description = "Rate of large copies between host and device, 10^9 bytes a second each way.")
    private @Nullable Double linkGigabytesPerSecond;

    @Option(
            names = "--tflops",
            order = 10,
            paramLabel = "RATE",
            description = "Peak of dense 16-bit matrix products, 10^12 operations a second.")
    private @Nullable Double teraflops;

    @Option(
            names = "--forms",
            order = 11,
            split = ",",
            paramLabel = "FORM",
            description = "Use these forms of the cache only, with commas between: host_ or device_, and kv, act,"
                    + " packed_kv or packed_act, such as host_packed_kv; or the name of a lossy encoding.")
    private List<String> forms = List.of();

    @Option(
            names = "--cache-encoding",
            order = 12,
            paramLabel = "exact|fp8|int8|int4",
            description = "How full blocks of the cache are stored. Default: weft.cache-encoding, else exact.")
    void encoding(String label) {
        SettingFlags.setCacheEncoding(spec, label);
    }

    @Option(names = "--json", order = 13, description = "Print JSON.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        requireWithin("--batch", batch, WhatIf.BATCH_MOST);
        requireWithin("--context", contextTokens, WhatIf.CONTEXT_MOST);
        requireAlone("--preset", preset, "--model", model);
        if (weights != null && preset == null) {
            throw wrong("--weights is \"%s\", but there is no --preset: a model's files say how they are stored"
                    .formatted(weights));
        }
        requireAlone("--hardware", hardware, "--profile", profile);
        PlanQuestion question = new PlanQuestion(
                batch,
                contextTokens,
                size("--gpu-memory", gpuMemory, 1),
                size("--host-memory", hostMemory, 0),
                rate("--link-gbps", linkGigabytesPerSecond, PlanQuestion.LINK_GIGABYTES_PER_SECOND_MOST, 1e9),
                rate("--tflops", teraflops, PlanQuestion.TERAFLOPS_MOST, 1e12),
                forms);
        PlanExplanation explanation;
        KnownMachine known;
        try {
            Asked asked = asked();
            known = asked.machine();
            explanation = question.about(known.geometry(), asked.weights(), known.machine())
                    .explain();
        } catch (IllegalArgumentException e) {
            throw wrong(e.getMessage() == null ? e.toString() : e.getMessage());
        }
        PrintWriter out = spec.commandLine().getOut();
        out.print(
                json
                        ? PlanJson.text(explanation)
                        : PlanTable.of(name(), known.geometry().policy(), explanation, known.source(), remarks(known)));
        out.flush();
        return 0;
    }

    private List<String> remarks(KnownMachine known) {
        return hostMemory == null ? known.remarks("--host-memory was not given: ") : known.remarks();
    }

    private String name() {
        return preset != null ? preset : source();
    }

    private String source() {
        return model != null ? model : Settings.current().model().source();
    }

    /** What is asked: a machine, and the weights of the model there. */
    private record Asked(KnownMachine machine, WeightBits weights) {}

    private Asked asked() throws IOException {
        if (profile != null) {
            StoredProfile stored = read(profile);
            if (preset == null && model == null) {
                return new Asked(
                        KnownMachine.ofFile(profile, stored, stored.geometry().dimensions()), WeightBits.PLAIN);
            }
            ModelInspection inspected = inspected();
            return new Asked(KnownMachine.ofFile(profile, stored, inspected.dimensions()), inspected.weightBits());
        }
        Optional<HardwarePreset> named = Optional.ofNullable(hardware).map(HardwarePreset::of);
        ModelInspection inspected = inspected();
        return new Asked(
                named.map(machine -> KnownMachine.named(inspected.dimensions(), machine))
                        .orElseGet(() -> KnownMachine.here(inspected.dimensions())),
                inspected.weightBits());
    }

    private static StoredProfile read(Path file) throws IOException {
        try {
            return ProfileStore.read(file);
        } catch (IOException e) {
            throw new IOException("--profile " + file + ": " + e.getMessage(), e);
        }
    }

    private ModelInspection inspected() {
        return ModelInspection.of(
                preset == null
                        ? ModelSource.parse(source())
                        : new ModelSource.Random(
                                ModelPreset.of(preset),
                                WeightsOption.parse(spec, weights == null ? PresetWeights.FP16.label() : weights)));
    }

    private OptionalLong size(String flag, @Nullable String text, long least) {
        if (text == null) {
            return OptionalLong.empty();
        }
        OptionalLong bytes = SettingReader.size(text);
        if (bytes.isEmpty()) {
            throw wrong("%s is \"%s\", must be %s".formatted(flag, text, SettingReader.SIZE_ALLOWED));
        }
        if (bytes.getAsLong() < least || bytes.getAsLong() > PlanQuestion.MEMORY_BYTES_MOST) {
            throw wrong("%s is \"%s\", must be from %d byte(s) to 1 PiB".formatted(flag, text, least));
        }
        return bytes;
    }

    private OptionalDouble rate(String flag, @Nullable Double value, int most, double unit) {
        if (value == null) {
            return OptionalDouble.empty();
        }
        if (!(value > 0) || value > most) {
            throw wrong("%s is %s, must be above 0, at most %d".formatted(flag, value, most));
        }
        return OptionalDouble.of(value * unit);
    }

    private void requireWithin(String flag, int value, int most) {
        if (value < 1 || value > most) {
            throw wrong("%s is %d, must be from 1 to %d".formatted(flag, value, most));
        }
    }

    private void requireAlone(String flag, @Nullable Object value, String otherFlag, @Nullable Object otherValue) {
        if (value != null && otherValue != null) {
            throw wrong("%s is \"%s\", but %s is given, too: one of them".formatted(flag, value, otherFlag));
        }
    }

    private ParameterException wrong(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
