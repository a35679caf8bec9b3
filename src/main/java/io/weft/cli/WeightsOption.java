package io.weft.cli;

import io.weft.model.PresetWeights;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** {@code --preset} and {@code --weights}: a well-known model, and how its random weights are stored. */
final class WeightsOption {
    /** The labels of all presets. */
    static final String PRESETS = "opt-1.3b, opt-6.7b, opt-13b, opt-30b, llama-2-7b, llama-3-8b, llama-3-70b,"
            + " qwen3-8b, qwen3-30b-a3b, gemma-3-12b, olmo-2-7b, phi-3-mini, gpt-oss-20b";

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
