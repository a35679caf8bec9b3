package io.weft.device;

/**
 * Rows with heads at their start.
 *
 * @param memory of the first row and those after it
 * @param rowWidth elements from the start of a row to that of the next
 */
public record HeadRows(DeviceBuffer memory, int rowWidth) {}
