package io.weft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.device.Device;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelPreset;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.profile.ProfileStore;
import io.weft.profile.ProfileStore.StoredProfile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.OptionalDouble;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code weft plan} and {@code weft profile --load}, as people type them; no device is started. */
class PlanCommandTest {
    private static final CacheGeometry GEOMETRY = PlanQuestion.usualGeometry(ModelPreset.OPT_1_3B.dimensions());

    @TempDir
    Path directory;

    @BeforeEach
    void keepProfilesHere() {
        System.setProperty("weft.profile-directory", directory.toString());
    }

    @AfterEach
    void forget() {
        System.clearProperty("weft.profile-directory");
        System.clearProperty("weft.cache-encoding");
    }

    @Test
    void helpNamesAllPresets() {
        assertThat(WeightsOption.PRESETS.split(", ")).containsExactlyInAnyOrderElementsOf(ModelPreset.labels());
    }

    private static JsonNode json(String line, String... more) throws IOException {
        CommandRun run = CommandRun.run(line.replaceFirst("plan ", "plan --json "), more);
        assertThat(run.error()).isEmpty();
        assertThat(run.status()).isZero();
        return new ObjectMapper().readTree(run.out());
    }

    private Path profile() throws IOException {
        try (Device device = new CpuDevice(new CpuOptions(1 << 30, 1 << 30, OptionalDouble.empty(), 1))) {
            Path file = directory.resolve("saved.json");
            ProfileStore.write(
                    StoredProfile.of(device, GEOMETRY, HardwarePreset.T4.spec().profile(GEOMETRY)), file);
            return file;
        }
    }

    @Test
    void theTableSaysWhatTheIssueAsks() {
        CommandRun run =
                CommandRun.run("plan --preset opt-30b --batch 16 --context 4096 --hardware a100-40g --gpu-memory 80GB");

        assertThat(run.error()).isEmpty();
        assertThat(run.status()).isZero();
        assertThat(run.out())
                .contains("opt-30b", "16 x 4,096 tokens", "A100")
                .contains("weights", "workspace", "staging", "left for the cache", "80.00 GB")
                .contains("device_kv", "device_act", "host_kv", "host_act")
                .contains("over the link", "recomputed", "predicted step", "tokens/s", "bound by")
                .contains("resident", "full-transfer", "kvpr", "chunked")
                .contains("largest context", "largest batch")
                .contains("128 GB are assumed", "not measured", "more than the model has positions for, 2,048");
    }

    @Test
    void layersAreShownByGroup() {
        CommandRun run = CommandRun.run("plan --model src/test/resources/goldens/gemma3 --context 1000 --hardware t4");

        assertThat(run.out())
                .containsPattern("the newest 16 +3 +4 +2 +32 +256 B +always on the device")
                .containsPattern("all tokens +1 +4 +2 +32 +256 B")
                .containsPattern("windows +[0-9.]+ MB +0 B");
    }

    @Test
    void jsonHasTheSameFigures() throws IOException {
        JsonNode plan = json("plan --preset opt-30b --batch 16 --context 2048 --hardware a100-40g --gpu-memory 80GB"
                + " --host-memory 256GB --link-gbps 20 --tflops 100");

        for (String key : new String[] {
            "predicted_step_millis", "tokens_per_second", "bound_by", "recompute_flops_per_step", "largest_context"
        }) {
            assertThat(plan.has(key)).as(key).isTrue();
        }
        assertThat(plan.path("fits").booleanValue()).isTrue();
        assertThat(plan.path("bound_by").textValue()).isIn("link", "compute", "device_memory", "host_memory");
        assertThat(plan.path("tokens_by_form")
                        .valueStream()
                        .mapToLong(JsonNode::longValue)
                        .sum())
                .isEqualTo(16 * 2048);
        assertThat(plan.path("alternatives").findValuesAsText("name"))
                .contains("resident", "full-transfer", "kvpr", "chunked");
        // Nothing crosses faster than the link.
        double linkMillis = plan.path("link_bytes_per_step").doubleValue() / 20e9 * 1e3;
        assertThat(plan.path("predicted_step_millis").doubleValue()).isGreaterThanOrEqualTo(linkMillis);
        assertThat(plan.path("largest_batch").intValue()).isGreaterThanOrEqualTo(16);
        assertThat(plan.at("/memory/host_bytes").longValue()).isEqualTo(256_000_000_000L);
    }

    /** The setting of the paper; what chunks and the split gain there is in docs/planning.md. */
    @Test
    void thePapersSetting() throws IOException {
        JsonNode plan = json(
                "plan --preset opt-6.7b --batch 64 --context 192 --hardware a100-40g" + " --forms host_kv,host_act");

        double full = alternative(plan, "full-transfer");
        double kvpr = alternative(plan, "kvpr");
        double chunked = alternative(plan, "chunked");
        assertThat(1 - kvpr / full).isBetween(0.2, 0.358);
        assertThat(chunked).isLessThan(0.75 * kvpr);
        assertThat(plan.path("predicted_step_millis").doubleValue()).isEqualTo(chunked);
        assertThat(alternative(plan, "resident")).isLessThan(chunked);
    }

    private static double alternative(JsonNode plan, String name) {
        return plan.path("alternatives")
                .valueStream()
                .filter(other -> other.path("name").textValue().equals(name))
                .findFirst()
                .orElseThrow()
                .path("predicted_step_millis")
                .doubleValue();
    }

    @Test
    void formsCanBeRestricted() throws IOException {
        String question = "plan --preset opt-6.7b --batch 32 --context 1024 --hardware h100 --gpu-memory 26GB";
        JsonNode all = json(question);
        JsonNode keyValues = json(question + " --forms device_kv,host_kv");

        assertThat(keyValues.at("/tokens_by_form/host_act").longValue()).isZero();
        assertThat(keyValues.at("/tokens_by_form/device_act").longValue()).isZero();
        assertThat(keyValues.path("recompute_flops_per_step").doubleValue()).isZero();
        assertThat(all.path("predicted_step_millis").doubleValue())
                .isLessThan(keyValues.path("predicted_step_millis").doubleValue());
    }

    @Test
    void aLossyEncodingIsPlannedWithItsForms() throws IOException {
        String question = "plan --preset opt-6.7b --batch 32 --context 1024 --hardware h100 --gpu-memory 40GB";
        JsonNode exact = json(question + " --forms host_kv");
        JsonNode int4 = json(question + " --cache-encoding int4 --forms host_int4");

        assertThat(int4.path("tokens_by_form").properties())
                .extracting(entry -> entry.getKey())
                .containsExactly("device_int4", "host_int4");
        assertThat(int4.at("/tokens_by_form/host_int4").longValue()).isEqualTo(32 * 1024);
        assertThat(int4.path("link_bytes_per_step").doubleValue()
                        / exact.path("link_bytes_per_step").doubleValue())
                .isBetween(0.25, 0.29);
        assertThat(CommandRun.run(question + " --cache-encoding fp8").out())
                .containsPattern("cache encoding +fp8")
                .contains("device_fp8", "host_fp8")
                .doesNotContain("host_kv", "packed");
        assertThat(json(question).at("/tokens_by_form").has("host_fp8")).isTrue();
        System.clearProperty("weft.cache-encoding");
        assertThat(json(question).at("/tokens_by_form").has("host_fp8")).isFalse();
    }

    @Test
    void whatDoesNotFitSaysWhatIsMissing() {
        CommandRun run =
                CommandRun.run("plan --preset opt-13b --batch 96 --context 2048 --hardware h100 --host-memory 1GB");

        assertThat(run.status()).isZero();
        assertThat(run.out()).contains("does not fit", "more device memory", "more host memory", "lacks");
    }

    @Test
    void aMeasuredMachineIsUsedWhereThereIsOne() throws IOException {
        assertThat(json("plan --preset opt-1.3b").path("measured").booleanValue())
                .isFalse();
        assertThat(CommandRun.run("plan --preset opt-1.3b").out()).contains("none was measured here", "h200");
        StoredProfile stored = ProfileStore.read(profile());
        new ProfileStore(directory).save(stored);

        JsonNode here = json("plan --preset opt-1.3b");
        JsonNode there = json("plan --profile", directory.resolve("saved.json").toString());

        assertThat(here.path("measured").booleanValue()).isTrue();
        assertThat(here.path("hardware").textValue()).contains("T4");
        assertThat(here.at("/memory/device_bytes").longValue()).isEqualTo(1 << 30);
        assertThat(there).isEqualTo(here);
    }

    @Test
    void theMachineIsNamedAndSinceWhenItIsKnown() throws IOException {
        StoredProfile now = ProfileStore.read(profile());
        Instant measuredAt = Instant.parse("2026-02-03T04:05:06Z");
        StoredProfile stored = new StoredProfile(
                now.version(),
                now.key(),
                measuredAt,
                now.geometry(),
                now.deviceBytes(),
                now.hostBytes(),
                now.profile());
        new ProfileStore(directory).save(stored);
        Path file = directory.resolve("then.json");
        ProfileStore.write(stored, file);
        String date = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm").format(measuredAt.atZone(ZoneId.systemDefault()));

        assertThat(CommandRun.run("plan --preset opt-1.3b").out())
                .containsPattern("on .*T4")
                .containsPattern("machine +measured here " + date);
        assertThat(CommandRun.run("plan --profile", file.toString()).out())
                .containsPattern("machine +file .*then.json, measured " + date);
        assertThat(CommandRun.run("plan --preset opt-1.3b --hardware l40s").out())
                .containsPattern("machine +public figures of l40s");
    }

    @Test
    void aSlowerLinkCanBeAskedForOfAMeasuredMachine() throws IOException {
        String file = profile().toString();
        String question = "plan --gpu-memory 4GB --host-memory 64GB --forms host_kv --batch 8 --context 1024 --profile";
        JsonNode slow = json(question, file, "--link-gbps", "1");
        JsonNode own = json(question, file);

        double linkMillis = slow.path("link_bytes_per_step").doubleValue() / 1e9 * 1e3;
        assertThat(slow.path("predicted_step_millis").doubleValue()).isBetween(linkMillis, 1.1 * linkMillis);
        assertThat(own.path("predicted_step_millis").doubleValue()).isLessThan(linkMillis / 5);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--preset gpt-5 --hardware t4 | preset is \"gpt-5\", must be one of opt-1.3b",
                "--preset opt-1.3b --hardware abacus | hardware is \"abacus\", must be one of a100-40g",
                "--batch 0 | --batch is 0, must be from 1 to 1024",
                "--context 4194305 | --context is 4194305, must be from 1 to 4194304",
                "--gpu-memory lots | --gpu-memory is \"lots\", must be a size",
                "--gpu-memory 0 | --gpu-memory is \"0\", must be from 1",
                "--host-memory 9999TB | --host-memory is \"9999TB\", must be from 0",
                "--link-gbps 0 | --link-gbps is 0.0, must be above 0",
                "--link-gbps NaN | --link-gbps is NaN, must be above 0",
                "--tflops -1 | --tflops is -1.0, must be above 0",
                "--forms kv --hardware t4 | forms has \"kv\", must be of device_kv",
                "--forms device_act,host_act --preset llama-3-8b --hardware t4 | forms has activations only, must have one with K and V",
                "--cache-encoding fp4 | --cache-encoding is \"fp4\", must be one of exact, fp8, int8, int4",
                "--forms host_fp8 --hardware t4 | forms has \"host_fp8\", must be of device_kv",
                "--cache-encoding fp8 --forms host_kv --hardware t4 | forms has \"host_kv\", must be of device_fp8, host_fp8",
                "--preset opt-1.3b --model demo | --preset is \"opt-1.3b\", but --model is given, too",
                "--weights int4 --model demo | --weights is \"int4\", but there is no --preset",
                "--hardware t4 --profile x | --hardware is \"t4\", but --profile is given, too"
            })
    void mistakesAreNamed(String flags, String message) {
        CommandRun run = CommandRun.run("plan " + flags);

        assertThat(run.status()).isEqualTo(2);
        assertThat(run.out()).isEmpty();
        assertThat(run.error()).contains(message);
    }

    @Test
    void aProfileSaysNothingOfAnotherModelOrOfPeakRates() throws IOException {
        String file = profile().toString();

        assertThat(CommandRun.run("plan --preset opt-13b --profile", file).error())
                .contains("measured with another model", "name hardware");
        assertThat(CommandRun.run("plan --tflops 100 --profile", file).error()).contains("tflops is given");
    }

    @ParameterizedTest
    @ValueSource(strings = {"plan --profile", "profile --load"})
    void aFileThatIsNoProfile(String command) throws IOException {
        Path file = Files.writeString(directory.resolve("x.json"), "{}");

        for (String name :
                new String[] {file.toString(), directory.resolve("none.json").toString()}) {
            CommandRun run = CommandRun.run(command, name);
            assertThat(run.status()).isEqualTo(1);
            assertThat(run.error()).startsWith("weft: ").contains(name).hasLineCount(1);
        }
    }

    @Test
    void aProfileIsPlottedAndSavedAgain() throws IOException {
        Path file = profile();
        Path copy = directory.resolve("copy.json");
        CommandRun run = CommandRun.run("profile --load", file.toString(), "--save", copy.toString());

        assertThat(run.status()).isZero();
        assertThat(run.out())
                .contains("T4", "24 layers of 2,048", "host to device", "GB/s", "K and V", "TFLOP/s", "####");
        assertThat(ProfileStore.read(copy)).isEqualTo(ProfileStore.read(file));
    }

    @Test
    void theModelThatIsBuiltInHasAPlan() throws IOException {
        JsonNode plan = json("plan --model demo --batch 1 --context 1 --hardware t4");

        assertThat(plan.path("fits").booleanValue()).isTrue();
        assertThat(plan.path("tokens_by_form")
                        .valueStream()
                        .mapToLong(JsonNode::longValue)
                        .sum())
                .isEqualTo(1);
    }
}
