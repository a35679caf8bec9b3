package io.weft.device.cuda;

import io.weft.device.ElementType;
import io.weft.device.QuantisedTensor;
import io.weft.device.Tensor;
import io.weft.device.WeightEncoding;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * A matrix (N, K) of each expert of a layer, and its bias, on their way to the device.
 *
 * @param weights parts of the matrix of each expert
 * @param biases parts of the bias of each expert; all empty for none
 */
record ExpertMatrices(List<List<? extends Tensor>> weights, List<List<? extends Tensor>> biases) {
    private int rows() {
        return weights.getFirst().stream().mapToInt(Tensor::rows).sum();
    }

    private int columns() {
        return weights.getFirst().getFirst().columns();
    }

    private int allRows() {
        return Math.multiplyExact(weights.size(), rows());
    }

    /** The encoding in which kernels read the weights; empty if these are elements on the device. */
    private Optional<WeightEncoding> encoding() {
        List<? extends Tensor> all =
                weights.stream().flatMap(Collection::stream).toList();
        boolean tiles = rows() % (2 * QuantisedMemory.TILE_ROWS) == 0 && columns() % KernelSet.VECTOR == 0;
        return QuantisedTensor.encodingOf(all).filter(encoding -> tiles && QuantisedMemory.holds(encoding, columns()));
    }

    private long weightBytes(ElementType type) {
        return CudaDevice.padded(encoding()
                .map(encoding -> QuantisedMemory.codeBytes(encoding, allRows(), columns())
                        + QuantisedMemory.scaleBytes(encoding, allRows(), columns()))
                .orElseGet(() -> (long) allRows() * columns() * type.bytes()));
    }

    private boolean isBiased() {
        return !biases.getFirst().isEmpty();
    }

    /** Bytes of device memory that they take. */
    long bytes(ElementType type) {
        return weightBytes(type) + (isBiased() ? CudaDevice.padded((long) allRows() * type.bytes()) : 0);
    }

    /** Loads them to an address; they are there once the loader has finished. */
    CudaExperts.Matrices load(WeightLoader loader, ElementType type, long to) {
        Optional<QuantisedMemory> quantised =
                encoding().map(encoding -> QuantisedMemory.at(to, encoding, allRows(), columns()));
        long bias = to + weightBytes(type);
        int row = 0;
        for (int expert = 0; expert < weights.size(); expert++) {
            int biasRow = row;
            for (Tensor part : weights.get(expert)) {
                if (quantised.isPresent()) {
                    loader.load((QuantisedTensor) part, quantised.get(), row);
                } else {
                    loader.load(part, to + (long) row * columns() * type.bytes());
                }
                row += part.rows();
            }
            for (Tensor part : biases.get(expert)) {
                loader.load(part, bias + (long) biasRow * type.bytes());
                biasRow += part.rows();
            }
        }
        return new CudaExperts.Matrices(quantised.isPresent() ? 0 : to, quantised, isBiased() ? bias : 0);
    }
}
