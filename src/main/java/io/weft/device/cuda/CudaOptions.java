package io.weft.device.cuda;

import io.weft.device.ElementType;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The configuration of a CUDA device.
 *
 * @param ordinal index of the GPU in the driver's order
 * @param deviceBudgetBytes device memory that may be allocated, weights included
 * @param hostBudgetBytes pinned host memory that may be allocated
 * @param elementType of weights, activations and the cache: {@link ElementType#F16} or {@link ElementType#BF16}
 * @param cellTokens tokens of a cell of attention's grid that suit it
 * @param cublasPath the cuBLASLt library, or a folder that holds it; the usual places if empty
 */
public record CudaOptions(
        int ordinal,
        long deviceBudgetBytes,
        long hostBudgetBytes,
        ElementType elementType,
        int cellTokens,
        Optional<Path> cublasPath) {
    public CudaOptions {
        if (ordinal < 0) {
            throw new IllegalArgumentException("GPU ordinal is " + ordinal + ", must not be negative");
        }
        if (deviceBudgetBytes < 0 || hostBudgetBytes < 0) {
            throw new IllegalArgumentException("memory budgets are %d and %d bytes, must not be negative"
                    .formatted(deviceBudgetBytes, hostBudgetBytes));
        }
        if (cellTokens < 1) {
            throw new IllegalArgumentException("cellTokens is " + cellTokens + ", must be positive");
        }
        if (elementType == ElementType.F32) {
            throw new IllegalArgumentException("element type is F32, must be F16 or BF16 on a CUDA device");
        }
    }
}
