package io.weft.device;

/**
 * The values of a cache block in one layer: (tokens, width), row-major. Rows of K and V are {@code [K (KVH, HD) | V
 * (KVH, HD)]}.
 *
 * @param type element type of the values
 * @param tokens tokens of a block
 * @param width elements of a token
 * @param headSize elements of a head (HD); of no meaning to a code that takes any row
 */
public record BlockValues(ElementType type, int tokens, int width, int headSize) {
    public BlockValues {
        if (tokens < 1 || width < 1 || headSize < 1) {
            throw new IllegalArgumentException("blocks of %d tokens of %d elements, with heads of %d, must be positive"
                    .formatted(tokens, width, headSize));
        }
        if ((long) tokens * width > Integer.MAX_VALUE / Long.BYTES) {
            throw new IllegalArgumentException(
                    "a block of %d tokens of %d elements is too large".formatted(tokens, width));
        }
    }

    /** Elements of a block. */
    public int count() {
        return tokens * width;
    }

    /** Bytes of a block that is not coded. */
    public long bytes() {
        return (long) count() * type.bytes();
    }

    /** Heads of a row, those of K and of V. */
    public int heads() {
        return width / headSize;
    }

    /** Elements of a token's K, and of its V. */
    public int halfWidth() {
        return width / 2;
    }

    /**
     * Checks that rows are K and V.
     *
     * @throws IllegalArgumentException if they are not an even number of heads
     */
    public void requireKeyValues() {
        if (width % (2 * headSize) != 0) {
            throw new IllegalArgumentException(
                    "rows of %d elements are not K and V with heads of %d".formatted(width, headSize));
        }
    }
}
