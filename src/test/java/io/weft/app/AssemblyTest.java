package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.weft.device.Device;
import io.weft.device.DeviceInfo;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.engine.BatchingEngine;
import io.weft.engine.EngineOptions;
import io.weft.engine.GenerationEvent;
import io.weft.engine.GenerationRequest;
import io.weft.engine.GenerationRequest.EndTokens;
import io.weft.engine.SamplingParameters;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelFiles;
import io.weft.model.ModelPreset;
import io.weft.model.ModelWeights;
import io.weft.observe.Observatory;
import io.weft.plan.machine.HardwarePreset;
import io.weft.plan.machine.HardwareProfile;
import io.weft.plan.whatif.PlanQuestion;
import io.weft.profile.HardwareProfiler;
import io.weft.profile.ProfileStore;
import io.weft.profile.ProfileStore.StoredProfile;
import io.weft.profile.ProfilingMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AssemblyTest {
    private static final CacheGeometry GEOMETRY = PlanQuestion.usualGeometry(ModelPreset.OPT_1_3B.dimensions());

    @TempDir
    Path directory;

    private Settings settings(Map<String, String> properties) {
        Map<String, String> all = new HashMap<>(properties);
        all.put("weft.profile-directory", directory.toString());
        return Settings.read(new SmallRyeConfigBuilder()
                .withSources(new PropertiesConfigSource(all, "test", 1000))
                .build());
    }

    @Test
    void aPlanForThisMachineDoesNotFindWhatWasMeasuredWithAThrottledLink() {
        Settings throttled = settings(Map.of("weft.cpu.link-gbps", "0.5"));
        ProfileStore searched = new ProfileStore(directory);
        try (Device device = new CpuDevice(new CpuOptions(1 << 20, 1 << 20, OptionalDouble.of(0.5), 1))) {
            StoredProfile profile =
                    StoredProfile.of(device, GEOMETRY, HardwarePreset.T4.spec().profile(GEOMETRY));
            ProfileStore store = new ProfileStore(Assembly.profileDirectory(throttled, device.info()));
            store.save(profile);

            assertThat(store.load(profile.key())).as("a later run of the kind").isPresent();
            assertThat(searched.newest(GEOMETRY.dimensions())).isEmpty();

            new ProfileStore(Assembly.profileDirectory(settings(Map.of()), device.info())).save(profile);
            assertThat(searched.newest(GEOMETRY.dimensions())).contains(profile);
        }
    }

    /** The end is looked for in both configurations, then in the tokenizer's, then in what the family assumes. */
    @Test
    void theEndOfATextMayBeNamedInSeveralFiles() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/test/resources/goldens/opt"))) {
            for (Path file : files.toList()) {
                Files.copy(file, directory.resolve(file.getFileName()));
            }
        }
        Path config = directory.resolve("config.json");
        Path generation = directory.resolve("generation_config.json");
        Path tokenizer = directory.resolve("tokenizer_config.json");
        String silent = Files.readString(config).replaceFirst("\"eos_token_id\": *\\d+,", "");

        Files.writeString(generation, "{\"eos_token_id\": [5, 6]}");
        assertThat(endTokens()).containsExactlyInAnyOrder(5, 6);
        Files.writeString(generation, "{}");
        assertThat(endTokens()).containsExactly(2);
        Files.writeString(config, silent);
        Files.writeString(tokenizer, "{\"eos_token\": {\"content\": \"<pad>\"}}");
        assertThat(endTokens()).containsExactly(1);
        Files.writeString(tokenizer, "{\"eos_token\": \"no such token\"}");
        assertThat(endTokens()).containsExactly(2);
        Files.writeString(config, silent.replaceFirst("\\{", "{\"eos_token_id\": null,"));
        assertThat(endTokens()).isEmpty();
    }

    private Set<Integer> endTokens() {
        try (ModelFiles files = Assembly.open(directory.toString())) {
            return Assembly.endTokens(files);
        }
    }

    @Test
    void whatHasNoEffectIsSaidInOneLine() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/test/resources/goldens/opt"))) {
            for (Path file : files.toList()) {
                Files.copy(file, directory.resolve(file.getFileName()));
            }
        }
        Files.writeString(directory.resolve("generation_config.json"), "{\"num_beams\": 4, \"typical_p\": 0.5}");
        try (ModelFiles files = Assembly.open(directory.toString())) {
            assertThat(Assembly.ignored(files).orElseThrow())
                    .endsWith("generation_config.json: these fields have no effect: num_beams, typical_p");
        }
        Files.writeString(directory.resolve("generation_config.json"), "{\"num_beams\": 1}");
        try (ModelFiles files = Assembly.open(directory.toString())) {
            assertThat(Assembly.ignored(files)).isEmpty();
        }
    }

    /** Codes of the same size would be read as one another's. */
    @Test
    void blocksOnADiskAreThoseOfOnePolicy() throws InterruptedException {
        assertThat(tokensFoundOnDisk("fp8")).isZero();
        assertThat(tokensFoundOnDisk("int8")).isZero();
        assertThat(tokensFoundOnDisk("exact")).isZero();
        assertThat(tokensFoundOnDisk("fp8")).isEqualTo(128);
    }

    private int tokensFoundOnDisk(String encoding) throws InterruptedException {
        Settings settings = settings(Map.of(
                "weft.model", "src/test/resources/goldens/opt",
                "weft.device", "cpu",
                "weft.device-memory", "128MB",
                "weft.host-memory", "64MB",
                "weft.max-sequences", "2",
                "weft.block-tokens", "64",
                "weft.cell-tokens", "64",
                "weft.cache-encoding", encoding,
                "weft.cache-directory", directory.resolve("blocks").toString()));
        BatchingEngine engine = new BatchingEngine(
                phase -> Assembly.load(settings, new Unmeasured(), progress -> {})
                        .runtime(settings.cache().schedule()),
                EngineOptions.queueing(1));
        engine.awaitServing();
        int found = engine.generate(request(1)).collect().asList().await().indefinitely().stream()
                .filter(GenerationEvent.Admitted.class::isInstance)
                .mapToInt(event -> ((GenerationEvent.Admitted) event).hit().diskTokens())
                .sum();
        engine.drain(Duration.ofMinutes(10));
        engine.close();
        return found;
    }

    private static GenerationRequest request(int maxNewTokens) {
        return new GenerationRequest(
                Collections.nCopies(150, 7),
                maxNewTokens,
                SamplingParameters.greedy(),
                EndTokens.IGNORE,
                OptionalInt.empty(),
                OptionalInt.empty());
    }

    /** Also a model whose activations are larger than K and V, and one that caches nothing but windows. */
    @ParameterizedTest
    @ValueSource(strings = {"opt", "llama3-gqa", "mistral-window"})
    void everyScheduleServesEveryModel(String model) throws InterruptedException {
        Set<List<Integer>> texts = new HashSet<>();
        for (Settings.ScheduleChoice schedule : Settings.ScheduleChoice.values()) {
            Settings settings = settings(Map.of(
                    "weft.model", "src/test/resources/goldens/" + model,
                    "weft.device", "cpu",
                    "weft.device-memory", "128MB",
                    "weft.host-memory", "64MB",
                    "weft.max-sequences", "2",
                    "weft.schedule", schedule.label()));
            BatchingEngine engine = new BatchingEngine(
                    phase -> Assembly.load(settings, new Unmeasured(), progress -> {})
                            .runtime(settings.cache().schedule(), new Observatory()),
                    EngineOptions.queueing(1));
            engine.awaitServing();
            texts.add(engine.generate(request(20)).collect().asList().await().indefinitely().stream()
                    .filter(GenerationEvent.Generated.class::isInstance)
                    .map(event -> ((GenerationEvent.Generated) event).token())
                    .toList());
            engine.drain(Duration.ofMinutes(10));
            engine.close();
        }
        assertThat(texts)
                .singleElement()
                .asInstanceOf(InstanceOfAssertFactories.LIST)
                .hasSize(20);
    }

    /** A machine as its data sheet has it, on which reading takes less time than computing. */
    private static final class Unmeasured extends HardwareProfiler {
        @Override
        public HardwareProfile profile(
                Device device, ModelWeights weights, CacheGeometry geometry, ProfilingMemory memory, Path directory) {
            return HardwarePreset.T4.spec().profile(geometry).withComputeTimes(1e6);
        }
    }

    @Test
    void aDirectoryThatCannotBeUsedIsSaidAtOnce() throws IOException {
        Assembly.requireUsable(directory.resolve("is/made"));
        assertThat(directory.resolve("is/made")).isDirectory();
        Path file = Files.writeString(directory.resolve("file"), "");
        assertThatThrownBy(() -> Assembly.requireUsable(file))
                .isInstanceOf(SettingException.class)
                .hasMessageStartingWith("weft.cache-directory is \"" + file);
    }

    @Test
    void theSettingOfTheCpuDevicesLinkConcernsNoOtherDevice() {
        Settings throttled = settings(Map.of("weft.cpu.link-gbps", "0.5"));

        assertThat(Assembly.profileDirectory(throttled, new DeviceInfo("cuda", "a GPU", 1, 1, 256)))
                .isEqualTo(directory);
    }
}
