package io.weft.text;

/**
 * Decodes UTF-8 byte by byte. Malformed bytes become U+FFFD as the Unicode standard recommends (one for each maximal
 * part of a character) and as the Hugging Face library does it; the JDK's decoder makes one U+FFFD of an encoded
 * surrogate, not three.
 */
final class Utf8 {
    private int codePoint;
    private int bytesMissing;
    private int lowest = 0x80;
    private int highest = 0xBF;

    static String decode(byte[] bytes) {
        var out = new StringBuilder(bytes.length);
        var utf8 = new Utf8();
        for (byte b : bytes) {
            utf8.add(b, out);
        }
        utf8.finish(out);
        return out.toString();
    }

    /** The number of a text's bytes, without making them. Half of a surrogate pair counts as one, as it is encoded. */
    static long bytes(String text) {
        long bytes = text.length();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c >= 0x800 && !Character.isSurrogate(c)) {
                bytes += 2;
            } else if (c >= 0x80 && c < 0x800) {
                bytes += 1;
            } else if (Character.isHighSurrogate(c)
                    && i + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(i + 1))) {
                bytes += 2;
                i++;
            }
        }
        return bytes;
    }

    /** Appends the character that this byte completes. */
    void add(byte signed, StringBuilder out) {
        int b = Byte.toUnsignedInt(signed);
        if (bytesMissing > 0 && (b < lowest || b > highest)) {
            finish(out);
        }
        if (bytesMissing > 0) {
            lowest = 0x80;
            highest = 0xBF;
            codePoint = (codePoint << 6) | (b & 0x3F);
            if (--bytesMissing == 0) {
                out.appendCodePoint(codePoint);
            }
        } else if (b < 0x80) {
            out.append((char) b);
        } else if (b >= 0xC2 && b <= 0xDF) {
            begin(b & 0x1F, 1, 0x80, 0xBF);
        } else if (b >= 0xE0 && b <= 0xEF) {
            // Not below U+0800, and no surrogates.
            begin(b & 0x0F, 2, b == 0xE0 ? 0xA0 : 0x80, b == 0xED ? 0x9F : 0xBF);
        } else if (b >= 0xF0 && b <= 0xF4) {
            // Not below U+10000, not above U+10FFFF.
            begin(b & 0x07, 3, b == 0xF0 ? 0x90 : 0x80, b == 0xF4 ? 0x8F : 0xBF);
        } else {
            out.append('\uFFFD');
        }
    }

    private void begin(int bits, int missing, int low, int high) {
        codePoint = bits;
        bytesMissing = missing;
        lowest = low;
        highest = high;
    }

    /** Appends U+FFFD for a character that is not complete. */
    void finish(StringBuilder out) {
        if (bytesMissing > 0) {
            bytesMissing = 0;
            lowest = 0x80;
            highest = 0xBF;
            out.append('\uFFFD');
        }
    }
}
