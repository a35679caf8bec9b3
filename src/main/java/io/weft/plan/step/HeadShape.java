package io.weft.plan.step;

/**
 * The outputs of a step, as far as its plan depends on them.
 *
 * @param rows number of rows whose logits are computed
 * @param tokens number of these rows for which a token is chosen
 * @param logits number of these rows whose logits go to the host; a row may count for both
 */
public record HeadShape(int rows, int tokens, int logits) {
    public HeadShape {
        if (tokens < 0 || logits < 0 || rows < Math.max(tokens, logits) || rows > tokens + logits) {
            throw new IllegalArgumentException(
                    "%d rows for %d tokens and the logits of %d; each row is for one or both, none is negative"
                            .formatted(rows, tokens, logits));
        }
    }

    /** A token for each of {@code rows} rows, and no logits. */
    public static HeadShape tokens(int rows) {
        return new HeadShape(rows, rows, 0);
    }
}
