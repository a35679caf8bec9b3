package io.weft.app;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.jboss.logging.Logger;

/**
 * Ends the process after an {@link Error} that nobody caught: a service without one of its threads, or without memory,
 * would hang and look alive. Exceptions are only logged.
 *
 * <p>The JVM itself ends the process where the heap runs out ({@code tools/jvm.options}), but knows nothing of errors
 * that libraries throw, such as those of direct memory.
 */
public final class FatalErrors implements Thread.UncaughtExceptionHandler {
    /** The exit status after a lack of memory; the JVM has the same. */
    public static final int OUT_OF_MEMORY = 3;

    /** The exit status after any other error. */
    public static final int BROKEN = 4;

    private static final Logger LOG = Logger.getLogger(FatalErrors.class);

    /** Time for the requests to get the error that they were given. */
    private static final long PAUSE_MILLIS = 1_000;

    /** Ready-made: there may be no memory to make a line, and loggers hide that they failed. */
    private static final byte[] WITHOUT_MEMORY = line("out of memory", OUT_OF_MEMORY);

    private static final byte[] WITHOUT_A_THREAD = line("an error that nobody caught", BROKEN);

    private FatalErrors() {}

    /** From now on, an error that nobody catches ends the process. */
    public static void endTheProcess() {
        Thread.setDefaultUncaughtExceptionHandler(new FatalErrors());
    }

    @Override
    public void uncaughtException(Thread thread, Throwable failure) {
        if (failure instanceof Error) {
            end(thread, failure);
        } else {
            LOG.errorf(failure, "thread %s ended", thread.getName());
        }
    }

    private static byte[] line(String what, int status) {
        return "weft: %s, the process ends with status %d%n"
                .formatted(what, status)
                .getBytes(StandardCharsets.US_ASCII);
    }

    private static void end(Thread thread, Throwable failure) {
        boolean withoutMemory = failure instanceof OutOfMemoryError;
        int status = withoutMemory ? OUT_OF_MEMORY : BROKEN;
        try (FileOutputStream errors = new FileOutputStream(FileDescriptor.err)) {
            errors.write(withoutMemory ? WITHOUT_MEMORY : WITHOUT_A_THREAD);
            LOG.fatalf(failure, "thread %s failed", thread.getName());
            Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException | IOException | RuntimeException | Error e) {
            // Nothing is left to be said; the status says it.
        } finally {
            Runtime.getRuntime().halt(status);
        }
    }
}
