package io.weft.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.stream.Stream;
import picocli.CommandLine;

/** What became of a command line. */
record CommandRun(int status, String out, String error) {
    /**
     * Runs a command as people type it.
     *
     * @param line words with a blank between
     * @param more words that may hold blanks
     */
    static CommandRun run(String line, String... more) {
        StringWriter out = new StringWriter();
        StringWriter error = new StringWriter();
        CommandLine command = WeftMain.commandLine();
        command.setOut(new PrintWriter(out));
        command.setErr(new PrintWriter(error));
        int status = command.execute(Stream.concat(Arrays.stream(line.split(" ")), Arrays.stream(more))
                .toArray(String[]::new));
        return new CommandRun(status, out.toString(), error.toString());
    }
}
