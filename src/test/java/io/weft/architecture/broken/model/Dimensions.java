package io.weft.architecture.broken.model;

public record Dimensions(int layers) {}
