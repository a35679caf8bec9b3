package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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
        System.clearProperty("weft.model");
    }

    private static String generated(String... more) {
        CommandRun run = CommandRun.run("generate", more);
        assertThat(run.status()).as(run.error()).isZero();
        return run.out();
    }

    @Test
    void thePromptStandsBeforeTheContinuationUnlessItIsNotWanted() {
        String continuation = generated("--no-echo", PROMPT);

        assertThat(continuation).isNotBlank().doesNotContain(PROMPT);
        assertThat(generated(PROMPT)).isEqualTo(PROMPT + continuation);
    }

    /** Such a model keeps nothing in blocks: its cache on the host is empty. */
    @Test
    void aModelWhoseLayersAllHaveWindowsIsServed() {
        String golden = "src/test/resources/goldens/mistral-window";
        assertThat(generated("--model", golden, "--no-echo", "t5 t6")).contains("t132 t338");
    }
}
