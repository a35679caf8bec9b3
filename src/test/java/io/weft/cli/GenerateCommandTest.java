package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** {@code weft generate} on the CPU device with the demo model. */
class GenerateCommandTest {
    /** Flags are settings, and settings are system properties. */
    private static final Map<String, String> PROPERTIES = Map.of(
            "weft.device", "cpu",
            "weft.device-memory", "200MB",
            "weft.host-memory", "200MB",
            "weft.request.max-tokens", "6",
            "weft.request.temperature", "0");

    private static final String PROMPT = "Once upon a time";

    @TempDir
    Path directory;

    @BeforeEach
    void set() {
        PROPERTIES.forEach(System::setProperty);
        System.setProperty("weft.profile-directory", directory.toString());
    }

    @AfterEach
    void forget() {
        PROPERTIES.keySet().forEach(System::clearProperty);
        System.clearProperty("weft.profile-directory");
    }

    private static String generated(String... flags) {
        StringWriter out = new StringWriter();
        CommandLine command = WeftMain.commandLine();
        command.setOut(new PrintWriter(out));
        command.setErr(new PrintWriter(new StringWriter()));
        assertThat(command.execute(Stream.concat(Stream.of("generate", PROMPT), Stream.of(flags))
                        .toArray(String[]::new)))
                .isZero();
        return out.toString();
    }

    @Test
    void thePromptStandsBeforeTheContinuationUnlessItIsNotWanted() {
        String continuation = generated("--no-echo");

        assertThat(continuation).isNotBlank().doesNotContain(PROMPT);
        assertThat(generated()).isEqualTo(PROMPT + continuation);
    }
}
