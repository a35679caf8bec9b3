package io.weft.device;

/**
 * Which rows attend to which tokens in one call. A span is five int32: sequence, first row, rows, from token, to token
 * (exclusive); {@code from} is a multiple of the cell, so is {@code to}, unless it lies after the sequence's last
 * token. So a span never cuts a cell. The rows of a span have consecutive positions. A row appears in one span at most.
 *
 * @param spans (spanCount, 5) int32 in device memory
 * @param spanCount spans
 * @param maxRows the largest number of rows in a span
 * @param maxTokens the largest {@code to − from}, or more: it sizes the launch, and whatever lies after a span is
 *     skipped
 * @param fullSpans all tokens divided by those of the longest span, rounded down: decides how the work is divided, and
 *     does not affect results
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

    /** Computes {@link #fullSpans} from the tokens of all spans and those of the longest. */
    public static int fullSpans(long totalTokens, int longestTokens) {
        return longestTokens == 0 ? 0 : Math.toIntExact(totalTokens / longestTokens);
    }
}
