package io.weft.device;

import java.util.List;

/**
 * The sizes of a {@link Linear} that consists of parts.
 *
 * @param outFeatures rows of all parts
 * @param inFeatures columns of each part
 */
public record LinearShape(int outFeatures, int inFeatures) {
    /**
     * The shape of the arguments of {@link Device#linear}.
     *
     * @throws IllegalArgumentException if parts differ in width, or the bias has not one element per row
     */
    public static LinearShape of(String purpose, List<? extends Tensor> rows, List<? extends Tensor> bias) {
        int inFeatures = rows.getFirst().columns();
        int outFeatures = rows.stream().mapToInt(Tensor::rows).sum();
        int biasFeatures = bias.stream().mapToInt(Tensor::rows).sum();
        if (rows.stream().anyMatch(part -> part.columns() != inFeatures)) {
            throw new IllegalArgumentException(purpose + ": matrices of different widths");
        }
        if (!bias.isEmpty() && biasFeatures != outFeatures) {
            throw new IllegalArgumentException(
                    "%s: bias has %d elements, must have %d".formatted(purpose, biasFeatures, outFeatures));
        }
        return new LinearShape(outFeatures, inFeatures);
    }
}
