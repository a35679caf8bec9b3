package io.weft.architecture.broken.plan.step;

import io.weft.architecture.broken.device.Device;

public record PlanUsesDevice(Device device) {}
