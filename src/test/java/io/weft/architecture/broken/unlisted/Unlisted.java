package io.weft.architecture.broken.unlisted;

public interface Unlisted {}
