package io.weft.device;

import java.util.List;

/**
 * The weights of one expert on their way to a device: a gated feed-forward network of width D and inner width F. Each
 * list has matrices whose rows, one after the other, are the output features, or vectors that make up the bias in the
 * same way.
 *
 * @param gateUp (2·F, D): gates, then the values that they gate
 * @param gateUpBias (2·F), or empty for none
 * @param down (D, F)
 * @param downBias (D), or empty for none
 */
public record ExpertWeights(
        List<? extends Tensor> gateUp,
        List<? extends Tensor> gateUpBias,
        List<? extends Tensor> down,
        List<? extends Tensor> downBias) {
    public ExpertWeights {
        gateUp = List.copyOf(gateUp);
        gateUpBias = List.copyOf(gateUpBias);
        down = List.copyOf(down);
        downBias = List.copyOf(downBias);
    }

    /** An expert without biases. */
    public ExpertWeights(List<? extends Tensor> gateUp, List<? extends Tensor> down) {
        this(gateUp, List.of(), down, List.of());
    }
}
