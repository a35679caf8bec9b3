package io.weft.plan.whatif;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.device.Device;
import io.weft.device.Device.Allocation.Memory;
import io.weft.device.cpu.CpuDevice;
import io.weft.device.cpu.CpuOptions;
import io.weft.model.Architecture;
import io.weft.model.CacheGeometry;
import io.weft.model.ModelDimensions;
import io.weft.model.ModelFiles;
import io.weft.model.ModelPreset;
import io.weft.model.ModelSource;
import io.weft.model.ModelWeights;
import io.weft.model.PresetWeights;
import io.weft.model.RandomWeights;
import io.weft.model.WeightBits;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.Workspace;
import java.nio.file.Path;
import java.util.OptionalDouble;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against what is really allocated. */
class MemoryBudgetTest {
    private static final long POOL_BYTES = 1L << 30;
    private static final long STAGING_BYTES = 1 << 20;

    @ParameterizedTest
    @ValueSource(strings = {"opt", "llama3-gqa", "gemma", "llama-w4a16", "llama-gptq", "llama-fp8-block"})
    void workspaceAndWeightsAreWhatIsAllocated(String golden) throws Exception {
        Path directory = Path.of(getClass().getResource("/goldens/" + golden).toURI());
        MemoryBudget.Limits limits = new MemoryBudget.Limits(5, 300, 11, 4, 100);
        try (ModelFiles files = ModelFiles.open(new ModelSource.Directory(directory));
                Device device = new CpuDevice(new CpuOptions(POOL_BYTES, POOL_BYTES, OptionalDouble.empty(), 1))) {
            CacheGeometry geometry = new CacheGeometry(files.architecture().dimensions(), 4, 16, 64);
            MemoryBudget budget =
                    MemoryBudget.of(geometry, files.weightBits(), limits, POOL_BYTES, POOL_BYTES, STAGING_BYTES);
            Workspace.allocate(device, geometry, new StepLimits(5, 300, 11, 4, 100), STAGING_BYTES);
            assertThat(budget.workspaceBytes() + budget.stagingBytes()).isEqualTo(bytes(device, Memory.DEVICE));
            assertThat(budget.hostWorkspaceBytes()).isEqualTo(bytes(device, Memory.HOST));
            assertThat(budget.openBlockBytes())
                    .isEqualTo(new StepLimits(5, 300, 11, 4, 100).openBlocks(16) * geometry.openBlockBytes());
            long before = bytes(device, Memory.DEVICE);
            ModelWeights.load(files, device, 100, (layer, layers) -> {});
            // Norms, biases, tables of positions and padding of panels come on top; in these tiny models that is much.
            assertThat((double) (bytes(device, Memory.DEVICE) - before))
                    .isCloseTo((double) budget.weightsBytes(), Percentage.withPercentage(35));
        }
    }

    /** So large that not each of its tokens can be edited. */
    @Test
    void workspaceOfALargeVocabularyIsWhatIsAllocated() {
        Architecture architecture = new RandomWeights(ModelPreset.OPT_1_3B, PresetWeights.FP16, 1).architecture();
        CacheGeometry geometry = new CacheGeometry(architecture.dimensions(), 4, 16, 64);
        MemoryBudget.Limits limits = new MemoryBudget.Limits(5, 30, 9, 4, 100);
        MemoryBudget budget =
                MemoryBudget.of(geometry, WeightBits.PLAIN, limits, POOL_BYTES, POOL_BYTES, STAGING_BYTES);
        try (Device device = new CpuDevice(new CpuOptions(POOL_BYTES, POOL_BYTES, OptionalDouble.empty(), 1))) {
            Workspace.allocate(device, geometry, new StepLimits(5, 30, 9, 4, 100), STAGING_BYTES);
            assertThat(budget.workspaceBytes() + budget.stagingBytes()).isEqualTo(bytes(device, Memory.DEVICE));
            assertThat(budget.hostWorkspaceBytes()).isEqualTo(bytes(device, Memory.HOST));
        }
    }

    /** As the CUDA device reserves room: one matrix, the largest. */
    @Test
    void elementsOfAQuantisedMatrixAreCounted() {
        ModelDimensions dimensions = ModelPreset.LLAMA_3_8B.dimensions();
        CacheGeometry geometry = new CacheGeometry(dimensions, 2, 16, 256);
        long gateUpBytes = 2L * 14_336 * 4096 * 2;
        assertThat(workspaceBytes(geometry, new WeightBits(1, 4.25)) - workspaceBytes(geometry, WeightBits.PLAIN))
                .isEqualTo(gateUpBytes);
        CacheGeometry onCpu = new CacheGeometry(dimensions, 4, 16, 256);
        assertThat(workspaceBytes(onCpu, new WeightBits(1, 4.25))).isEqualTo(workspaceBytes(onCpu, WeightBits.PLAIN));
    }

    private static long workspaceBytes(CacheGeometry geometry, WeightBits weights) {
        return budget(geometry, weights).workspaceBytes();
    }

    private static MemoryBudget budget(CacheGeometry geometry, WeightBits weights) {
        long deviceBytes = 1L << 40;
        MemoryBudget.Limits limits = MemoryBudget.Limits.usual(geometry, 1, 1, deviceBytes);
        return MemoryBudget.of(geometry, weights, limits, deviceBytes, 0, 0);
    }

    private static long bytes(Device device, Memory memory) {
        return device.allocations().stream()
                .filter(allocation -> allocation.memory() == memory)
                .mapToLong(Device.Allocation::bytes)
                .sum();
    }

    /** Published sizes, in 10⁹ parameters; a tied head counts twice here, since it has memory of its own. */
    @ParameterizedTest
    @CsvSource({
        "opt-1.3b, 1.32",
        "opt-6.7b, 6.66",
        "opt-13b, 12.85",
        "opt-30b, 29.97",
        "llama-2-7b, 6.74",
        "llama-3-8b, 8.03",
        "llama-3-70b, 70.55",
        "qwen3-8b, 8.19",
        "qwen3-30b-a3b, 30.53",
        "gemma-3-12b, 11.77",
        "olmo-2-7b, 7.30",
        "phi-3-mini, 3.82",
        "gpt-oss-20b, 20.91"
    })
    void presetsHaveThePublishedSize(String name, double billions) {
        ModelDimensions dimensions = ModelPreset.of(name).dimensions();
        CacheGeometry geometry = new CacheGeometry(dimensions, 2, 16, 256);
        MemoryBudget budget = budget(geometry, WeightBits.PLAIN);
        double tied = name.startsWith("opt") || name.startsWith("gemma")
                ? (double) dimensions.vocabularySize() * dimensions.hiddenSize()
                : 0;
        assertThat((budget.weightsBytes() / 2.0 - tied) / 1e9).isCloseTo(billions, within(0.01 * billions));
    }
}
