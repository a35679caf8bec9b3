package io.weft.plan.step;

/**
 * A range of tokens of one sequence to which its new rows attend together.
 *
 * @param sequence index in the step's batch
 * @param fromToken first token; a multiple of the cell
 * @param toToken index after the last token; a multiple of the cell, or the number of all tokens of the sequence, new
 *     ones included
 */
public record TokenRange(int sequence, int fromToken, int toToken) {
    public TokenRange {
        if (fromToken < 0 || toToken <= fromToken) {
            throw new IllegalArgumentException(
                    "token range is [" + fromToken + ", " + toToken + "), must not be empty or negative");
        }
    }
}
