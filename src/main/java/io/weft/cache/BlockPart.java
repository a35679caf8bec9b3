package io.weft.cache;

import io.weft.model.CacheGeometry;
import io.weft.model.Encoding;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a slot in host memory, or a file of the cache's directory, holds of a block.
 *
 * @param encoding what it holds of the layers that see all tokens; empty for K and V of the layers with a window, as a
 *     block of a ring has them: nobody reads them layer by layer
 */
public record BlockPart(Optional<Encoding> encoding) {
    /** K and V of the layers that see all tokens. */
    public static final BlockPart KEY_VALUE = of(Encoding.KEY_VALUE);

    /** Activations of the layers that see all tokens. */
    public static final BlockPart ACTIVATION = of(Encoding.ACTIVATION);

    /** K and V of the layers with a window. */
    public static final BlockPart WINDOW = new BlockPart(Optional.empty());

    private static final int WINDOW_CODE = 3;
    private static final String WINDOW_SUFFIX = "window";

    private static final List<BlockPart> ALL = Stream.concat(
                    Arrays.stream(Encoding.values()).map(BlockPart::of), Stream.of(WINDOW))
            .toList();

    /** All parts, in a fixed order. */
    public static List<BlockPart> all() {
        return ALL;
    }

    /** The part of the layers that see all tokens. */
    public static BlockPart of(Encoding encoding) {
        return new BlockPart(Optional.of(encoding));
    }

    static Optional<BlockPart> ofSuffix(String suffix) {
        return ALL.stream().filter(part -> part.suffix().equals(suffix)).findFirst();
    }

    /** The number in files, which stays the same over releases. */
    int code() {
        return encoding.map(Encoding::fileCode).orElse(WINDOW_CODE);
    }

    /** The end of the names of files, which stays the same over releases. */
    String suffix() {
        return encoding.map(Encoding::label).orElse(WINDOW_SUFFIX);
    }

    /** Whether it holds a full block, but for what rings had of it. */
    boolean isBlock() {
        return encoding.isPresent();
    }

    /** The pieces of which a slab has one after the other for all its slots. */
    int layers(CacheGeometry geometry) {
        return isBlock() ? geometry.cachedLayerCount() : 1;
    }

    long layerBytes(CacheGeometry geometry) {
        return encoding.map(geometry::blockLayerBytes).orElseGet(geometry::windowBlockBytes);
    }

    long bytes(CacheGeometry geometry) {
        return layers(geometry) * layerBytes(geometry);
    }

    @Override
    public String toString() {
        return suffix();
    }
}
