package io.weft.architecture.broken.model;

import io.weft.architecture.broken.device.Device;

/** Allowed, but not to {@code plan}. */
public record Weights(Device device) {}
