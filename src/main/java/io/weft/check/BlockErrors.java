package io.weft.check;

import io.weft.device.BlockCode;
import io.weft.device.BlockValues;

/** How far a decoded value may be from the original, by the formulas of {@link BlockCode} in double precision. */
final class BlockErrors {
    private static final double FP8_MOST = 448;
    private static final double INT8_MOST = 127;
    private static final double INT4_MOST = 15;
    /** Half of the distance between neighbours of E4M3, relative to the lesser. */
    private static final double FP8_ERROR = 0x1p-4;
    /** The same of numbers without a leading bit, in scales. */
    private static final double FP8_LEAST_ERROR = 0x1p-10;

    private final BlockCode code;
    private final BlockValues values;
    private final double[] in;
    private final double rounding;
    private final double leastNumber;

    BlockErrors(BlockCode code, BlockValues values, double[] in) {
        this.code = code;
        this.values = values;
        this.in = in;
        this.rounding = RoundingErrors.stored(values.type());
        this.leastNumber = RoundingErrors.leastNormal(values.type()) * 2 * rounding;
    }

    /** The bound for element {@code index}; NaN if its group has a value that is not finite, or no range. */
    double bound(int index) {
        return switch (code) {
            case PACKED -> 0;
            case FP8 -> {
                double scale = scale(greatest(index) / FP8_MOST);
                yield together(Math.max(Math.abs(in[index]) * FP8_ERROR, scale * FP8_LEAST_ERROR), index);
            }
            case INT8 -> together(scale(greatest(index) / INT8_MOST) / 2, index);
            case INT4 -> int4(index);
        };
    }

    /** A scale is rounded up. */
    private double scale(double exact) {
        return exact * (1 + 2 * rounding) + leastNumber;
    }

    /**
     * The error of a code, and those of the result: of rounding, and of the greatest value, if its scale had to be
     * rounded down.
     */
    private double together(double codeError, int index) {
        return (codeError + Math.abs(in[index]) * 3 * rounding) * (1 + 2 * rounding) + leastNumber;
    }

    private double greatest(int index) {
        int first = index / values.headSize() * values.headSize();
        double greatest = 0;
        for (int i = first; i < first + values.headSize(); i++) {
            greatest = Math.max(greatest, Math.abs(in[i]));
        }
        return Double.isInfinite(greatest) ? Double.NaN : greatest;
    }

    private double int4(int index) {
        int column = index % values.width();
        boolean key = column < values.halfWidth();
        int first = key ? column : index / values.headSize() * values.headSize();
        int count = key ? values.tokens() : values.headSize();
        int stride = key ? values.width() : 1;
        double least = Double.POSITIVE_INFINITY;
        double greatest = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            least = Math.min(least, in[first + i * stride]);
            greatest = Math.max(greatest, in[first + i * stride]);
        }
        double span = greatest - least;
        if (!((float) span <= Float.MAX_VALUE)) {
            return Double.NaN;
        }
        double size = Math.max(Math.abs(least), Math.abs(greatest));
        return (scale(span / INT4_MOST) / 2 + (size + span) * 3 * rounding) * (1 + 2 * rounding) + leastNumber;
    }
}
