package io.weft.model;

/** What K and V of a layer are made of; the cache may store it in their place. */
public enum KeyValueSource {
    /** The input of the layer's projections, D elements: K and V are a matrix product, perhaps norms, and positions. */
    ACTIVATION,
    /** A projection that K and V share, KVH·HD elements: they are norms of it, and positions. */
    SHARED_PROJECTION
}
