package io.weft.cli;

import io.weft.app.Settings;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelInspection;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.model.WeightBits;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.whatif.MemoryBudget;
import io.weft.plan.whatif.PlanExplanation;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.plan.whatif.WhatIf;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code weft models inspect}: what a model is. Reads headers of files, and starts no device. */
@Command(
        name = "inspect",
        description =
                "Say what a model is, and what Weft would do with it: layers by group, parameters, bytes by"
                        + " encoding, whether recomputation pays, and plans for some loads. Reads no weights, starts no device.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class InspectCommand implements Callable<Integer> {
    private static final List<Integer> BATCHES = List.of(1, 16);
    private static final int SHORT_CONTEXT_TOKENS = 4096;

    @Parameters(
            arity = "0..1",
            paramLabel = "DIR|PRESET|demo",
            description = "Directory of a Hugging Face model, a well-known model's shape (weft plan --help lists them),"
                    + " or the model that is built in. Default: the model that would be served.")
    private String model = "";

    @Option(
            names = "--weights",
            order = 1,
            paramLabel = "NAME",
            description = "How a preset's weights are stored: bf16, fp16, fp8 or int4. Default: fp16.")
    private @Nullable String weights;

    @Option(
            names = "--hardware",
            order = 2,
            paramLabel = "NAME",
            description = "A machine by its public figures: a100-40g, h100, rtx-4090, l40s, t4, h200. Default: what was"
                    + " measured here with the model, else h200.")
    private @Nullable String hardware;

    @Option(
            names = "--cache-encoding",
            order = 3,
            paramLabel = "exact|fp8|int8|int4",
            description = "How full blocks of the cache are stored. Default: weft.cache-encoding, else exact.")
    void encoding(String label) {
        SettingFlags.setCacheEncoding(spec, label);
    }

    @Option(names = "--json", order = 4, description = "Print JSON.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        String name = model.isBlank() ? Settings.current().model().source() : model.strip();
        HardwarePreset machine = hardware == null ? null : named(hardware);
        ModelInspection inspection = ModelInspection.of(source(name));
        KnownMachine known = machine == null
                ? KnownMachine.here(inspection.dimensions())
                : KnownMachine.named(inspection.dimensions(), machine);
        ModelReport report = new ModelReport(
                name,
                inspection.summary(),
                cache(known.geometry()),
                known.source(),
                plans(known, inspection.weightBits()));
        PrintWriter out = spec.commandLine().getOut();
        out.print(
                json
                        ? PlanJson.text(report)
                        : ModelTable.of(report, known.remarks("the host's memory is not known: ")));
        out.flush();
        return 0;
    }

    private HardwarePreset named(String label) {
        try {
            return HardwarePreset.of(label);
        } catch (IllegalArgumentException e) {
            throw wrong("--" + e.getMessage());
        }
    }

    private ModelSource source(String name) {
        boolean isPreset = ModelPreset.labels().contains(name) && !Files.exists(Path.of(name));
        if (weights != null) {
            if (!isPreset) {
                throw wrong("--weights is \"%s\", but \"%s\" is no preset: its files say how they are stored"
                        .formatted(weights, name));
            }
            return new ModelSource.Random(ModelPreset.of(name), WeightsOption.parse(spec, weights));
        }
        return ModelSource.parse(isPreset ? ModelSource.RANDOM + name : name);
    }

    private static ModelReport.Cache cache(CacheGeometry geometry) {
        int positions = geometry.dimensions().maxPositions();
        return new ModelReport.Cache(
                8 * geometry.elementBytes(),
                geometry.cachedLayerCount(),
                geometry.tokenBytes(Content.KEY_VALUE),
                geometry.source(),
                geometry.tokenBytes(Content.ACTIVATION),
                geometry.activationsAreSmaller(),
                geometry.policy().label(),
                geometry.tokenBytes(geometry.encodings().getFirst()),
                geometry.windowLayerCount(),
                geometry.windowLayerCount() == 0 ? 0 : geometry.window(),
                geometry.ringBytes(positions, MemoryBudget.Limits.usualRows(1)));
    }

    /** One sequence and a batch, each with a usual context and with the longest. */
    private static List<PlanExplanation> plans(KnownMachine known, WeightBits weightBits) {
        int longest = Math.min(known.geometry().dimensions().maxPositions(), WhatIf.CONTEXT_MOST);
        List<PlanExplanation> plans = new ArrayList<>();
        for (int batch : BATCHES) {
            for (int tokens : new TreeSet<>(List.of(Math.min(SHORT_CONTEXT_TOKENS, longest), longest))) {
                PlanQuestion question = new PlanQuestion(
                        batch,
                        tokens,
                        OptionalLong.empty(),
                        OptionalLong.empty(),
                        OptionalDouble.empty(),
                        OptionalDouble.empty(),
                        List.of());
                plans.add(question.about(known.geometry(), weightBits, known.machine())
                        .explain());
            }
        }
        return plans;
    }

    private ParameterException wrong(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
