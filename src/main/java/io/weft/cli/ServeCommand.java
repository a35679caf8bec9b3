package io.weft.cli;

import io.quarkus.runtime.Quarkus;
import io.weft.app.FatalErrors;
import io.weft.app.LoadingHandover;
import io.weft.app.ModelLoading;
import io.weft.app.Settings;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code weft serve}: answers the OpenAI API over HTTP. */
@Command(
        name = "serve",
        description = "Serve the OpenAI API over HTTP (this is also what weft does without a command).",
        mixinStandardHelpOptions = true,
        modelTransformer = SettingFlags.Service.class,
        sortOptions = false)
final class ServeCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "MODEL", description = "The model, as --model has it.")
    private String model = "";

    @Override
    public Integer call() {
        ModelArgument.set(model, spec);
        return serve(spec.commandLine().getErr());
    }

    /** Serves until the process is asked to stop. */
    static Integer serve(PrintWriter err) {
        Settings settings = Settings.current();
        requireFreePorts(settings);
        FatalErrors.endTheProcess();
        LoadingHandover.give(ModelLoading.begin(settings, mistake -> end(mistake, err)));
        Quarkus.run();
        return 0;
    }

    /** The server would find out once the model is loaded. */
    private static void requireFreePorts(Settings settings) {
        Settings.Server server = settings.server();
        new ListenAddress(server.host(), server.port(), "--port").requireFree();
        server.managementPort()
                .ifPresent(port -> new ListenAddress(server.host(), port, "weft.management-port").requireFree());
    }

    /** An error in the model ends the process before the server, which starts meanwhile, answers anything. */
    private static void end(RuntimeException mistake, PrintWriter err) {
        err.println("weft: " + WeftMain.oneLine(mistake));
        err.flush();
        Runtime.getRuntime().halt(1);
    }
}
