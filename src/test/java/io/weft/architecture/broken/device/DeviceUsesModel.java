package io.weft.architecture.broken.device;

import io.weft.architecture.broken.model.Dimensions;

public record DeviceUsesModel(Dimensions dimensions) {}
