package io.weft.cache;

import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;

/** What a slot in host memory holds of a block's tokens. */
enum Stored {
    /** K and V in the cached layers. */
    KEY_VALUE,
    /** Activations in the cached layers. */
    ACTIVATION,
    /** K and V in the layers with a window, as a block of a ring has them: nobody reads them layer by layer. */
    WINDOW;

    static Stored of(Content content) {
        return switch (content) {
            case KEY_VALUE -> KEY_VALUE;
            case ACTIVATION -> ACTIVATION;
        };
    }

    /** The parts of which a slab has one after the other for all its slots. */
    int layers(CacheGeometry geometry) {
        return switch (this) {
            case KEY_VALUE, ACTIVATION -> geometry.cachedLayerCount();
            case WINDOW -> 1;
        };
    }

    long layerBytes(CacheGeometry geometry) {
        return switch (this) {
            case KEY_VALUE -> geometry.blockLayerBytes(Content.KEY_VALUE);
            case ACTIVATION -> geometry.blockLayerBytes(Content.ACTIVATION);
            case WINDOW -> geometry.windowBlockBytes();
        };
    }

    long bytes(CacheGeometry geometry) {
        return layers(geometry) * layerBytes(geometry);
    }
}
