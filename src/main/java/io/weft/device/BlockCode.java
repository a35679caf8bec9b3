package io.weft.device;

/**
 * A code in which the values of a cache block are stored and cross the link. A coded block has a size that its shape
 * alone decides. All arithmetic is in fp32 with one rounding an operation, to nearest even, so every device makes the
 * same codes and the same decoded values.
 *
 * <p>The codes that lose something take K and V. They keep, of each group of values, a scale of the values' type,
 * rounded up so that no code is out of range (down, if the largest would decode to infinity). A group with a value that
 * is not finite, or a range that fp32 does not hold, decodes to NaN.
 */
public enum BlockCode {
    /**
     * The same values in fewer bits ({@link PackedLayout}): three bits instead of an exponent that is frequent, and
     * twelve, as it were, for others. A block with too many others does not fit.
     */
    PACKED,
    /**
     * FP8 ({@link WeightCode#FP8_E4M3}) with a scale for each token and head: codes (tokens, width), then scales
     * (tokens, heads), at a multiple of 16 bytes. A value is {@code code · scale}, where {@code scale = max |x| / 448}.
     */
    FP8,
    /** Whole numbers from −127 to 127, as {@link #FP8}, where {@code scale = max |x| / 127}. */
    INT8,
    /**
     * Four bits, as in KIVI (Liu et al. 2024): a value is {@code code · scale + least}, where {@code scale = (greatest
     * − least) / 15}. K has them for each channel, over the tokens of the block; V for each token and head. In memory:
     * codes (tokens, width), the first of two in the lower bits; then, from a multiple of 16 bytes on, the least values
     * of K (width / 2), its scales (width / 2), and of V (tokens, heads / 2) pairs of both.
     */
    INT4;

    /** Every part of a coded block starts at a multiple of this. */
    public static final int ALIGNMENT_BYTES = 16;

    /** Whether decoded values have the bits of the original. */
    public boolean isExact() {
        return this == PACKED;
    }

    /**
     * Bytes of a coded block in one layer, a multiple of {@link #ALIGNMENT_BYTES}.
     *
     * @throws IllegalArgumentException if the code takes K and V and these are none
     */
    public long bytes(BlockValues values) {
        return switch (this) {
            case PACKED -> new PackedLayout(values).bytes();
            case FP8, INT8 ->
                scalesAt(values) + aligned((long) values.tokens() * values.heads() * elementBytes(values));
            case INT4 ->
                scalesAt(values)
                        + aligned((2L * values.halfWidth() + (long) values.tokens() * values.heads())
                                * elementBytes(values));
        };
    }

    /** Bytes before the scales of a code that loses something. */
    public long scalesAt(BlockValues values) {
        values.requireKeyValues();
        return switch (this) {
            case PACKED -> throw new IllegalArgumentException("packed values have no scales");
            case FP8, INT8 -> aligned(values.count());
            case INT4 -> aligned(values.count() / 2);
        };
    }

    private static int elementBytes(BlockValues values) {
        return values.type().bytes();
    }

    /** The next multiple of {@link #ALIGNMENT_BYTES}. */
    public static long aligned(long bytes) {
        return Math.ceilDiv(bytes, (long) ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }
}
