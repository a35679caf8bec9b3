package io.weft.cache;

import java.util.HexFormat;

/**
 * The name of a full block, from a hash over its tokens and the name of the block before it: blocks of one name hold
 * the same bits, up to their form. 128 bits, so that even somebody who chooses tokens finds no two of one name.
 *
 * @param high the first half
 * @param low the second half
 */
public record BlockName(long high, long low) {
    /** 32 hexadecimal digits. */
    @Override
    public String toString() {
        HexFormat digits = HexFormat.of();
        return digits.toHexDigits(high) + digits.toHexDigits(low);
    }
}
