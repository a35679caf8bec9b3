package io.weft.cache;

import io.weft.model.CacheForm.Content;
import java.util.Arrays;
import java.util.Optional;

/** What a file of the cache's directory holds of a block. */
public enum BlockPart {
    /** K and V of the layers that see all tokens. */
    KEY_VALUE(1, "kv"),
    /** Activations of the layers that see all tokens. */
    ACTIVATION(2, "act"),
    /** K and V of the layers with a window. */
    WINDOW(3, "window");

    private final int code;
    private final String suffix;

    BlockPart(int code, String suffix) {
        this.code = code;
        this.suffix = suffix;
    }

    /** The part with the content of a block's form. */
    public static BlockPart of(Content content) {
        return switch (content) {
            case KEY_VALUE -> KEY_VALUE;
            case ACTIVATION -> ACTIVATION;
        };
    }

    /** The number in files, which stays the same over releases. */
    int code() {
        return code;
    }

    /** The end of the names of files, which stays the same over releases. */
    String suffix() {
        return suffix;
    }

    static Optional<BlockPart> ofSuffix(String suffix) {
        return Arrays.stream(values())
                .filter(part -> part.suffix.equals(suffix))
                .findFirst();
    }
}
