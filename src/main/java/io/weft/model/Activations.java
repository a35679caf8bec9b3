package io.weft.model;

import io.weft.device.Activation;

/** Pointwise functions by the names that configurations have for them. */
final class Activations {
    private static final String NAMES =
            "relu, silu, swish, gelu, gelu_python, gelu_new, gelu_fast, gelu_accurate or gelu_pytorch_tanh";

    private Activations() {}

    /** The function that a field names. */
    static Activation read(ConfigReader config, String field) {
        return switch (config.text(field).orElse("")) {
            case "relu" -> Activation.RELU;
            case "silu", "swish" -> Activation.SILU;
            case "gelu", "gelu_python" -> Activation.GELU;
            case "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh" -> Activation.GELU_TANH;
            default -> throw config.wrong(field, NAMES);
        };
    }
}
