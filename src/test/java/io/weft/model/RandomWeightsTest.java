package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.weft.device.QuantisedTensor;
import io.weft.device.RandomTensor;
import io.weft.device.Tensor;
import io.weft.device.WeightCode;
import io.weft.model.Architecture.TensorRows;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Presets are models like others, without files. */
class RandomWeightsTest {
    private static final String QUERY = "model.layers.3.self_attn.q_proj.weight";

    @ParameterizedTest
    @EnumSource
    void everyPresetHasItsDimensions(ModelPreset preset) {
        Architecture architecture = new RandomWeights(preset, PresetWeights.FP16, 1).architecture();
        assertThat(architecture.dimensions()).isEqualTo(preset.dimensions());
    }

    @ParameterizedTest
    @EnumSource(names = {"FP8", "INT4"})
    void matricesOfLayersAreQuantisedAndTheRestIsNot(PresetWeights weights) {
        RandomWeights model = new RandomWeights(ModelPreset.LLAMA_3_8B, weights, 1);
        assertThat(model.tensor(QUERY))
                .isInstanceOfSatisfying(
                        QuantisedTensor.class,
                        tensor -> assertThat(tensor.encoding().code())
                                .isEqualTo(weights == PresetWeights.FP8 ? WeightCode.FP8_E4M3 : WeightCode.INT4));
        assertThat(model.tensor("lm_head.weight")).isInstanceOf(RandomTensor.class);
        assertThat(model.tensor("model.embed_tokens.weight")).isInstanceOf(RandomTensor.class);
        assertThat(model.storedType()).isEqualTo(weights.elementType());
    }

    @ParameterizedTest
    @EnumSource
    void elementsHaveTheVarianceOfOneByColumns(PresetWeights weights) {
        Tensor tensor = new RandomWeights(ModelPreset.LLAMA_3_8B, weights, 1).rows(new TensorRows(QUERY, 5, 8));
        double squares = 0;
        double sum = 0;
        float[] elements = elements(tensor);
        for (float element : elements) {
            sum += element;
            squares += (double) element * element;
        }
        assertThat(squares / elements.length * tensor.columns()).isBetween(0.95, 1.05);
        // Integers have half a step more below zero than above.
        assertThat(Math.abs(sum) / elements.length * Math.sqrt(tensor.columns()))
                .isLessThan(0.15);
    }

    @ParameterizedTest
    @EnumSource
    void rowsAreThoseOfTheWholeMatrix(PresetWeights weights) {
        Tensor whole = new RandomWeights(ModelPreset.OPT_1_3B, weights, 1)
                .tensor("model.decoder.layers.0.self_attn.k_proj.weight");
        assertThat(elements(whole.rows(3, 4).rows(1, 2))).isEqualTo(elements(whole.rows(4, 2)));
    }

    /** gpt-oss has gates and what they gate in alternating columns of a stack of matrices. */
    @ParameterizedTest
    @EnumSource
    void rowsThatAreNoRunHaveTheirShape(PresetWeights weights) {
        RandomWeights model = new RandomWeights(ModelPreset.GPT_OSS_20B, weights, 1);
        Architecture.FeedForward.Experts experts = (Architecture.FeedForward.Experts)
                model.architecture().layers().getFirst().feedForward();
        for (TensorRows rows : experts.experts().get(31).in().weight()) {
            assertThat(model.rows(rows).shape()).containsExactly(2880, 2880);
            assertThat(model.rows(rows) instanceof QuantisedTensor)
                    .isEqualTo(weights == PresetWeights.FP8 || weights == PresetWeights.INT4);
        }
        assertThat(model.rows(experts.experts().get(31).in().bias().getLast()).shape())
                .containsExactly(2880);
    }

    private static float[] elements(Tensor tensor) {
        float[] elements = new float[Math.toIntExact(tensor.elements())];
        if (tensor instanceof QuantisedTensor quantised) {
            quantised.dequantise(0, quantised.rows(), MemorySegment.ofArray(elements));
        } else {
            for (int i = 0; i < elements.length; i++) {
                elements[i] = tensor.element(i);
            }
        }
        return elements;
    }

    @Test
    void aSourceNamesThePresetAndItsWeights() {
        assertThat(ModelSource.parse("random:llama-3-8b"))
                .isEqualTo(new ModelSource.Random(ModelPreset.LLAMA_3_8B, PresetWeights.FP16));
        for (PresetWeights weights : PresetWeights.values()) {
            assertThat(ModelSource.parse(ModelSource.random("opt-13b", weights)))
                    .isEqualTo(new ModelSource.Random(ModelPreset.OPT_13B, weights));
        }
        assertThatThrownBy(() -> ModelSource.parse("random:opt-13b:int3"))
                .hasMessageContaining("weights is \"int3\"")
                .hasMessageContaining("bf16, fp16, fp8, int4");
    }
}
