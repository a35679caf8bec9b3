package io.weft.check;

import io.weft.device.ElementType;

/**
 * The expected result of a kernel, in double precision: values, and for each value the <em>size</em> of its terms.
 * Terms that cancel leave their rounding errors, so errors are relative to the size and not to the value.
 */
final class Expected {
    private final double[] values;
    private final double[] sizes;

    Expected(int count) {
        this.values = new double[count];
        this.sizes = new double[count];
    }

    /** Values that a kernel copies. */
    static Expected exactly(float[] values) {
        Expected expected = new Expected(values.length);
        for (int i = 0; i < values.length; i++) {
            expected.set(i, values[i], Math.abs(values[i]));
        }
        return expected;
    }

    void set(int index, double value, double size) {
        values[index] = value;
        sizes[index] = size;
    }

    int count() {
        return values.length;
    }

    double value(int index) {
        return values[index];
    }

    double size(int index) {
        return sizes[index];
    }

    /** The largest error, relative to the value's size; NaN if anything is NaN. */
    double error(float[] actual, ElementType type) {
        if (actual.length != values.length) {
            return Double.POSITIVE_INFINITY;
        }
        double worst = 0;
        for (int i = 0; i < actual.length; i++) {
            double size = Math.max(sizes[i], RoundingErrors.leastNormal(type));
            double error = Math.abs(values[i] - actual[i]) / size;
            if (Double.isNaN(error)) {
                return Double.NaN;
            }
            worst = Math.max(worst, error);
        }
        return worst;
    }
}
