package io.weft.cli;

import io.quarkus.runtime.Quarkus;
import io.weft.app.ModelLoading;
import io.weft.app.Settings;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code weft serve}: answers the OpenAI API over HTTP. */
@Command(
        name = "serve",
        description = "Serve the OpenAI API over HTTP (this is also what weft does without a command).",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class ServeCommand implements Callable<Integer> {
    @Mixin
    private final Flags flags = new Flags();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        return flags.serve(spec.commandLine().getErr());
    }

    /** The flags of serving. */
    static final class Flags {
        @Mixin
        @SuppressWarnings("UnusedVariable") // its setters are what counts
        private final CommonOptions common = new CommonOptions();

        @Mixin
        @SuppressWarnings("UnusedVariable") // its setters are what counts
        private final RequestOptions requests = new RequestOptions();

        @Option(names = "--port", order = 10, paramLabel = "N", description = "Port to listen on. Default: 8080.")
        void port(String value) {
            CommonOptions.set("quarkus.http.port", value);
        }

        @Option(
                names = "--host",
                order = 11,
                paramLabel = "ADDRESS",
                description = "Address to listen on. Default: 0.0.0.0.")
        void host(String value) {
            CommonOptions.set("quarkus.http.host", value);
        }

        @Option(
                names = "--api-key",
                order = 12,
                paramLabel = "KEY",
                description = "Key that clients must send; better given as WEFT_API_KEY.")
        void apiKey(String value) {
            CommonOptions.set("weft.api-key", value);
        }

        /** Serves until the process is told to stop. */
        Integer serve(PrintWriter err) {
            ModelLoading.begin(Settings.current(), mistake -> end(mistake, err));
            Quarkus.run();
            return 0;
        }

        /** A mistake in the model ends the process before the server, which starts meanwhile, has answered anything. */
        private static void end(RuntimeException mistake, PrintWriter err) {
            err.println("weft: " + WeftMain.oneLine(mistake));
            err.flush();
            Runtime.getRuntime().halt(1);
        }
    }
}
