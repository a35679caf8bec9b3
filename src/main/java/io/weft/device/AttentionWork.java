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
 * @param meanTokens the mean of {@code to − from}, or more: no result depends on it, but how the work is best divided
 */
public record AttentionWork(DeviceBuffer spans, int spanCount, int maxRows, int maxTokens, int meanTokens) {
    /** int32 values of a span. */
    public static final int SPAN_INTS = 5;
}
