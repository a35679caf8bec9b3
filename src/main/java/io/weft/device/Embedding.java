package io.weft.device;

/**
 * Embedding tables on the device. Row {@code i} of the output is {@code scale · tokens[id_i] + positions[position_i +
 * positionOffset]}; without learned positions the second term is absent.
 */
public interface Embedding {
    /** Elements of an output row. */
    int width();

    /** Bytes of device memory that the tables take. */
    long bytes();
}
