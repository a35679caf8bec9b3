package io.weft.device.cuda;

import io.weft.device.Linear;
import io.weft.device.WeightEncoding;
import java.util.Optional;

/**
 * Weights (N, K), row-major in the device's element type or quantised, followed by the bias.
 *
 * @param outFeatures N
 * @param inFeatures K
 * @param weights address of (N, K); 0 if they are quantised
 * @param quantised quantised weights
 * @param bias address of (N); 0 without a bias
 * @param bytes bytes of weights and bias
 * @param descriptions the product with each of {@link CublasLt.Epilogue}, by ordinal
 */
record CudaLinear(
        int outFeatures,
        int inFeatures,
        long weights,
        Optional<QuantisedMemory> quantised,
        long bias,
        long bytes,
        Descriptions descriptions)
        implements Linear {
    /** {@code cublasLtMatmulDesc_t} handles, which hold the address of the bias. */
    record Descriptions(long store, long relu) {
        long of(CublasLt.Epilogue epilogue) {
            return switch (epilogue) {
                case STORE -> store;
                case RELU -> relu;
            };
        }
    }

    @Override
    public Optional<WeightEncoding> encoding() {
        return quantised.map(QuantisedMemory::encoding);
    }

    /** The same matrix with its elements at an address. */
    CudaLinear unpackedAt(long address) {
        return new CudaLinear(outFeatures, inFeatures, address, Optional.empty(), bias, bytes, descriptions);
    }

    CublasLt.Bias hasBias() {
        return bias == 0 ? CublasLt.Bias.ABSENT : CublasLt.Bias.PRESENT;
    }
}
