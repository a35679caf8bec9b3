package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.Architecture.LinearTensors;
import io.weft.model.Architecture.NormTensors;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Presets are the published models. */
class ModelPresetTest {
    /** As Hugging Face counts the parameters of the published files; of Gemma 3, those of the language model. */
    @ParameterizedTest
    @CsvSource({
        "opt-1.3b, 1315758080",
        "opt-6.7b, 6658473984",
        "llama-2-7b, 6738415616",
        "llama-3-8b, 8030261248",
        "llama-3-70b, 70553706496",
        "qwen3-8b, 8190735360",
        "qwen3-30b-a3b, 30532122624",
        "gemma-3-12b, 11766034176",
        "olmo-2-7b, 7298617344",
        "phi-3-mini, 3821079552",
        "gpt-oss-20b, 20914757184"
    })
    void aPresetHasThePublishedNumberOfParameters(String label, long parameters) {
        assertThat(parameters(ModelPreset.of(label).architecture(1))).isEqualTo(parameters);
    }

    private static long parameters(Architecture architecture) {
        long[] count = new long[1];
        Set<String> tables = new HashSet<>();
        architecture.visit(new Architecture.TensorVisitor() {
            @Override
            public void table(String name, int rows, int columns) {
                tables.add(name);
                count[0] += (long) rows * columns;
            }

            @Override
            public void linear(LinearTensors tensors, int rows, int columns) {
                // A tied head has no parameters of its own.
                if (!tables.contains(tensors.weight().getFirst().tensor())) {
                    count[0] += (long) rows * columns + (tensors.bias().isEmpty() ? 0 : rows);
                }
            }

            @Override
            public void norm(NormTensors tensors, List<Integer> widths) {
                int width = widths.getFirst();
                count[0] += (tensors.gain().isPresent() ? width : 0)
                        + (tensors.bias().isPresent() ? width : 0);
            }

            @Override
            public void vector(String name, int elements) {
                count[0] += elements;
            }
        });
        return count[0];
    }

    @ParameterizedTest
    @CsvSource({
        // Layers that see all, their K and V, and the window of the others.
        "llama-3-70b,   80, 2048, ",
        "qwen3-8b,      36, 2048, ",
        "qwen3-30b-a3b, 48, 1024, ",
        "gemma-3-12b,    8, 4096, 1024",
        "olmo-2-7b,     32, 8192, ",
        "phi-3-mini,    32, 6144, ",
        "gpt-oss-20b,   12, 1024, 128"
    })
    void onlyLayersThatSeeAllAreCached(String label, int layers, int keyValueWidth, Integer window) {
        CacheGeometry geometry = new CacheGeometry(ModelPreset.of(label).dimensions(), 2, 16, 64);
        assertThat(geometry.cachedLayerCount()).isEqualTo(layers);
        assertThat(geometry.width(CacheForm.Content.KEY_VALUE)).isEqualTo(keyValueWidth);
        assertThat(geometry.window()).isEqualTo(window == null ? LayerDimensions.NO_WINDOW : window);
    }

    @Test
    void longerContextsAreMadeUp() {
        ModelPreset preset = ModelPreset.GEMMA_3_12B;
        assertThat(preset.dimensions().maxPositions()).isEqualTo(131_072);
        assertThat(preset.architecture(200_000).dimensions().maxPositions()).isEqualTo(200_000);
    }
}
