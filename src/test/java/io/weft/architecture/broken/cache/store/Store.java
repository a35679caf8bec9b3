package io.weft.architecture.broken.cache.store;

import io.weft.architecture.broken.cache.index.Index;

public record Store(Index index) {}
