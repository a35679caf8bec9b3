package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** In processes of their own, which have to end. */
class FatalErrorsTest {
    /** How a process ended. */
    private record Ended(int status, String output) {}

    @Test
    void anErrorThatNobodyCaughtEndsTheProcess() throws Exception {
        Ended ended = run("java.lang.AssertionError");

        assertThat(ended.status()).isEqualTo(FatalErrors.BROKEN);
        assertThat(ended.output())
                .contains(
                        "weft: an error that nobody caught, the process ends with status 4",
                        "weft-failing failed",
                        "java.lang.AssertionError");
    }

    /** Of direct memory, say: the JVM's own option does not see it. */
    @Test
    void memoryThatALibraryMissesEndsTheProcess() throws Exception {
        Ended ended = run("java.lang.OutOfMemoryError");

        assertThat(ended.status()).isEqualTo(FatalErrors.OUT_OF_MEMORY);
        assertThat(ended.output())
                .contains("weft: out of memory, the process ends with status 3", "weft-failing failed");
    }

    @Test
    void anErrorWhoseLineCannotBeLoggedEndsTheProcessToo() throws Exception {
        Ended ended = run(Unspeakable.class.getName());

        assertThat(ended.status()).isEqualTo(FatalErrors.BROKEN);
        assertThat(ended.output()).contains("the process ends with status 4");
    }

    @Test
    void anExceptionIsLoggedAndTheProcessGoesOn() throws Exception {
        Ended ended = run("java.lang.IllegalStateException");

        assertThat(ended.status()).isEqualTo(Failing.WENT_ON);
        assertThat(ended.output()).contains("thread weft-failing ended", "java.lang.IllegalStateException");
    }

    private static Ended run(String failure) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Dorg.jboss.logging.provider=jdk",
                "-cp",
                System.getProperty("java.class.path"),
                Failing.class.getName(),
                failure));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Ended(process.waitFor(), output);
        } finally {
            process.destroyForcibly();
        }
    }

    /** A program one of whose threads ends with a failure of the class that it is told. */
    static final class Failing {
        static final int WENT_ON = 77;

        public static void main(String[] args) throws Exception {
            FatalErrors.endTheProcess();
            Throwable failure = Class.forName(args[0])
                    .asSubclass(Throwable.class)
                    .getDeclaredConstructor()
                    .newInstance();
            Thread thread = Thread.ofPlatform().name("weft-failing").start(() -> sneak(failure));
            thread.join();
            if (failure instanceof Error) {
                // Not joined: the thread that fails ends the process.
                LockSupport.park();
            }
            Runtime.getRuntime().halt(WENT_ON);
        }

        @SuppressWarnings("unchecked")
        private static <E extends Throwable> void sneak(Throwable failure) throws E {
            throw (E) failure;
        }
    }

    /** An error that fails where it is printed, as all do once there is no memory. */
    static final class Unspeakable extends Error {
        @Override
        public String getMessage() {
            throw new OutOfMemoryError();
        }
    }
}
