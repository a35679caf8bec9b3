package io.weft.api;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** What the service logs as a warning or an error while this is open. */
final class LoggedProblems extends Handler implements AutoCloseable {
    private final List<String> lines = new CopyOnWriteArrayList<>();

    LoggedProblems() {
        Logger.getLogger("").addHandler(this);
    }

    List<String> lines() {
        return lines;
    }

    @Override
    public void publish(LogRecord line) {
        // What the planner thinks of a busy machine, and the tokenizer of its GPU, is not about clients.
        if (line.getLevel().intValue() >= Level.WARNING.intValue()
                && !line.getLoggerName().startsWith("io.weft.observe")
                && !line.getLoggerName().startsWith("ai.djl")) {
            lines.add(line.getLoggerName() + ": " + line.getMessage());
        }
    }

    @Override
    public void flush() {
        // Nothing is held back.
    }

    @Override
    public void close() {
        Logger.getLogger("").removeHandler(this);
    }
}
