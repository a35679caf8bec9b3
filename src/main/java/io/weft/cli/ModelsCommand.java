package io.weft.cli;

import picocli.CommandLine.Command;

/** {@code weft models}: what concerns models and not their service. */
@Command(
        name = "models",
        description = "Look at models.",
        subcommands = InspectCommand.class,
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class ModelsCommand {}
