package io.weft.device;

/**
 * The positions of new rows, and where the cache stores them.
 *
 * @param positions (rows) int32
 * @param keyValueOffsets (rows) int64: offset from a base, in bytes, at which a row's K and V are stored
 * @param activationOffsets (rows) int64: the same for its activation; not read if none is stored
 */
public record RowPlaces(DeviceBuffer positions, DeviceBuffer keyValueOffsets, DeviceBuffer activationOffsets) {}
