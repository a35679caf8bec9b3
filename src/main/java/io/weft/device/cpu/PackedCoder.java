package io.weft.device.cpu;

import static io.weft.device.PackedLayout.CODE_BYTES;
import static io.weft.device.PackedLayout.ESCAPE;
import static io.weft.device.PackedLayout.ESCAPES_BEFORE_AT;
import static io.weft.device.PackedLayout.HEADER_BYTES;
import static io.weft.device.PackedLayout.OCTET;
import static io.weft.device.PackedLayout.STRIDE_OCTETS;
import static io.weft.device.PackedLayout.UNIT_VALUES;

import io.weft.device.BlockValues;
import io.weft.device.ElementType;
import io.weft.device.PackedLayout;
import java.util.Arrays;

/** Codes and decodes blocks without loss; see {@link PackedLayout}. */
final class PackedCoder {
    private static final int EXPONENTS = 256;
    private static final int CODE_BITS = 3;
    private static final int CODE_MASK = (1 << CODE_BITS) - 1;
    private static final int BYTE_MASK = 0xff;

    private final ElementType type;
    private final PackedLayout layout;
    private final int bits;
    private final int lowBits;
    private final int lowBytes;
    private final boolean hasHighBits;

    PackedCoder(BlockValues values) {
        this.type = values.type();
        this.layout = new PackedLayout(values);
        this.bits = type.bytes() * Byte.SIZE;
        this.lowBits = layout.lowBits();
        this.lowBytes = layout.lowBytes();
        this.hasHighBits = lowBits % Byte.SIZE != 0;
    }

    /**
     * Codes a block.
     *
     * @return whether it fits
     */
    boolean encode(long from, long to) {
        Memory.segment(to, layout.bytes()).fill((byte) 0);
        int escapes = 0;
        for (int unit = 0; unit < layout.units(); unit++) {
            escapes = encode(from, unit, to, escapes);
        }
        return escapes <= layout.escapesMost();
    }

    /** Codes a unit before which there are {@code escapes} escapes, and returns how many there are after it. */
    private int encode(long from, int unit, long to, int escapes) {
        int first = unit * UNIT_VALUES;
        int count = layout.values(unit);
        int octets = Math.ceilDiv(count, OCTET);
        long header = to + layout.unitAt(unit);
        long low = header + HEADER_BYTES;
        long planes = low + (long) count * lowBytes;
        int[] frequent = frequentExponents(from, first, count);
        int[] codes = new int[EXPONENTS];
        Arrays.fill(codes, ESCAPE);
        for (int code = 0; code < ESCAPE; code++) {
            codes[frequent[code]] = code;
            Memory.setByte(header + code, frequent[code]);
        }
        Memory.setInt(header + ESCAPES_BEFORE_AT, escapes);
        int place = 0;
        int used = escapes;
        for (int lane = 0; lane < STRIDE_OCTETS; lane++) {
            for (int octet = lane; octet < octets; octet += STRIDE_OCTETS) {
                int octetCodes = 0;
                int octetHighBits = 0;
                int at = layout.place(first + octet * OCTET);
                for (int j = 0; j < OCTET && octet * OCTET + j < count; j++) {
                    int index = octet * OCTET + j;
                    int value = rotated(from, at + j);
                    for (int i = 0; i < lowBytes; i++) {
                        Memory.setByte(low + (long) index * lowBytes + i, value >>> (i * Byte.SIZE));
                    }
                    int exponent = value >>> lowBits;
                    if (codes[exponent] == ESCAPE) {
                        if (used < layout.escapesMost()) {
                            Memory.setByte(to + layout.escapesAt() + used, exponent);
                        }
                        used++;
                    }
                    octetCodes |= codes[exponent] << (j * CODE_BITS);
                    octetHighBits |= (value >>> (lowBytes * Byte.SIZE) & CODE_MASK) << (j * CODE_BITS);
                }
                setPlanes(planes, octets, place, octetCodes);
                if (hasHighBits) {
                    setPlanes(planes + (long) CODE_BYTES * octets, octets, place, octetHighBits);
                }
                place++;
            }
        }
        return used;
    }

    private int rotated(long from, int index) {
        int value = Elements.bits(type, from, index);
        return ((value << 1) & (int) ((1L << bits) - 1)) | (value >>> (bits - 1));
    }

    private int[] frequentExponents(long from, int first, int count) {
        int[] counts = new int[EXPONENTS];
        for (int octet = 0; octet < count; octet += OCTET) {
            int at = layout.place(first + octet);
            for (int j = 0; j < OCTET && octet + j < count; j++) {
                counts[rotated(from, at + j) >>> lowBits]++;
            }
        }
        int[] frequent = new int[ESCAPE];
        for (int code = 0; code < ESCAPE; code++) {
            int most = 0;
            for (int exponent = 1; exponent < EXPONENTS; exponent++) {
                if (counts[exponent] > counts[most]) {
                    most = exponent;
                }
            }
            frequent[code] = most;
            counts[most] = -1;
        }
        return frequent;
    }

    private static void setPlanes(long planes, int octets, int place, int codes) {
        for (int plane = 0; plane < CODE_BYTES; plane++) {
            Memory.setByte(planes + (long) plane * octets + place, codes >>> (plane * Byte.SIZE));
        }
    }

    private static int planes(long planes, int octets, int place) {
        int codes = 0;
        for (int plane = 0; plane < CODE_BYTES; plane++) {
            codes |= Memory.getByte(planes + (long) plane * octets + place) << (plane * Byte.SIZE);
        }
        return codes;
    }

    void decode(long from, long to) {
        for (int unit = 0; unit < layout.units(); unit++) {
            decode(from, unit, to);
        }
    }

    private void decode(long from, int unit, long to) {
        int first = unit * UNIT_VALUES;
        int count = layout.values(unit);
        int octets = Math.ceilDiv(count, OCTET);
        long header = from + layout.unitAt(unit);
        long low = header + HEADER_BYTES;
        long planes = low + (long) count * lowBytes;
        int[] exponents = new int[ESCAPE];
        for (int code = 0; code < ESCAPE; code++) {
            exponents[code] = Memory.getByte(header + code);
        }
        long escapes = from + layout.escapesAt();
        int used = Memory.getInt(header + ESCAPES_BEFORE_AT);
        int place = 0;
        for (int lane = 0; lane < STRIDE_OCTETS; lane++) {
            for (int octet = lane; octet < octets; octet += STRIDE_OCTETS) {
                int octetCodes = planes(planes, octets, place);
                int octetHighBits = hasHighBits ? planes(planes + (long) CODE_BYTES * octets, octets, place) : 0;
                int at = layout.place(first + octet * OCTET);
                for (int j = 0; j < OCTET && octet * OCTET + j < count; j++) {
                    int index = octet * OCTET + j;
                    int code = octetCodes >>> (j * CODE_BITS) & CODE_MASK;
                    int exponent = code == ESCAPE ? escape(escapes, used++) : exponents[code];
                    int value = exponent << lowBits
                            | (octetHighBits >>> (j * CODE_BITS) & CODE_MASK) << (lowBytes * Byte.SIZE);
                    for (int i = 0; i < lowBytes; i++) {
                        value |= Memory.getByte(low + (long) index * lowBytes + i) << (i * Byte.SIZE);
                    }
                    Elements.setBits(type, to, at + j, value >>> 1 | (value & 1) << (bits - 1));
                }
                place++;
            }
        }
    }

    /** The exponent of an escape; there is none beyond the last in a block that does not fit. */
    private int escape(long escapes, int index) {
        return Integer.compareUnsigned(index, layout.escapesMost()) < 0
                ? Memory.getByte(escapes + index) & BYTE_MASK
                : 0;
    }
}
