package io.weft.cli;

import java.io.Console;
import java.io.PrintWriter;
import java.util.Optional;

/** Shows the current activity: in place on a terminal, and not at all if nobody watches. */
final class Progress implements AutoCloseable {
    private static final String CLEAR_LINE = "\r\u001B[K";

    private final PrintWriter out;
    private final boolean terminal;

    Progress(PrintWriter out) {
        this.out = out;
        this.terminal = Optional.ofNullable(System.console())
                .filter(Console::isTerminal)
                .isPresent();
    }

    void show(String what) {
        if (terminal) {
            out.print(CLEAR_LINE + what);
            out.flush();
        }
    }

    /** Leaves an empty line. */
    void clear() {
        if (terminal) {
            out.print(CLEAR_LINE);
            out.flush();
        }
    }

    @Override
    public void close() {
        clear();
    }
}
