package io.weft.cli;

import io.weft.app.Assembly;
import io.weft.app.Settings;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.profile.HardwareProfiler;
import io.weft.profile.ProfileStore;
import io.weft.profile.ProfileStore.StoredProfile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weft profile}: measures the machine with a model, and shows the result. */
@Command(
        name = "profile",
        description = "Measure what the machine needs for the stages of a model, and show it. The result is kept and"
                + " used from the next start on, unless the machine was too busy.",
        mixinStandardHelpOptions = true,
        modelTransformer = SettingFlags.Engine.class,
        sortOptions = false)
final class ProfileCommand implements Callable<Integer> {
    @Option(
            names = "--preset",
            order = 20,
            paramLabel = "NAME",
            description = "A well-known model's shape, with random weights: " + WeightsOption.PRESETS + ".")
    private @Nullable String preset;

    @Option(
            names = "--weights",
            order = 20,
            paramLabel = "NAME",
            defaultValue = "fp16",
            description = WeightsOption.DESCRIPTION)
    private String weights = "";

    @Option(
            names = "--save",
            order = 21,
            paramLabel = "FILE",
            description = "Write the profile to this file, for weft plan --profile on any machine.")
    private @Nullable Path save;

    @Option(names = "--load", order = 22, paramLabel = "FILE", description = "Show this profile instead of measuring.")
    private @Nullable Path load;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        StoredProfile profile = load == null ? measured() : loaded(load);
        PrintWriter out = spec.commandLine().getOut();
        out.print(ProfilePlot.of(profile));
        out.flush();
        if (save != null) {
            ProfileStore.write(profile, save);
        }
        return 0;
    }

    private StoredProfile measured() {
        if (preset != null) {
            if (!ModelPreset.labels().contains(preset)) {
                throw new ParameterException(
                        spec.commandLine(),
                        "--preset is \"" + preset + "\", must be one of " + String.join(", ", ModelPreset.labels()));
            }
            SettingFlags.set("weft.model", ModelSource.random(preset, WeightsOption.parse(spec, weights)));
        }
        try (Progress progress = new Progress(spec.commandLine().getErr());
                Assembly assembly = Assembly.load(Settings.current(), HardwareProfiler.anew(), progress::show)) {
            return assembly.profile();
        }
    }

    private static StoredProfile loaded(Path file) throws IOException {
        try {
            return ProfileStore.read(file);
        } catch (IOException e) {
            throw new IOException("--load " + file + ": " + e.getMessage(), e);
        }
    }
}
