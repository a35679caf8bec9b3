package io.weft.device;

/**
 * Where the K and V of a block lie in the current layer. A step's block table is written once for all layers: an
 * entry's upper two bits choose one of four bases that change from layer to layer, and the lower 62 bits are the offset
 * from it in bytes: {@code address = base[entry >>> 62] + (entry & OFFSET_MASK)}.
 *
 * @param closed base of full blocks that stay on the device
 * @param open base of the unfilled blocks, which hold the newest tokens
 * @param staged base of the K and V that crossed the link into the current staging slot
 * @param recomputed base of the workspace with recomputed K and V
 */
public record BlockBases(long closed, long open, long staged, long recomputed) {
    /** Mask of the offset in an entry. */
    public static final long OFFSET_MASK = (1L << 62) - 1;

    /** The base of an entry. The order is the encoding. */
    public enum Base {
        CLOSED,
        OPEN,
        STAGED,
        RECOMPUTED;

        /** The table entry for {@code offset} bytes from this base. */
        public long entry(long offset) {
            if (offset < 0 || offset > OFFSET_MASK) {
                throw new IllegalArgumentException("offset is " + offset + ", must be from 0 to " + OFFSET_MASK);
            }
            return ((long) ordinal() << 62) | offset;
        }
    }

    /** The device address an entry stands for. */
    public long address(long entry) {
        long offset = entry & OFFSET_MASK;
        return switch ((int) (entry >>> 62)) {
            case 0 -> closed + offset;
            case 1 -> open + offset;
            case 2 -> staged + offset;
            default -> recomputed + offset;
        };
    }
}
