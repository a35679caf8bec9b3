package io.weft.model;

import java.util.List;

/**
 * Layers of equal sizes. What they cost and store is the same.
 *
 * @param layer the sizes
 * @param layers their indices, ascending
 */
public record LayerGroup(LayerDimensions layer, List<Integer> layers) {
    public LayerGroup {
        layers = List.copyOf(layers);
        if (layers.isEmpty()) {
            throw new IllegalArgumentException("a group needs at least one layer");
        }
    }
}
