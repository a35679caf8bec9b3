package io.weft.device.cpu;

import io.weft.device.ExpertShape;
import io.weft.device.Experts;
import java.util.List;

/**
 * Two matrices for each expert.
 *
 * @param gateUp (2·F, D) of each expert
 * @param down (D, F) of each expert
 */
record CpuExperts(ExpertShape shape, List<CpuLinear> gateUp, List<CpuLinear> down, long bytes) implements Experts {
    /** A row's partial result for each of its experts, and room for all rows of one expert. */
    @Override
    public long scratchBytes(int rows, int chosen) {
        return (long) rows * chosen * (2L * shape.width() + 3L * shape.innerWidth()) * Float.BYTES;
    }
}
