package io.weft.model;

import io.weft.device.BlockCode;
import io.weft.model.CacheForm.Content;
import java.util.Optional;

/**
 * What is stored of a block's tokens in a layer, and how. This is the one description: plans, memory, files and kernels
 * ask it.
 */
public enum Encoding {
    /** K and V as they are. */
    KEY_VALUE(Content.KEY_VALUE, Optional.empty(), "kv", "K and V", 1),
    /** Activations as they are. */
    ACTIVATION(Content.ACTIVATION, Optional.empty(), "act", "activations", 2),
    /** K and V in fewer bits, without loss. */
    PACKED_KEY_VALUE(Content.KEY_VALUE, Optional.of(BlockCode.PACKED), "packed_kv", "packed K and V", 4),
    /** Activations in fewer bits, without loss. */
    PACKED_ACTIVATION(Content.ACTIVATION, Optional.of(BlockCode.PACKED), "packed_act", "packed activations", 5),
    /** K and V as 8-bit floats, a scale for each token and head. */
    FP8(Content.KEY_VALUE, Optional.of(BlockCode.FP8), "fp8", "K and V in fp8", 6),
    /** K and V as 8-bit whole numbers, a scale for each token and head. */
    INT8(Content.KEY_VALUE, Optional.of(BlockCode.INT8), "int8", "K and V in int8", 7),
    /** K and V in 4 bits: keys by channel, values by token and head. */
    INT4(Content.KEY_VALUE, Optional.of(BlockCode.INT4), "int4", "K and V in int4", 8);

    private final Content content;
    private final Optional<BlockCode> code;
    private final String label;
    private final String description;
    private final int fileCode;

    Encoding(Content content, Optional<BlockCode> code, String label, String description, int fileCode) {
        this.content = content;
        this.code = code;
        this.label = label;
        this.description = description;
        this.fileCode = fileCode;
    }

    public Content content() {
        return content;
    }

    /** The code of the content; empty if it is stored as it is. */
    public Optional<BlockCode> code() {
        return code;
    }

    /** Whether the content is not stored as it is, and a block has to be decoded before it is used. */
    public boolean isCoded() {
        return code.isPresent();
    }

    /** Whether decoding gives back the same bits. */
    public boolean isExact() {
        return code.map(BlockCode::isExact).orElse(true);
    }

    /** The name users give it. */
    public String label() {
        return label;
    }

    /** What it is, in texts for people. */
    public String description() {
        return description;
    }

    /** The number in files, which stays the same over releases; 3 is taken by what rings have of a block. */
    public int fileCode() {
        return fileCode;
    }

    /** The encoding that stores this content as it is. */
    public static Encoding raw(Content content) {
        return switch (content) {
            case KEY_VALUE -> KEY_VALUE;
            case ACTIVATION -> ACTIVATION;
        };
    }

    /** This content as it is. */
    public Encoding raw() {
        return raw(content);
    }
}
