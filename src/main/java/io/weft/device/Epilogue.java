package io.weft.device;

/** The last operation of {@link Kernels#linear}, on {@code in · Wᵀ + bias}. */
public sealed interface Epilogue {
    /** {@code out = y}. */
    record Store() implements Epilogue {}

    /** {@code out = out + y}: the residual connection. */
    record AddToOutput() implements Epilogue {}

    /** {@code out = activation(y)}. */
    record Activate(Activation activation) implements Epilogue {}
}
