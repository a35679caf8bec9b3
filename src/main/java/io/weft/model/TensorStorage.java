package io.weft.model;

import java.util.Map;

/**
 * How a tensor is stored.
 *
 * @param encoding its name, such as {@code bf16} or {@code int4 by 128}
 * @param bytes of the stored tensors that make it up, by name
 */
record TensorStorage(String encoding, Map<String, Long> bytes) {
    TensorStorage {
        bytes = Map.copyOf(bytes);
    }
}
