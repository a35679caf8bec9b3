package io.weft.architecture.broken.device;

public interface Device {}
