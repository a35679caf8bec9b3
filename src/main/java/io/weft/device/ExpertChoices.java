package io.weft.device;

/**
 * The experts of rows in device memory, as {@link Kernels#route} writes them: a row's experts differ.
 *
 * @param perRow experts of a row, k
 * @param ids (rows, k) int32: the expert with the largest logit first
 * @param weights (rows, k) fp32: factors of their outputs
 */
public record ExpertChoices(int perRow, DeviceBuffer ids, DeviceBuffer weights) {
    public ExpertChoices {
        if (perRow < 1) {
            throw new IllegalArgumentException("perRow is " + perRow + ", must be at least 1");
        }
    }
}
