package io.weft.model;

import io.weft.model.ModelDimensions.FeedForwardKind;
import java.util.Arrays;
import java.util.List;

/** Well-known models by their published dimensions, for planning and benchmarks without files. */
public enum ModelPreset {
    OPT_1_3B("opt-1.3b", opt(24, 2048, 32)),
    OPT_6_7B("opt-6.7b", opt(32, 4096, 32)),
    OPT_13B("opt-13b", opt(40, 5120, 40)),
    OPT_30B("opt-30b", opt(48, 7168, 56)),
    LLAMA_2_7B("llama-2-7b", llama(32, 11_008, 32_000, 4096)),
    LLAMA_3_8B("llama-3-8b", llama(8, 14_336, 128_256, 8192));

    private final String label;
    /** A record of numbers. */
    @SuppressWarnings("ImmutableEnumChecker")
    private final ModelDimensions dimensions;

    ModelPreset(String label, ModelDimensions dimensions) {
        this.label = label;
        this.dimensions = dimensions;
    }

    /** Zhang et al. 2022: the inner layer has four times the hidden size. */
    private static ModelDimensions opt(int layers, int hidden, int heads) {
        return new ModelDimensions(
                layers, hidden, heads, heads, hidden / heads, 4 * hidden, FeedForwardKind.PLAIN, 50_272, 2048);
    }

    /** Touvron et al. 2023, Grattafiori et al. 2024: the sizes of 7B and 8B. */
    private static ModelDimensions llama(int keyValueHeads, int feedForward, int vocabulary, int positions) {
        return new ModelDimensions(
                32, 4096, 32, keyValueHeads, 128, feedForward, FeedForwardKind.GATED, vocabulary, positions);
    }

    /** The name that users type. */
    public String label() {
        return label;
    }

    public ModelDimensions dimensions() {
        return dimensions;
    }

    /** The names of all presets. */
    public static List<String> labels() {
        return Arrays.stream(values()).map(ModelPreset::label).toList();
    }

    /**
     * The preset with this name.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static ModelPreset of(String label) {
        return Arrays.stream(values())
                .filter(preset -> preset.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "preset is \"" + label + "\", must be one of " + String.join(", ", labels())));
    }
}
