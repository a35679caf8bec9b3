package io.weft.device;

import java.util.Optional;

/**
 * A weight matrix, and perhaps a bias, in the device's own layout: {@code out = in · Wᵀ + bias}. Every output element
 * is summed in one fixed order that depends on the input's width alone, so a row's result has the same bits whatever
 * other rows are in the call.
 */
public interface Linear {
    /** Elements of an output row. */
    int outFeatures();

    /** Elements of an input row. */
    int inFeatures();

    /** How the weights are stored; empty if they are elements of the device's type. */
    Optional<WeightEncoding> encoding();

    /** Bytes of device memory that the weights take. */
    long bytes();
}
