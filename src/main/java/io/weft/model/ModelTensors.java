package io.weft.model;

import io.weft.device.ElementType;
import io.weft.device.Tensor;
import io.weft.model.Architecture.TensorRows;

/** A model's description and its weights, wherever they come from. */
public interface ModelTensors extends AutoCloseable {
    Architecture architecture();

    /** How most weights are stored; a device that can choose takes this. */
    ElementType storedType();

    /**
     * A tensor by name.
     *
     * @throws ModelLoadException if it is missing or cannot be read
     */
    Tensor tensor(String name);

    /** Rows of a tensor. */
    Tensor rows(TensorRows rows);

    /** Tells models apart that compute different things: a hash. */
    byte[] fingerprint();

    /** How many bits the elements of the layers' matrices take on a device. */
    default WeightBits weightBits() {
        return new DescribedTensors(architecture()).bits(this);
    }

    @Override
    void close();
}
