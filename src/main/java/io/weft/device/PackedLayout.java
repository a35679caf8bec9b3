package io.weft.device;

/**
 * How {@link BlockCode#PACKED} stores values without loss. A value is rotated left by one bit, so that its exponent is
 * in the upper bits and its sign is the last one. The lower bits are stored as they are; instead of the exponent there
 * are three bits, which name one of the seven exponents that are most frequent in the <em>unit</em>, a run of
 * {@value #UNIT_VALUES} values, or say that the exponent is an <em>escape</em>: a byte of its own. Others have used the
 * same property of 16-bit numbers with Huffman codes (Zhang et al. 2025, DFloat11); a code of fixed length and a
 * bounded number of escapes give a block a size that is known in advance.
 *
 * <p>Values of neighbouring columns are of similar size in all tokens, so a unit has few columns and many tokens: the
 * values are in the order of <em>strips</em> of {@value #STRIP_COLUMNS} columns, the last of which may be narrower, and
 * in a strip of tokens. Rows whose width is no multiple of {@value #OCTET} are one strip.
 *
 * <p>A block is its units, one after the other, and then all escapes, of which there is room for one in
 * {@value #ESCAPE_VALUES} values. A unit of m values, or {@code o = ceil(m / 8)} octets, is
 *
 * <ol>
 *   <li>a header of 16 bytes: seven exponents, the more frequent first and among equals the smaller, a zero, and two
 *       int32: how many escapes the units before have, and a zero;
 *   <li>the lower bits that make whole bytes, (m) of one or three bytes;
 *   <li>the codes in (3, o) bytes: the three of an octet are a number of 24 bits, of which value j has those from 3 j
 *       on;
 *   <li>in fp16, the other three lower bits of each value, (3, o) in the same way.
 * </ol>
 *
 * In (3, o), octets are in the order of {@code (octet % 32, octet / 32)}, and so are escapes: a warp takes the octets
 * of a unit in turn, and a lane finds its own together. Everything that is not used is 0.
 *
 * @param values the values of a block
 */
public record PackedLayout(BlockValues values) {
    /** Values of a unit; the last of a block may have fewer. */
    public static final int UNIT_VALUES = 2048;

    /** Columns of a strip. */
    public static final int STRIP_COLUMNS = 128;

    /** Values for which there is room for one escape. */
    public static final int ESCAPE_VALUES = 12;

    /** Bytes of a unit's header. */
    public static final int HEADER_BYTES = 16;

    /** Where the number of earlier escapes is in a header. */
    public static final int ESCAPES_BEFORE_AT = 8;

    /** The code of an escape, and the number of exponents that have another. */
    public static final int ESCAPE = 7;

    /** Values whose codes are together. */
    public static final int OCTET = 8;

    /** From an octet to the next one whose codes follow. */
    public static final int STRIDE_OCTETS = 32;

    /** Bytes of the codes of an octet. */
    public static final int CODE_BYTES = 3;

    /** Elements of a block. */
    public int count() {
        return values.count();
    }

    private int stripColumns() {
        return values.width() % OCTET == 0 ? Math.min(STRIP_COLUMNS, values.width()) : values.width();
    }

    /** Where the value is in a block that is not packed. The eight of an octet are neighbours there too. */
    public int place(int index) {
        int columns = stripColumns();
        int firstColumn = index / (columns * values.tokens()) * columns;
        int inStrip = index - firstColumn * values.tokens();
        int width = Math.min(columns, values.width() - firstColumn);
        return inStrip / width * values.width() + firstColumn + inStrip % width;
    }

    /** Bits of a rotated value below its exponent. */
    public int lowBits() {
        return switch (values.type()) {
            case F32 -> 24;
            case F16 -> 11;
            case BF16 -> 8;
        };
    }

    /** Whole bytes of the lower bits. */
    public int lowBytes() {
        return lowBits() / Byte.SIZE;
    }

    /** Bytes of an octet's codes and of the lower bits that make no whole byte. */
    private int planes() {
        return CODE_BYTES + lowBits() % Byte.SIZE;
    }

    /** Units of a block. */
    public int units() {
        return Math.ceilDiv(count(), UNIT_VALUES);
    }

    /** Values of a unit. */
    public int values(int unit) {
        return Math.min(UNIT_VALUES, count() - unit * UNIT_VALUES);
    }

    /** Where a unit starts. */
    public long unitAt(int unit) {
        return unit * unitBytes(UNIT_VALUES);
    }

    private long unitBytes(int values) {
        return HEADER_BYTES + (long) values * lowBytes() + (long) Math.ceilDiv(values, OCTET) * planes();
    }

    /** Where the escapes start. */
    public long escapesAt() {
        int last = units() - 1;
        return unitAt(last) + BlockCode.aligned(unitBytes(values(last)));
    }

    /** The most escapes of a block, a byte each. */
    public int escapesMost() {
        return (int) BlockCode.aligned(Math.ceilDiv(count(), ESCAPE_VALUES));
    }

    /** Bytes of a block. */
    public long bytes() {
        return escapesAt() + escapesMost();
    }
}
