package io.weft.device;

/**
 * Where blocks lie: block i is {@code offsets[i]} bytes after the start of {@code base}, at a multiple of an element's
 * size. Kernels are fast where addresses are multiples of 16.
 *
 * @param base memory of all of them
 * @param offsets (blocks) int64
 */
public record BlockPlaces(DeviceBuffer base, DeviceBuffer offsets) {}
