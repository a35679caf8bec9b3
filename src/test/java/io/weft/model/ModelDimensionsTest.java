package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.weft.model.FeedForwardDimensions.Kind;
import java.util.List;
import org.junit.jupiter.api.Test;

class ModelDimensionsTest {
    private static final FeedForwardDimensions FEED_FORWARD = FeedForwardDimensions.dense(Kind.GATED, 64);

    @Test
    void aWindowThatSpansAllTokensIsNone() {
        ModelDimensions dimensions =
                dimensions(32, new LayerDimensions(4, 2, 8, LayerDimensions.NO_WINDOW, FEED_FORWARD));

        assertThat(dimensions.within(33).groups()).hasSize(2);
        assertThat(dimensions.within(32).groups()).hasSize(1);
        assertThat(new CacheGeometry(dimensions.within(32), 2, 16, 32).cachedLayers())
                .containsExactly(0, 1);
    }

    /** Gemma 4 with a context of a window: blocks of the cache could not hold both kinds of layers. */
    @Test
    void itStaysWhereLayersStoreOfDifferentWidth() {
        ModelDimensions dimensions =
                dimensions(32, new LayerDimensions(4, 1, 32, LayerDimensions.NO_WINDOW, FEED_FORWARD));

        CacheGeometry geometry = new CacheGeometry(dimensions.within(32), 2, 16, 32);
        assertThat(geometry.cachedLayers()).containsExactly(1);
        assertThat(geometry.windowLayers()).containsExactly(0);
    }

    private static ModelDimensions dimensions(int window, LayerDimensions full) {
        return ModelDimensions.of(32, 100, 1000, List.of(new LayerDimensions(4, 2, 8, window, FEED_FORWARD), full));
    }
}
