package io.weft.engine;

/** The model computed NaN for a request, from which no token can be chosen. */
public final class NonFiniteLogitsException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** @param position position of the token whose logits are NaN */
    public NonFiniteLogitsException(int position) {
        super("the model's logits at position " + position + " are not numbers (NaN)");
    }
}
