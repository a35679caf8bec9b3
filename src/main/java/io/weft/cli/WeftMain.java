package io.weft.cli;

import io.quarkus.runtime.annotations.QuarkusMain;
import picocli.CommandLine;

/** The program. Only {@code serve} starts Quarkus. */
@QuarkusMain
public final class WeftMain {
    private WeftMain() {}

    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        CommandLine commandLine = new CommandLine(new WeftCommand());
        commandLine.setExecutionExceptionHandler((error, command, parsed) -> {
            command.getErr().println("weft: " + oneLine(error));
            return 1;
        });
        return commandLine;
    }

    /** What a person needs of an error that says by itself what is wrong; the class where it does not. */
    static String oneLine(Throwable error) {
        String message = error.getMessage();
        return message == null || message.isBlank()
                ? error.toString()
                : message.lines().findFirst().orElseThrow();
    }
}
