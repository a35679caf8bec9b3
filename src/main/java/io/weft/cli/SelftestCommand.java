package io.weft.cli;

import io.weft.app.Devices;
import io.weft.app.Settings;
import io.weft.check.CheckResult;
import io.weft.check.Extent;
import io.weft.check.KernelChecks;
import io.weft.check.KernelTimings;
import io.weft.check.PipelineChecks;
import io.weft.device.Device;
import io.weft.device.ElementType;
import io.weft.model.CachePolicy;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code weft selftest}: checks the device's kernels and the whole pipeline on it. */
@Command(
        name = "selftest",
        description = "Check every kernel of the device against its formula, and the whole pipeline on it.",
        mixinStandardHelpOptions = true,
        modelTransformer = SettingFlags.Engine.class,
        sortOptions = false)
final class SelftestCommand implements Callable<Integer> {
    @Option(
            names = "--goldens",
            order = 20,
            paramLabel = "DIR",
            description = "Folder of small models with a golden.json each, to check the pipeline with as well.")
    private Path goldens = Path.of("");

    @Option(names = "--timings", order = 21, description = "Time the kernels at the sizes of 7B models instead.")
    private boolean timings;

    @Option(names = "--kernels-only", order = 22, description = "Leave out the pipeline.")
    private boolean kernelsOnly;

    @Option(
            names = "--small",
            order = 23,
            description = "A few checks of each kind: for slow tools such as compute-sanitizer.")
    private boolean small;

    @Spec
    private CommandSpec spec;

    private int checks;
    /** Failed checks are repeated at the end, where people see them. */
    private final List<CheckResult> failed = new ArrayList<>();

    @Override
    public Integer call() throws Exception {
        Settings settings = Settings.current();
        PrintWriter out = spec.commandLine().getOut();
        if (timings) {
            try (Device device = Devices.open(settings, ElementType.F16)) {
                KernelTimings.run(device, timing -> print(out, timing));
            }
            if (Devices.elementTypes(settings).contains(ElementType.BF16)) {
                try (Device device = Devices.open(settings, ElementType.BF16)) {
                    KernelTimings.runBlocks(device, timing -> print(out, timing));
                }
            }
            return 0;
        }
        kernels(settings, out);
        if (!kernelsOnly) {
            pipeline(settings, out);
        }
        out.printf("%d checks, %d failed%n", checks, failed.size());
        failed.forEach(result -> print(out, result));
        out.flush();
        return failed.isEmpty() ? 0 : 1;
    }

    /**
     * What is checked with one of a device's element types: each has kernels of its own, but only a GPU's first type
     * has them at all sizes.
     */
    private Extent extent(ElementType type, List<ElementType> types) {
        if (type == ElementType.F32) {
            return Extent.AWKWARD;
        }
        if (small) {
            return Extent.SMALL;
        }
        return type == types.getFirst() ? Extent.ALL : Extent.BRIEF;
    }

    private void kernels(Settings settings, PrintWriter out) {
        List<ElementType> types = Devices.elementTypes(settings);
        for (ElementType type : types) {
            try (Device device = Devices.open(settings, type);
                    Device reference = Devices.reference(settings)) {
                out.println("device: " + device.info().name());
                KernelChecks.run(reference, device, extent(type, types), result -> check(out, result));
            }
        }
    }

    private void pipeline(Settings settings, PrintWriter out) throws IOException {
        if (!small) {
            model(settings, out, "demo", new ModelSource.Demo());
        }
        if (goldens.toString().isEmpty()) {
            return;
        }
        try (Stream<Path> folders = Files.list(goldens)) {
            for (Path folder : folders.sorted().toList()) {
                model(settings, out, folder.getFileName().toString(), new ModelSource.Directory(folder));
            }
        }
    }

    private void model(Settings settings, PrintWriter out, String name, ModelSource source) throws IOException {
        List<ElementType> types = Devices.elementTypes(settings);
        for (ElementType type : types) {
            boolean isWhole = !small && type == types.getFirst();
            for (int blockTokens : isWhole ? List.of(1, 16) : List.of(16)) {
                try (ModelFiles files = ModelFiles.open(source);
                        Device device = Devices.open(settings, type)) {
                    PipelineChecks checks = new PipelineChecks(
                            name + " in " + type, files, device, blockTokens, 2 * 16, result -> check(out, result));
                    Path golden = files.directory().resolve("golden.json");
                    if (Files.exists(golden)) {
                        checks.reference(golden, type);
                    }
                    if (isWhole) {
                        checks.sameBits();
                    } else {
                        checks.sameBitsMixed();
                    }
                }
            }
            if (isWhole) {
                lossy(settings, out, name + " in " + type, source, type);
            }
        }
    }

    private void lossy(Settings settings, PrintWriter out, String name, ModelSource source, ElementType type)
            throws IOException {
        for (CachePolicy policy : CachePolicy.values()) {
            if (policy.isLossy()) {
                try (ModelFiles files = ModelFiles.open(source);
                        Device device = Devices.open(settings, type)) {
                    new PipelineChecks(name, files, device, 16, 16, policy, result -> check(out, result))
                            .sameBitsMixed();
                }
            }
        }
    }

    private void check(PrintWriter out, CheckResult result) {
        checks++;
        if (!result.passed()) {
            failed.add(result);
        }
        print(out, result);
    }

    private static void print(PrintWriter out, Object line) {
        out.println(line);
        out.flush();
    }
}
