package io.weft.device;

import java.util.List;

/**
 * The sizes of a {@link Linear} that is put together from parts.
 *
 * @param outFeatures rows of all parts
 * @param inFeatures columns of each
 */
public record LinearShape(int outFeatures, int inFeatures) {
    /**
     * The shape of what {@link Device#linear} is given.
     *
     * @throws IllegalArgumentException if parts are of different widths, or the bias is not as long as they are high
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
