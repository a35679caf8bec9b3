package io.weft.plan.step;

/**
 * What a step's plan needs to know of what comes out.
 *
 * @param rows whose logits are computed
 * @param tokens rows of these that a token is chosen for
 * @param logits rows of these whose logits go to the host; a row may be both
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
