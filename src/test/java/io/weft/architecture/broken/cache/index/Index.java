package io.weft.architecture.broken.cache.index;

import io.weft.architecture.broken.cache.store.Store;

public record Index(Store store) {}
