package io.weft.device;

/** Pointwise functions of the feed-forward network. */
public enum Activation {
    RELU,
    /** {@code x / (1 + e^−x)}. */
    SILU,
    /** {@code x/2 · (1 + erf(x / √2))}. */
    GELU,
    /** {@code x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))}. */
    GELU_TANH
}
