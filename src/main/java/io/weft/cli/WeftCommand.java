package io.weft.cli;

import io.weft.app.Version;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code weft}: without a command it serves. */
@Command(
        name = "weft",
        description = "Serves large language models whose KV cache lives in host memory.",
        subcommands = {
            ServeCommand.class,
            GenerateCommand.class,
            ChatCommand.class,
            PlanCommand.class,
            ProfileCommand.class,
            BenchCommand.class,
            SelftestCommand.class,
            ModelsCommand.class
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        modelTransformer = SettingFlags.Service.class,
        sortOptions = false,
        footer = {
            "",
            "Run weft COMMAND --help for the flags of a command.",
            "Every flag is also a setting: --model is WEFT_MODEL in the environment and weft.model in a properties file."
        })
final class WeftCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        return ServeCommand.serve(spec.commandLine().getErr());
    }
}
