package io.weft.device.cpu;

import io.weft.device.BlockCode;
import io.weft.device.BlockValues;
import io.weft.device.ElementType;
import io.weft.device.WeightCode;

/** Codes and decodes K and V with loss; see {@link BlockCode}. */
final class ScaledCoder {
    private static final float FP8_MOST = 448;
    private static final int FP8_MOST_CODE = 0x7e;
    private static final int FP8_SIGN = 0x80;
    private static final float FP8_LEAST_NORMAL = 0x1p-6f;
    private static final float FP8_STEPS = 0x1p9f;
    /** Bits of an fp32 mantissa below those of E4M3. */
    private static final int FP8_SHIFT = 20;

    private static final int FP8_BIAS_DIFFERENCE = (127 - 7) << 3;
    private static final float INT8_MOST = 127;
    private static final int INT4_MOST = 15;
    private static final int INT4_MASK = 0xf;
    private static final int INT4_BITS = 4;
    private static final float[] FP8_VALUES = fp8Values();

    private final BlockCode code;
    private final BlockValues values;
    private final ElementType type;
    private final long scalesAt;

    ScaledCoder(BlockCode code, BlockValues values) {
        this.code = code;
        this.values = values;
        this.type = values.type();
        this.scalesAt = code.scalesAt(values);
    }

    private static float[] fp8Values() {
        float[] values = new float[1 << Byte.SIZE];
        for (int i = 0; i < values.length; i++) {
            values[i] = WeightCode.FP8_E4M3.value(i);
        }
        return values;
    }

    void encode(long from, long to) {
        Memory.segment(to, code.bytes(values)).fill((byte) 0);
        if (code == BlockCode.INT4) {
            encodeInt4(from, to);
            return;
        }
        float most = code == BlockCode.FP8 ? FP8_MOST : INT8_MOST;
        int headSize = values.headSize();
        for (int head = 0; head < values.tokens() * values.heads(); head++) {
            float scale = symmetricScale(from, head * headSize, most);
            Elements.set(type, to + scalesAt, head, scale);
            for (int i = head * headSize; i < (head + 1) * headSize; i++) {
                Memory.setByte(to + i, symmetricCode(Elements.get(type, from, i), scale));
            }
        }
    }

    private float symmetricScale(long from, int first, float most) {
        float greatest = 0;
        for (int i = first; i < first + values.headSize(); i++) {
            // Of NaN and a number, max() takes NaN.
            greatest = Math.max(greatest, Math.abs(Elements.get(type, from, i)));
        }
        if (!(greatest <= Float.MAX_VALUE)) {
            return Float.NaN;
        }
        float scale = Elements.roundUp(type, greatest / most);
        return Float.isInfinite(Elements.round(type, most * scale)) ? Elements.before(type, scale) : scale;
    }

    private int symmetricCode(float value, float scale) {
        if (!(scale > 0)) {
            return 0;
        }
        float ratio = value / scale;
        return code == BlockCode.FP8 ? fp8(ratio) : (int) Math.rint(Math.clamp(ratio, -INT8_MOST, INT8_MOST));
    }

    /** The nearest number of E4M3, ties to an even code. */
    private static int fp8(float value) {
        float size = Math.abs(value);
        int bits = Float.floatToRawIntBits(size);
        int rounded = bits + (1 << (FP8_SHIFT - 1)) - 1 + (bits >>> FP8_SHIFT & 1);
        int magnitude = size < FP8_LEAST_NORMAL
                ? (int) Math.rint(size * FP8_STEPS)
                : Math.min((rounded >>> FP8_SHIFT) - FP8_BIAS_DIFFERENCE, FP8_MOST_CODE);
        return Float.floatToRawIntBits(value) < 0 ? magnitude | FP8_SIGN : magnitude;
    }

    private void encodeInt4(long from, long to) {
        int half = values.halfWidth();
        for (int channel = 0; channel < half; channel++) {
            Range range = range(from, channel, values.tokens(), values.width());
            Elements.set(type, to + scalesAt, channel, range.least());
            Elements.set(type, to + scalesAt, half + channel, range.scale());
            for (int token = 0; token < values.tokens(); token++) {
                setNibble(from, to, token * values.width() + channel, range);
            }
        }
        for (int head = 0; head < values.tokens() * values.heads() / 2; head++) {
            int first = firstOfValues(head);
            Range range = range(from, first, values.headSize(), 1);
            Elements.set(type, to + scalesAt, 2L * half + 2L * head, range.least());
            Elements.set(type, to + scalesAt, 2L * half + 2L * head + 1, range.scale());
            for (int i = first; i < first + values.headSize(); i++) {
                setNibble(from, to, i, range);
            }
        }
    }

    /** The first element of a token's head of V; {@code head} counts over all tokens. */
    private int firstOfValues(int head) {
        int heads = values.heads() / 2;
        return head / heads * values.width() + values.halfWidth() + head % heads * values.headSize();
    }

    /** What four bits of a group mean. */
    private record Range(float least, float scale) {
        float value(int code) {
            return code * scale + least;
        }
    }

    private Range range(long from, int first, int count, int stride) {
        float least = Float.POSITIVE_INFINITY;
        float greatest = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            float value = Elements.get(type, from, first + (long) i * stride);
            least = Math.min(least, value);
            greatest = Math.max(greatest, value);
        }
        float span = greatest - least + 0f; // −0 becomes 0
        if (!(span <= Float.MAX_VALUE)) {
            return new Range(Float.NaN, Float.NaN);
        }
        float scale = Elements.roundUp(type, span / INT4_MOST);
        Range range = new Range(least + 0f, scale);
        return Float.isInfinite(Elements.round(type, range.value(INT4_MOST)))
                ? new Range(range.least(), Elements.before(type, scale))
                : range;
    }

    private void setNibble(long from, long to, int index, Range range) {
        int nibble = 0;
        if (range.scale() > 0) {
            float ratio = (Elements.get(type, from, index) - range.least()) / range.scale();
            nibble = (int) Math.rint(Math.min(ratio, INT4_MOST));
        }
        long at = to + index / 2;
        Memory.setByte(at, Memory.getByte(at) | nibble << (index % 2 * INT4_BITS));
    }

    void decode(long from, long to) {
        long scales = from + scalesAt;
        for (int i = 0; i < values.count(); i++) {
            Elements.set(
                    type,
                    to,
                    i,
                    switch (code) {
                        case FP8 ->
                            FP8_VALUES[Memory.getByte(from + i)] * Elements.get(type, scales, i / values.headSize());
                        case INT8 ->
                            (byte) Memory.getByte(from + i) * Elements.get(type, scales, i / values.headSize());
                        case INT4 -> int4(from, scales, i);
                        case PACKED -> throw new IllegalStateException("packed values are not scaled");
                    });
        }
    }

    private float int4(long from, long scales, int index) {
        int nibble = Memory.getByte(from + index / 2) >>> (index % 2 * INT4_BITS) & INT4_MASK;
        int half = values.halfWidth();
        int token = index / values.width();
        int column = index % values.width();
        if (column < half) {
            return new Range(Elements.get(type, scales, column), Elements.get(type, scales, half + column))
                    .value(nibble);
        }
        long head = (long) token * (values.heads() / 2) + (column - half) / values.headSize();
        long pair = 2L * half + 2 * head;
        return new Range(Elements.get(type, scales, pair), Elements.get(type, scales, pair + 1)).value(nibble);
    }
}
