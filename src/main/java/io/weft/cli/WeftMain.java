package io.weft.cli;

import io.quarkus.runtime.annotations.QuarkusMain;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

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
        commandLine.setParameterExceptionHandler((error, arguments) -> {
            CommandLine command = error.getCommandLine();
            command.getErr()
                    .println("weft: " + oneLine(error) + suggested(error) + " ("
                            + command.getCommandSpec().qualifiedName() + " --help lists the flags)");
            return command.getCommandSpec().exitCodeOnInvalidInput();
        });
        return commandLine;
    }

    private static String suggested(ParameterException error) {
        List<String> suggestions =
                error instanceof UnmatchedArgumentException unmatched ? unmatched.getSuggestions() : List.of();
        return suggestions.isEmpty() ? "" : ", did you mean " + String.join(" or ", suggestions) + "?";
    }

    /** The message of an error, for people; its class if there is no message. */
    static String oneLine(Throwable error) {
        String message = error.getMessage();
        return message == null || message.isBlank()
                ? error.toString()
                : message.lines().findFirst().orElseThrow();
    }
}
