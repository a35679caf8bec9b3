package io.weft.model;

import io.weft.device.ElementType;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import io.weft.device.WeightEncoding.Zero;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** How the random weights of a preset are stored. Quantised are the matrices of layers, as in published checkpoints. */
public enum PresetWeights {
    BF16("bf16", ElementType.BF16),
    FP16("fp16", ElementType.F16),
    /** With a scale a row and 128 columns. */
    FP8("fp8", ElementType.BF16),
    /** With a scale a row and 128 columns. */
    INT4("int4", ElementType.F16);

    private static final int GROUP_COLUMNS = 128;

    private final String label;
    private final ElementType elementType;

    PresetWeights(String label, ElementType elementType) {
        this.label = label;
        this.elementType = elementType;
    }

    /** The name that users type. */
    public String label() {
        return label;
    }

    /** The element type of what is not quantised, and of scales. */
    public ElementType elementType() {
        return elementType;
    }

    /** How a matrix of a layer is stored; empty if it is not quantised. */
    Optional<WeightEncoding> encoding(int columns) {
        return switch (this) {
            case BF16, FP16 -> Optional.empty();
            case FP8 -> Optional.of(encoding(WeightCode.FP8_E4M3, columns));
            case INT4 -> Optional.of(encoding(WeightCode.INT4, columns));
        };
    }

    private WeightEncoding encoding(WeightCode code, int columns) {
        return new WeightEncoding(code, Math.min(GROUP_COLUMNS, columns), Zero.MIDDLE, elementType);
    }

    /** The names of all. */
    public static List<String> labels() {
        return Arrays.stream(values()).map(PresetWeights::label).toList();
    }

    /**
     * The weights with this name.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static PresetWeights of(String label) {
        return Arrays.stream(values())
                .filter(weights -> weights.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "weights is \"" + label + "\", must be one of " + String.join(", ", labels())));
    }
}
