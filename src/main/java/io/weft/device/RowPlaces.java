package io.weft.device;

/**
 * Where new rows stand and where the cache keeps them.
 *
 * @param positions (rows) int32
 * @param keyValueOffsets (rows) int64: bytes from a base to where a row's K and V go
 * @param activationOffsets (rows) int64: likewise for its activation
 */
public record RowPlaces(DeviceBuffer positions, DeviceBuffer keyValueOffsets, DeviceBuffer activationOffsets) {}
