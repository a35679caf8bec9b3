package io.weft.model;

import java.util.Locale;
import java.util.Map;

/**
 * How a tensor is stored.
 *
 * @param encoding its name, such as {@code fp16} or {@code int4 by 128}
 * @param bytes of the stored tensors that make it up, by name
 */
record TensorStorage(String encoding, Map<String, Long> bytes) {
    TensorStorage {
        bytes = Map.copyOf(bytes);
    }

    /** The usual name of a type of elements that files call {@code F16} and so on. */
    static String name(String type) {
        return switch (type) {
            case "F16" -> "fp16";
            case "F32" -> "fp32";
            case "F64" -> "fp64";
            default -> type.toLowerCase(Locale.ROOT);
        };
    }
}
