package io.weft.cli;

import io.weft.model.PresetWeights;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** {@code --weights}: how a preset's random weights are stored. */
final class WeightsOption {
    static final String DESCRIPTION = "How the preset's random weights are stored: bf16, fp16, fp8 or int4. In fp8 and"
            + " int4 the matrices of layers are quantised, the rest has 16 bits. Default: ${DEFAULT-VALUE}.";

    private WeightsOption() {}

    static PresetWeights parse(CommandSpec spec, String name) {
        if (!PresetWeights.labels().contains(name)) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--weights is \"%s\", must be one of %s"
                            .formatted(name, String.join(", ", PresetWeights.labels())));
        }
        return PresetWeights.of(name);
    }
}
