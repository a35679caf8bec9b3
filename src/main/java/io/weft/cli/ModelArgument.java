package io.weft.cli;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** The model as an argument, which is the flag {@code --model} without its name. */
final class ModelArgument {
    private static final String FLAG = "--model";

    private ModelArgument() {}

    /**
     * Sets the model.
     *
     * @param model the argument; empty if there is none
     * @throws ParameterException if the command line has the flag as well
     */
    static void set(String model, CommandSpec command) {
        if (model.isBlank()) {
            return;
        }
        if (command.commandLine().getParseResult().hasMatchedOption(FLAG)) {
            throw new ParameterException(
                    command.commandLine(), "the model is given twice, as \"" + model + "\" and by " + FLAG);
        }
        SettingFlags.set("weft.model", model.strip());
    }
}
