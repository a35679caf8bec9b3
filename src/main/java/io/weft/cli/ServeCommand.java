package io.weft.cli;

import io.quarkus.runtime.Quarkus;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code weft serve}: answers the OpenAI API over HTTP. */
@Command(
        name = "serve",
        description = "Serve the OpenAI API over HTTP (this is also what weft does without a command).",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class ServeCommand implements Callable<Integer> {
    @Mixin
    private final Flags flags = new Flags();

    @Override
    public Integer call() {
        return flags.serve();
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

        /**
         * Checks settings and model while a mistake still costs nothing, then serves until the process is told to stop.
         */
        Integer serve() {
            Assembly.check(CommonOptions.settings());
            Quarkus.run();
            return 0;
        }
    }
}
