package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What every command prints for a mistake: one line, and nothing after it. */
class WeftMainTest {
    /** Flags are settings, and settings are system properties. */
    @AfterEach
    void forget() {
        List.of("quarkus.http.port", "quarkus.http.host", "weft.management-port")
                .forEach(System::clearProperty);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "serve --por 80 | weft: Unknown option: '--por', did you mean --port | weft serve --help",
                "--schedul x | weft: Unknown options: '--schedul', 'x', did you mean --schedule | weft --help",
                "generate | weft: Missing required parameter: 'PROMPT' | weft generate --help",
                "bench --batch x | weft: Invalid value for option '--batch': 'x' is not an int | weft bench --help",
                "plan --batch 0 | weft: --batch is 0, must be from 1 to 1024 | weft plan --help",
                "profile --preset gpt-5 | weft: --preset is \"gpt-5\", must be one of opt-1.3b | weft profile --help",
                "profile --preset opt-1.3b --weights int3 | weft: --weights is \"int3\", must be one of bf16, fp16, fp8, int4"
                        + " | weft profile --help",
                "selftest --quickly | weft: Unknown option: '--quickly' | weft selftest --help",
            })
    void aWrongFlagIsOneLineThatSaysWhereToLook(String line, String mistake, String help) {
        CommandRun run = CommandRun.run(line);

        assertThat(run.status()).isEqualTo(2);
        assertThat(run.out()).isEmpty();
        assertThat(run.error()).hasLineCount(1).startsWith(mistake).endsWith("(%s lists the flags)%n".formatted(help));
    }

    @ParameterizedTest
    @ValueSource(strings = {"serve ", ""})
    void aTakenPortIsOneLineBeforeTheModelLoads(String command) throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            CommandRun run = CommandRun.run(command + "--host 127.0.0.1 --port " + taken.getLocalPort());

            assertThat(run.status()).isEqualTo(1);
            assertThat(run.out()).isEmpty();
            assertThat(run.error())
                    .isEqualTo("weft: port %d is in use, choose another with --port%n".formatted(taken.getLocalPort()));
        }
    }

    @Test
    void aTakenPortForProbesIsNamedByItsSetting() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            System.setProperty("weft.management-port", "" + taken.getLocalPort());
            CommandRun run = CommandRun.run("serve --host 127.0.0.1 --port 0");

            assertThat(run.status()).isEqualTo(1);
            assertThat(run.error())
                    .isEqualTo("weft: port %d is in use, choose another with weft.management-port%n"
                            .formatted(taken.getLocalPort()));
        }
    }

    @Test
    void anAddressThatIsNotOfThisMachineIsNamed() {
        // Reserved for documentation: no machine has it.
        CommandRun run = CommandRun.run("serve --host 192.0.2.1 --port 8080");

        assertThat(run.status()).isEqualTo(1);
        assertThat(run.error())
                .startsWith("weft: cannot listen on 192.0.2.1:8080 (")
                .hasLineCount(1);
    }
}
