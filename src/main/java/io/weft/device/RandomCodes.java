package io.weft.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Quantised weights that come from no file, as {@link RandomTensor} does: the code of element i of a source has random
 * bits by {@code seed + i}, and all groups have one scale.
 *
 * @param seed selects the codes
 * @param columns width of a row
 * @param encoding without zeros of groups
 * @param scale of all groups; a number with eight significant bits, so that every element type holds it
 */
public record RandomCodes(long seed, int columns, WeightEncoding encoding, float scale)
        implements QuantisedTensor.Source {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int DROPPED_MANTISSA_BITS = 16;
    private static final int NIBBLE_BITS = 4;
    private static final int FP8_NAN = 0x7f;

    public RandomCodes {
        if (encoding.zero() == WeightEncoding.Zero.GROUP) {
            throw new IllegalArgumentException("random weights have no zeros of groups");
        }
    }

    /**
     * A matrix of random codes.
     *
     * @param deviation standard deviation of its elements, about
     */
    public static QuantisedTensor tensor(
            String name, int rows, int columns, WeightEncoding encoding, long seed, double deviation) {
        double squares = 0;
        int codes = 1 << encoding.code().bits();
        for (int code = 0; code < codes; code++) {
            double value = encoding.code().value(valid(encoding.code(), code))
                    - encoding.code().middle();
            squares += value * value;
        }
        int bits = Float.floatToRawIntBits((float) (deviation / Math.sqrt(squares / codes)));
        float scale = Float.intBitsToFloat(bits >> DROPPED_MANTISSA_BITS << DROPPED_MANTISSA_BITS);
        return new QuantisedTensor(name, rows, columns, encoding, new RandomCodes(seed, columns, encoding, scale));
    }

    /** FP8's code for NaN becomes the one before it. The CUDA kernel does the same. */
    private static int valid(WeightCode code, int bits) {
        return code == WeightCode.FP8_E4M3 && (bits & FP8_NAN) == FP8_NAN ? bits - 1 : bits;
    }

    private int code(long element) {
        int bits = (int) (RandomTensor.mix(seed + element)
                >>> (Long.SIZE - encoding.code().bits()));
        return valid(encoding.code(), bits);
    }

    @Override
    public void codes(int fromRow, int rows, MemorySegment to) {
        long rowBytes = encoding.rowBytes(columns);
        for (int row = 0; row < rows; row++) {
            long first = (long) (fromRow + row) * columns;
            int codesOfByte = Byte.SIZE / encoding.code().bits();
            for (int k = 0; k < columns; k += codesOfByte) {
                int codes = code(first + k);
                if (codesOfByte > 1 && k + 1 < columns) {
                    codes |= code(first + k + 1) << NIBBLE_BITS;
                }
                to.set(ValueLayout.JAVA_BYTE, row * rowBytes + k / codesOfByte, (byte) codes);
            }
        }
    }

    @Override
    public void scales(int fromRow, int rows, MemorySegment to) {
        long count = (long) rows * encoding.groups(columns);
        for (long i = 0; i < count; i++) {
            to.set(FLOAT, i * Float.BYTES, scale);
        }
    }

    @Override
    public void zeros(int fromRow, int rows, MemorySegment to) {
        throw new IllegalStateException("random weights have no zeros of groups");
    }
}
