package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code weft models inspect}, as people type it; no device is started. */
class InspectCommandTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens");
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    Path directory;

    @BeforeEach
    void keepProfilesHere() {
        System.setProperty(
                "weft.profile-directory", directory.resolve("profiles").toString());
    }

    @AfterEach
    void forget() {
        System.clearProperty("weft.profile-directory");
        System.clearProperty("weft.cache-encoding");
    }

    @Test
    void aLossyEncodingIsTold() throws IOException {
        JsonNode cache = json("--cache-encoding fp8 --hardware t4 llama-3-8b").path("cache");

        assertThat(cache.path("encoding").textValue()).isEqualTo("fp8");
        assertThat(cache.path("stored_bytes_per_token").doubleValue()
                        / cache.path("key_value_bytes_per_token").doubleValue())
                .isBetween(0.5, 0.52);
        assertThat(CommandRun.run("models inspect --cache-encoding fp8 --hardware t4 llama-3-8b")
                        .out())
                .containsPattern("in fp8 +66.56 kB")
                .contains("full blocks hold K and V in fp8");
        assertThat(CommandRun.run("models inspect --cache-encoding fp4").error())
                .contains("--cache-encoding is \"fp4\", must be one of exact, fp8, int8, int4");
    }

    private static JsonNode json(String line, String... more) throws IOException {
        CommandRun run = CommandRun.run("models inspect --json" + (line.isEmpty() ? "" : " " + line), more);
        assertThat(run.error()).isEmpty();
        assertThat(run.status()).isZero();
        return JSON.readTree(run.out());
    }

    private static long weights(JsonNode report) {
        return report.at("/model/weights")
                .valueStream()
                .mapToLong(part -> part.path("bytes").longValue())
                .sum();
    }

    /** What a safetensors file says before its tensors. */
    private static JsonNode header(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            channel.read(length);
            ByteBuffer header = ByteBuffer.allocate((int) length.getLong(0));
            channel.read(header);
            return JSON.readTree(header.array());
        }
    }

    /** Every byte of the tensors is of an encoding, or not used; so with every form of weights that is served. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "opt",
                "gemma3",
                "gemma4",
                "gpt-oss",
                "qwen3-moe",
                "llama-fp8-block",
                "llama-fp8-channel",
                "llama-gptq",
                "llama-w4a16",
                "qwen3-awq"
            })
    void bytesAreThoseOfTheHeaders(String golden) throws IOException {
        Path model = GOLDENS.resolve(golden);
        JsonNode report = json("", model.toString());

        long stored = header(model.resolve("model.safetensors"))
                .propertyStream()
                .filter(entry -> !entry.getKey().equals("__metadata__"))
                .mapToLong(entry -> entry.getValue().at("/data_offsets/1").longValue()
                        - entry.getValue().at("/data_offsets/0").longValue())
                .sum();
        assertThat(weights(report) + report.at("/model/unused_bytes").longValue())
                .isEqualTo(stored);
        assertThat(report.at("/model/unused_bytes").longValue()).isLessThan(stored / 100);
    }

    /** Where all weights have the same type, bytes and parameters are in proportion. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "opt-fp16",
                "opt-350m-style",
                "llama3-gqa",
                "gemma",
                "gemma2",
                "gemma3",
                "gemma4",
                "olmo2",
                "phi3",
                "qwen2",
                "qwen3",
                "qwen3-moe",
                "gpt-oss",
                "smollm3",
                "granite",
                "gpt-neox"
            })
    void parametersAreCountedOnce(String golden) throws IOException {
        JsonNode report = json("", GOLDENS.resolve(golden).toString());

        List<String> encodings = report.at("/model/weights").findValuesAsText("encoding");
        assertThat(encodings).hasSize(1).isSubsetOf("fp32", "fp16", "bf16");
        assertThat(weights(report))
                .isEqualTo((encodings.contains("fp32") ? 4 : 2)
                        * report.at("/model/parameters").longValue());
    }

    @Test
    void encodingsAreNamed() throws IOException {
        assertThat(encodings("llama-fp8-block")).contains("fp8 by 128");
        assertThat(encodings("llama-gptq")).anyMatch(name -> name.startsWith("int4 by "));
        assertThat(encodings("qwen3-awq")).anyMatch(name -> name.startsWith("int4 by "));
    }

    private static List<String> encodings(String golden) throws IOException {
        return json("", GOLDENS.resolve(golden).toString()).at("/model/weights").findValuesAsText("encoding");
    }

    /** Published figures, in 10⁹ parameters. */
    @ParameterizedTest
    @CsvSource({
        "opt-6.7b, 6.66, 6.66",
        "opt-30b, 29.97, 29.97",
        "llama-2-7b, 6.74, 6.74",
        "llama-3-8b, 8.03, 8.03",
        "llama-3-70b, 70.55, 70.55",
        "gemma-3-12b, 11.77, 11.77",
        "qwen3-30b-a3b, 30.53, 3.35",
        "gpt-oss-20b, 20.91, 4.19"
    })
    void presetsHaveThePublishedSize(String preset, double billions, double activeBillions) throws IOException {
        JsonNode report = json(preset);

        assertThat(report.at("/model/parameters").longValue() / 1e9).isCloseTo(billions, within(0.005));
        assertThat(report.at("/model/active_parameters").longValue() / 1e9).isCloseTo(activeBillions, within(0.005));
        assertThat(weights(report)).isEqualTo(2 * report.at("/model/parameters").longValue());
    }

    @Test
    void plansCountWeightsAsTheyAreStored() throws IOException {
        JsonNode plain = json("llama-3-70b --hardware h100");
        JsonNode packed = json("llama-3-70b --weights int4 --hardware h100");
        double layers = 80 * (8192.0 * (2 * 8192 + 2 * 1024) + 3 * 8192.0 * 28672);

        assertThat(plain.at("/plans/0/fits").booleanValue()).isFalse();
        assertThat(CommandRun.run("models inspect llama-3-70b --hardware h100").out())
                .contains("does not fit: lacks", "not even one sequence of 8,192 tokens", "will not start");
        assertThat(packed.at("/plans/0/fits").booleanValue()).isTrue();
        // A code of 4 bits, and 4 bytes for 128 columns.
        assertThat(packed.at("/plans/0/memory/weights_bytes").doubleValue())
                .isCloseTo(layers * (4 + 32 / 128.0) / 8 + 2 * 2.0 * 128256 * 8192, within(16.0));
        assertThat(stepMillis("int4")).isLessThan(0.9 * stepMillis("fp8"));
        assertThat(stepMillis("fp8")).isLessThan(0.9 * stepMillis("bf16"));
        assertThat(JSON.readTree(CommandRun.run(
                                "plan --json --preset llama-3-70b --weights int4 --batch 1 --context 4096 --hardware h100")
                        .out()))
                .isEqualTo(packed.at("/plans/0"));
    }

    private static double stepMillis(String weights) throws IOException {
        return json("qwen3-8b --hardware h200 --weights " + weights)
                .at("/plans/0/predicted_step_millis")
                .doubleValue();
    }

    @Test
    void aTokenUsesTheExpertsItChooses() throws IOException {
        JsonNode model = json("", GOLDENS.resolve("qwen3-moe").toString()).path("model");
        JsonNode layers = model.at("/layers/0");
        long expert = 3L
                * model.path("hidden_size").longValue()
                * layers.path("expert_size").longValue();
        long unchosen = layers.path("layers").size()
                * (layers.path("experts").longValue()
                        - layers.path("chosen_experts").longValue());

        assertThat(unchosen).isPositive();
        assertThat(model.path("parameters").longValue()
                        - model.path("active_parameters").longValue())
                .isEqualTo(unchosen * expert);
        assertThat(CommandRun.run("models inspect", GOLDENS.resolve("qwen3-moe").toString())
                        .out())
                .contains("of which a token uses", "8 experts of 48, 2 a token");
    }

    @Test
    void groupsOfLayersAreTold() throws IOException {
        JsonNode report = json("", GOLDENS.resolve("gemma3").toString());
        JsonNode cache = report.path("cache");

        assertThat(report.at("/model/layers").findValues("layers").toString()).isEqualTo("[[0,1,3], [2]]");
        assertThat(report.at("/model/layers").findValues("window_tokens").toString())
                .isEqualTo("[16, 0]");
        assertThat(cache.path("layers").intValue()).isEqualTo(1);
        assertThat(cache.path("window_layers").intValue()).isEqualTo(3);
        // K and V of 2 heads of 32 elements, in 16 bits, for a window at least.
        assertThat(cache.path("key_value_bytes_per_token").longValue()).isEqualTo(2 * 2 * 32 * 2);
        assertThat(cache.path("window_bytes_per_sequence").longValue()).isGreaterThanOrEqualTo(3 * 16 * 2 * 2 * 32 * 2);
        assertThat(CommandRun.run("models inspect", GOLDENS.resolve("gemma3").toString())
                        .out())
                .containsPattern("0-1, 3 +3 +4 +2 +32 +16 ")
                .containsPattern("  2 +1 +4 +2 +32 +all ")
                .contains("before and after attention and feed-forward, of queries and keys by head")
                .contains("a sequence, always on the device, in 3 layers");
    }

    @Test
    void layersAreWrittenAsRuns() {
        assertThat(ModelTable.ranges(List.of(7))).isEqualTo("7");
        assertThat(ModelTable.ranges(IntStream.range(0, 32).boxed().toList())).isEqualTo("0-31");
        assertThat(ModelTable.ranges(List.of(0, 1, 3))).isEqualTo("0-1, 3");
        assertThat(ModelTable.ranges(List.of(5, 11, 17, 23))).isEqualTo("5, 11, ... 23");
    }

    /** Only where activations are smaller than K and V. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "opt-6.7b | pays: activations take 262.14 kB a token, K and V 524.29 kB, so up to 50 %",
                "llama-3-8b | does not pay: activations take 262.14 kB a token, K and V 131.07 kB, as 4 query heads share one"
            })
    void whetherRecomputationPaysIsSaidWithFigures(String preset, String sentence) {
        assertThat(CommandRun.run("models inspect " + preset).out()).contains(sentence);
    }

    @Test
    void plansAreThoseOfTheCommandForPlans() throws IOException {
        JsonNode plans = json("opt-30b --hardware a100-40g").path("plans");
        CommandRun plan = CommandRun.run("plan --json --preset opt-30b --batch 16 --context 2048 --hardware a100-40g");
        CommandRun table = CommandRun.run("models inspect opt-30b --hardware a100-40g");

        assertThat(plans.valueStream().toList()).contains(JSON.readTree(plan.out()));
        assertThat(table.out()).contains("A100 40 GB", "1 x 2,048", "16 x 2,048", "does not fit: lacks");
        assertThat(CommandRun.run("models inspect opt-6.7b").out())
                .contains("H200", "the figures are those of h200", "128 GB are assumed", "all on the device");
    }

    @Test
    void theModelThatIsBuiltInIsTheDefault() throws IOException {
        JsonNode report = json("");

        assertThat(report.path("name").textValue()).isEqualTo("demo");
        assertThat(report.at("/model/model_type").textValue()).isEqualTo("opt");
        assertThat(report).isEqualTo(json("demo"));
    }

    private void copy(String golden, String... files) throws IOException {
        for (String file : files) {
            Files.copy(GOLDENS.resolve(golden).resolve(file), directory.resolve(file));
        }
    }

    @Test
    void aDirectoryWithoutWeightsIsDescribed() throws IOException {
        copy("gemma3", "config.json");
        JsonNode whole = json("", GOLDENS.resolve("gemma3").toString());
        JsonNode described = json("", directory.toString());

        assertThat(described.at("/model/missing_weights").textValue()).isEqualTo("there is no model.safetensors");
        assertThat(described.at("/model/weights").size()).isZero();
        assertThat(described.at("/model/parameters")).isEqualTo(whole.at("/model/parameters"));
        assertThat(described.at("/model/layers")).isEqualTo(whole.at("/model/layers"));
        assertThat(described.path("plans")).isEqualTo(whole.path("plans"));
        assertThat(CommandRun.run("models inspect", directory.toString()).out())
                .containsPattern("weights +missing: there is no model.safetensors");
    }

    /** Only their scales are not known. */
    @ParameterizedTest
    @ValueSource(strings = {"llama-gptq", "llama-w4a16", "qwen3-awq", "llama-fp8-block", "llama-fp8-channel"})
    void quantisedWeightsThatAreMissingAreCountedByTheConfiguration(String golden) throws IOException {
        copy(golden, "config.json");
        long whole = json("", GOLDENS.resolve(golden).toString())
                .at("/plans/0/memory/weights_bytes")
                .longValue();

        assertThat(json("", directory.toString())
                        .at("/plans/0/memory/weights_bytes")
                        .longValue())
                .isBetween(whole * 3 / 4, whole);
    }

    @Test
    void aDirectoryWithNoneOfItsShardsIsDescribed() throws IOException {
        copy("gemma3", "config.json");
        Files.writeString(
                directory.resolve("model.safetensors.index.json"),
                "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");

        assertThat(json("", directory.toString()).at("/model/missing_weights").textValue())
                .isEqualTo("there is none of the 2 files that model.safetensors.index.json names");
        Files.copy(GOLDENS.resolve("gemma3/model.safetensors"), directory.resolve("model-1.safetensors"));
        CommandRun run = CommandRun.run("models inspect", directory.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.error()).startsWith("weft: ").contains("has no tensor").hasLineCount(1);
    }

    @Test
    void whatCannotBeServedIsRefused() throws IOException {
        assertThat(CommandRun.run("models inspect", directory.resolve("none").toString())
                        .error())
                .startsWith("weft: ")
                .contains("there is no such directory")
                .hasLineCount(1);
        assertThat(CommandRun.run("models inspect", directory.toString()).error())
                .contains("config.json", "there is no such file")
                .hasLineCount(1);

        ObjectNode config =
                (ObjectNode) JSON.readTree(GOLDENS.resolve("gemma3/config.json").toFile());
        config.put("model_type", "mamba2");
        Files.writeString(directory.resolve("config.json"), config.toString());
        CommandRun run = CommandRun.run("models inspect", directory.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out()).isEmpty();
        assertThat(run.error())
                .startsWith("weft: ")
                .contains("linear attention is not served")
                .hasLineCount(1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "models | Missing required subcommand (weft models --help lists the flags)",
                "models inspect demo --weights int4 | --weights is \"int4\", but \"demo\" is no preset",
                "models inspect opt-1.3b --weights int3 | --weights is \"int3\", must be one of",
                "models inspect demo --hardware abacus | --hardware is \"abacus\", must be one of a100-40g"
            })
    void mistakesAreNamed(String line, String message) {
        CommandRun run = CommandRun.run(line);

        assertThat(run.status()).isEqualTo(2);
        assertThat(run.out()).isEmpty();
        assertThat(run.error()).contains(message);
    }
}
