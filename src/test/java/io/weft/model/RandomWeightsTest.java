package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Presets are models like others, without files. */
class RandomWeightsTest {
    @ParameterizedTest
    @EnumSource
    void everyPresetHasItsDimensions(ModelPreset preset) {
        Architecture architecture = new RandomWeights(preset, 1).architecture();
        assertThat(architecture.dimensions()).isEqualTo(preset.dimensions());
    }
}
