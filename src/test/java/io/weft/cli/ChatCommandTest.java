package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code weft chat} on the CPU device with the demo model, over a pipe. */
class ChatCommandTest {
    private static final Map<String, String> PROPERTIES = Map.of(
            "weft.device", "cpu",
            "weft.device-memory", "200MB",
            "weft.host-memory", "200MB",
            "weft.request.max-tokens", "8",
            "weft.request.temperature", "0");

    @TempDir
    Path directory;

    private final InputStream in = System.in;

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
        System.setIn(in);
    }

    private static CommandRun chat(String lines, String... more) {
        System.setIn(new ByteArrayInputStream(lines.getBytes(StandardCharsets.UTF_8)));
        return CommandRun.run("chat", more);
    }

    private static String[] answers(CommandRun run) {
        assertThat(run.status()).as(run.error()).isZero();
        assertThat(run.error()).isEmpty();
        return run.out().replace(System.lineSeparator(), "\n").split("\n\n(?!\n)");
    }

    /** What was said is part of the next prompt, until it is cleared. */
    @Test
    void aConversationHasAHistory() {
        String said = "Once upon a time\nIt was a dark night\n";
        String[] answers = answers(chat(said + "/clear\n\n" + said + " /exit \nnot any more"));

        assertThat(answers).hasSize(4);
        assertThat(answers[0]).isNotBlank().isEqualTo(answers[2]);
        assertThat(answers[1]).isNotBlank().isEqualTo(answers[3]);
        assertThat(answers(chat("It was a dark night", "demo"))[0]).isNotEqualTo(answers[1]);
        assertThat(answers(chat("It was a dark night", "--system", "Once upon"))[0])
                .isNotEqualTo(answers(chat("It was a dark night"))[0]);
    }

    @Test
    void whatIsTooLongIsToldAndForgotten() {
        CommandRun run = chat("Once upon a time " + "and ever ".repeat(2000) + "\nOnce upon a time\n");

        assertThat(run.status()).isEqualTo(1);
        assertThat(run.error()).startsWith("weft: the conversation has ").hasLineCount(1);
        assertThat(run.out().strip()).isEqualTo(answers(chat("Once upon a time"))[0].strip());
    }
}
