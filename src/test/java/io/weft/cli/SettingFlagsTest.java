package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.app.Setting;
import io.weft.app.SettingReader;
import io.weft.app.Settings;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Flags are settings: the same names, bounds and meanings. */
class SettingFlagsTest {
    private static final List<Setting> FLAGGED = Settings.all().stream()
            .map(SettingReader::setting)
            .filter(setting -> !setting.flag().isEmpty())
            .toList();

    @AfterEach
    void unset() {
        FLAGGED.forEach(setting -> System.clearProperty(setting.key()));
    }

    @Test
    void aServiceTakesEachFlagWithOrWithoutItsCommand() {
        for (CommandLine command : List.of(WeftMain.commandLine(), subcommand("serve"))) {
            assertThat(FLAGGED)
                    .allSatisfy(setting -> assertThat(command.getCommandSpec().findOption(setting.flag()))
                            .as(setting.flag())
                            .isNotNull());
        }
    }

    @Test
    void whatDoesNotServeTakesNoPort() {
        assertThat(subcommand("generate").getCommandSpec().findOption("--port")).isNull();
        assertThat(subcommand("generate").getCommandSpec().findOption("--seed")).isNotNull();
        assertThat(subcommand("bench").getCommandSpec().findOption("--seed")).isNull();
        assertThat(subcommand("bench").getCommandSpec().findOption("--link-gbps"))
                .isNotNull();
    }

    @Test
    void aFlagThatSaysNoNeedsNoValue() {
        assertThat(Settings.current().cache().prefixCache()).isTrue();
        WeftMain.commandLine().parseArgs("serve", "--no-prefix-cache", "--device", "cpu");

        assertThat(Settings.current().cache().prefixCache()).isFalse();
        assertThat(Settings.current().machine().device()).isEqualTo(Settings.DeviceChoice.CPU);
    }

    private static CommandLine subcommand(String name) {
        return WeftMain.commandLine().getSubcommands().get(name);
    }

    @Test
    void aFlagIsThePropertyOfItsKey() {
        WeftMain.commandLine().parseArgs("serve", "--device", "cpu", "--port", " 0 ", "--api-key", "k");

        Settings settings = Settings.current();
        assertThat(settings.machine().device()).isEqualTo(Settings.DeviceChoice.CPU);
        assertThat(settings.server().port()).isZero();
        assertThat(settings.server().apiKey()).hasValue("k");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "serve --served-model-name a,b/c --max-model-len 300 /models/x",
                "serve /models/x --served-model-name a --max-model-len=300 --served-model-name b/c",
                "--model /models/x --served-model-name a --served-model-name b/c --max-model-len 300"
            })
    void namesMayBeSeveralAndTheModelAnArgument(String line) {
        CommandLine command = WeftMain.commandLine();
        CommandLine.ParseResult parsed = command.parseArgs(line.split(" "));
        if (parsed.hasSubcommand()) {
            CommandLine serve = parsed.subcommand().commandSpec().commandLine();
            ModelArgument.set(parsed.subcommand().matchedPositionalValue(0, ""), serve.getCommandSpec());
        }

        Settings settings = Settings.current();
        assertThat(settings.model().source()).isEqualTo("/models/x");
        assertThat(settings.model().servedNames()).containsExactly("a", "b/c");
        assertThat(settings.batch().contextTokens()).hasValue(300);
    }

    /** A line on the standard error names the flag as it was typed, the value and what is allowed. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            serve --port abc          | --port is "abc", must be a whole number from 0 to 65535
            --port 65536              | --port is "65536", must be a whole number from 0 to 65535
            serve --device gpu        | --device is "gpu", must be one of auto, cpu, cuda
            --served-model-name a,,b  | --served-model-name is "a,,b", must be texts, separated by commas
            serve --model a b         | the model is given twice, as "b" and by --model
            serve --max-model-len 0   | --max-model-len is "0", must be a whole number from 1 to 16777216
            generate --temperature 3 a | --temperature is "3", must be a number from 0.0 to 2.0
            bench --host-memory lots  | --host-memory is "lots", must be a size such as 24GB, 512MiB or a number of bytes
            """)
    void aWrongValueNamesTheFlag(String arguments, String message) {
        StringWriter err = new StringWriter();
        int status = WeftMain.commandLine().setErr(new PrintWriter(err)).execute(arguments.split(" "));

        assertThat(status).isEqualTo(CommandLine.ExitCode.USAGE);
        assertThat(err.toString().lines())
                .singleElement()
                .asString()
                .startsWith("weft: " + message + " (weft ")
                .endsWith("--help lists the flags)");
    }

    @Test
    void theHelpSaysWhatTheSettingDoesAndItsDefault() {
        String help =
                subcommand("serve").getUsageMessage(CommandLine.Help.Ansi.OFF).replaceAll("\\s+", " ");

        assertThat(help)
                .contains("--port=N Port to listen on. Default: 8080.")
                .contains(
                        "--device=auto|cpu|cuda Device to run on. Default: auto: CUDA if there is a GPU, else the CPU.")
                .contains("Default: 90 % of the free GPU memory; on the CPU 25 % of the memory.");
    }
}
