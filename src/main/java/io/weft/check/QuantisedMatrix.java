package io.weft.check;

import io.weft.device.ElementType;
import io.weft.device.QuantisedTensor;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import io.weft.device.WeightEncoding.Zero;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/**
 * A quantised matrix with random codes, scales and zeros, and its elements by the formula of {@link WeightEncoding}.
 */
final class QuantisedMatrix implements QuantisedTensor.Source {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int E4M3_NAN = 0x7f;
    /** The smallest FP8 and FP4 numbers, as powers of two. */
    private static final int E4M3_LEAST = -9;

    private static final int E2M1_LEAST = -1;

    private final WeightEncoding encoding;
    private final int rows;
    private final int columns;
    private final int[] codes;
    private final float[] scales;
    private final int[] zeros;

    /** @param size of a usual element, about */
    QuantisedMatrix(WeightEncoding encoding, int rows, int columns, double size, SplittableRandom random) {
        this.encoding = encoding;
        this.rows = rows;
        this.columns = columns;
        int range = 1 << encoding.code().bits();
        this.codes = random.ints((long) rows * columns, 0, range)
                .map(code -> encoding.code() == WeightCode.FP8_E4M3 && (code & E4M3_NAN) == E4M3_NAN ? 1 : code)
                .toArray();
        int groups = rows * encoding.groups(columns);
        this.scales = new float[groups];
        this.zeros = new int[groups];
        double largest = magnitude(range / 2 - 2);
        for (int i = 0; i < groups; i++) {
            double scale = size / largest * random.nextDouble(0.5, 1.5);
            scales[i] = encoding.code() == WeightCode.FP4_E2M1
                    ? Math.scalb(1.0f, Math.getExponent(scale))
                    : Workbench.round(encoding.scaleType(), (float) scale);
            zeros[i] = encoding.zero() == Zero.GROUP ? random.nextInt(range) : middle(range);
        }
    }

    private int middle(int range) {
        return switch (encoding.code()) {
            case INT4, INT8 -> range / 2;
            case FP8_E4M3, FP4_E2M1 -> 0;
        };
    }

    /** The number that a code without its sign stands for. */
    private double magnitude(int code) {
        return switch (encoding.code()) {
            case INT4, INT8 -> code;
            // Numbers of three bits of mantissa: evenly spaced up to 16, then each eight twice as far apart.
            case FP8_E4M3 -> Math.scalb(code < 16 ? code : code % 8 + 8.0, (code < 16 ? 0 : code / 8 - 1) + E4M3_LEAST);
            case FP4_E2M1 -> Math.scalb(code < 4 ? code : code % 2 + 2.0, (code < 4 ? 0 : code / 2 - 1) + E2M1_LEAST);
        };
    }

    QuantisedTensor tensor(String name) {
        return new QuantisedTensor(name, rows, columns, encoding, this);
    }

    /** The elements, rounded to fp32 as the encoding says and then to an element type. */
    float[] elements(ElementType type) {
        float[] elements = new float[codes.length];
        int sign = 1 << (encoding.code().bits() - 1);
        for (int i = 0; i < codes.length; i++) {
            int group = i / columns * encoding.groups(columns) + i % columns / encoding.groupColumns();
            double value = switch (encoding.code()) {
                case INT4, INT8 -> codes[i] - zeros[group];
                case FP8_E4M3, FP4_E2M1 -> codes[i] < sign ? magnitude(codes[i]) : -magnitude(codes[i] - sign);
            };
            elements[i] = Workbench.round(type, (float) (value * scales[group]));
        }
        return elements;
    }

    @Override
    public void codes(int fromRow, int count, MemorySegment to) {
        long rowBytes = encoding.rowBytes(columns);
        int perByte = Byte.SIZE / encoding.code().bits();
        for (int row = 0; row < count; row++) {
            for (int at = 0; at < rowBytes; at++) {
                int byteCodes = 0;
                for (int i = 0; i < perByte && at * perByte + i < columns; i++) {
                    int code = codes[(fromRow + row) * columns + at * perByte + i];
                    byteCodes |= code << (i * encoding.code().bits());
                }
                to.set(ValueLayout.JAVA_BYTE, row * rowBytes + at, (byte) byteCodes);
            }
        }
    }

    @Override
    public void scales(int fromRow, int count, MemorySegment to) {
        int groups = encoding.groups(columns);
        MemorySegment.copy(scales, fromRow * groups, to, FLOAT, 0, count * groups);
    }

    @Override
    public void zeros(int fromRow, int count, MemorySegment to) {
        int groups = encoding.groups(columns);
        for (int i = 0; i < count * groups; i++) {
            to.set(ValueLayout.JAVA_BYTE, i, (byte) zeros[fromRow * groups + i]);
        }
    }
}
