package io.weft.device;

/**
 * Which rows attend to which tokens in one call. A span is five int32: sequence, first row, rows, from token, to token
 * (exclusive); {@code from} is a multiple of the cell, {@code to} is one or lies behind the sequence's last token, so
 * that a cell is never cut. A row appears in one span at most.
 *
 * @param spans (spanCount, 5) int32 in device memory
 * @param spanCount spans
 * @param maxRows the largest number of rows in a span
 * @param maxTokens the largest {@code to − from}, or more: it sizes the launch, and what lies behind a span is skipped
 * @param fullSpans spans as long as the longest that the tokens of all would make, rounded down: no result depends on
 *     it, but how the work is best divided
 */
public record AttentionWork(DeviceBuffer spans, int spanCount, int maxRows, int maxTokens, int fullSpans) {
    /** int32 values of a span. */
    public static final int SPAN_INTS = 5;

    public AttentionWork {
        if (fullSpans < 0 || fullSpans > spanCount) {
            throw new IllegalArgumentException(
                    "fullSpans is " + fullSpans + ", must be from 0 to " + spanCount + ", the number of spans");
        }
    }

    /** {@link #fullSpans} of spans with so many tokens in all, and in the longest. */
    public static int fullSpans(long totalTokens, int longestTokens) {
        return longestTokens == 0 ? 0 : Math.toIntExact(totalTokens / longestTokens);
    }
}
