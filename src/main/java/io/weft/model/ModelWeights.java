package io.weft.model;

import io.weft.device.Embedding;
import io.weft.device.Linear;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import java.util.List;
import java.util.Optional;

/**
 * A model's weights in a device's memory.
 *
 * @param architecture what they are for
 * @param embedding token and position tables
 * @param rotary the rotary table, or empty with learned positions
 * @param layers one entry a layer
 * @param finalNorm before the head
 * @param head D to vocabulary
 */
public record ModelWeights(
        Architecture architecture,
        Embedding embedding,
        Optional<RotaryTable> rotary,
        List<Layer> layers,
        Norm finalNorm,
        Linear head) {
    public ModelWeights {
        layers = List.copyOf(layers);
    }

    /** One layer; shapes as in {@link Architecture.LayerTensors}. */
    public record Layer(
            Norm attentionNorm,
            Linear query,
            Linear keyValue,
            Linear output,
            Norm feedForwardNorm,
            Linear feedForwardIn,
            Linear feedForwardOut) {}
}
