package io.weft.check;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.device.Device;
import io.weft.device.ElementType;
import io.weft.device.cpu.RoundingDevice;
import io.weft.model.CachePolicy;
import io.weft.model.ModelFiles;
import io.weft.model.ModelSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The tolerances of small models hold on a device whose numbers have 16 bits. */
class PipelineChecksTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens");
    private static final long BUDGET_BYTES = 1L << 30;

    /** Those that are furthest off, those with experts, whose choices may change, and quantised weights. */
    @ParameterizedTest
    @ValueSource(strings = {"phi3-longrope", "mixtral", "gpt-oss", "gemma4", "llama-gptq"})
    void roundingToSixteenBitsIsWithinTheTolerance(String name) throws Exception {
        check(GOLDENS.resolve(name));
    }

    static List<Path> goldens() throws IOException {
        try (Stream<Path> folders = Files.list(GOLDENS)) {
            return folders.sorted().toList();
        }
    }

    @Tag("soak")
    @ParameterizedTest
    @MethodSource("goldens")
    void roundingOfEveryModelIsWithinTheTolerance(Path directory) throws Exception {
        check(directory);
    }

    /** As on a device. */
    @ParameterizedTest
    @EnumSource(value = CachePolicy.class, names = "EXACT", mode = EnumSource.Mode.EXCLUDE)
    void bitsAreTheSameUnderALossyPolicy(CachePolicy policy) throws IOException {
        List<CheckResult> results = new ArrayList<>();
        try (ModelFiles files = ModelFiles.open(new ModelSource.Directory(GOLDENS.resolve("llama3-gqa")));
                Device device = new RoundingDevice(BUDGET_BYTES, ElementType.BF16)) {
            new PipelineChecks("llama3-gqa", files, device, 16, 16, policy, results::add).sameBitsMixed();
        }
        assertThat(results)
                .isNotEmpty()
                .allSatisfy(result ->
                        assertThat(result.passed()).as(result.toString()).isTrue());
    }

    private static void check(Path directory) throws IOException {
        for (ElementType type : List.of(ElementType.F16, ElementType.BF16)) {
            List<CheckResult> results = new ArrayList<>();
            try (ModelFiles files = ModelFiles.open(new ModelSource.Directory(directory));
                    Device device = new RoundingDevice(BUDGET_BYTES, type)) {
                new PipelineChecks(directory + " in " + type, files, device, 16, 32, results::add)
                        .reference(directory.resolve("golden.json"), type);
            }
            assertThat(results)
                    .isNotEmpty()
                    .allSatisfy(result ->
                            assertThat(result.passed()).as(result.toString()).isTrue())
                    // What rounds nothing would be off by nothing.
                    .anySatisfy(result -> assertThat(result.error()).isPositive());
        }
    }
}
