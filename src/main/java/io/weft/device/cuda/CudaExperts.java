package io.weft.device.cuda;

import io.weft.device.ExpertShape;
import io.weft.device.Experts;
import java.util.Optional;

/**
 * Weights of all experts, row-major in the device's element type or quantised.
 *
 * @param gateUp (E, 2·F, D)
 * @param down (E, D, F)
 */
record CudaExperts(ExpertShape shape, Matrices gateUp, Matrices down, long bytes) implements Experts {
    /**
     * A matrix (N, K) of each expert.
     *
     * @param weights address of (E, N, K); 0 if they are quantised
     * @param quantised quantised weights (E·N, K)
     * @param bias address of (E, N); 0 without a bias
     */
    record Matrices(long weights, Optional<QuantisedMemory> quantised, long bias) {}

    /** Whether products read codes. */
    boolean isQuantised() {
        return gateUp.quantised().isPresent() || down.quantised().isPresent();
    }

    @Override
    public long scratchBytes(int rows, int chosen) {
        return Scratch.of(this, rows, chosen).bytes();
    }

    /**
     * Offsets in the scratch memory of {@link CudaKernels#experts}; {@code src/main/cuda/experts.cuh} says what is
     * there.
     *
     * @param inner (pairs, F), of the device's element type
     * @param partial (pairs, D) fp32
     * @param order (pairs) int32
     * @param tiles (tiles) of four int32
     * @param tileCount int32
     * @param bytes of all
     */
    record Scratch(long inner, long partial, long order, long tiles, long tileCount, long bytes) {
        private static final long ALIGNMENT_BYTES = 256;

        static Scratch of(CudaExperts experts, int rows, int chosen) {
            long pairs = (long) rows * chosen;
            long inner = 0;
            long partial = inner + padded(pairs * experts.shape().innerWidth() * KernelSet.ELEMENT_BYTES);
            long order = partial + padded(pairs * experts.shape().width() * Float.BYTES);
            long tiles = order + padded(pairs * Integer.BYTES);
            long tileCount = tiles
                    + padded(ExpertKernels.tiles(pairs, experts.shape().count(), ExpertKernels.FEW_PAIRS)
                            * ExpertKernels.TILE_BYTES);
            return new Scratch(inner, partial, order, tiles, tileCount, tileCount + padded(Integer.BYTES));
        }

        private static long padded(long bytes) {
            return Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
        }
    }
}
