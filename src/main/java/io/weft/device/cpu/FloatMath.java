package io.weft.device.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Functions whose bits are the same in the interpreter and in compiled code, which Java does not promise for
 * {@code lanewise(EXP)} and the like. Scalar and vector forms agree bit for bit.
 */
final class FloatMath {
    private static final float LOG2_E = 1.44269504f;
    /** ln 2 in two parts (Cody and Waite): the first has so few bits that n times it is exact. */
    private static final float LN2_HIGH = 0.693359375f;

    private static final float LN2_LOW = -2.12194440e-4f;
    /** Adding and subtracting 1.5·2²³ rounds to an integer, which is then in the low bits. */
    private static final float ROUNDER = 12_582_912f;

    private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);
    private static final int EXPONENT_BIAS = 127;
    private static final int MANTISSA_BITS = 23;
    /** For smaller x, e^x is below the smallest normal number and counts as 0. */
    private static final float EXP_LEAST = -87.33f;

    private static final float EXP_MOST = 88.0f;
    /** Minimax coefficients of (e^r − 1 − r) / r² for |r| ≤ ln 2 / 2 (Cephes expf), highest power first. */
    private static final float C5 = 1.9875691500e-4f;

    private static final float C4 = 1.3981999507e-3f;
    private static final float C3 = 8.3334519073e-3f;
    private static final float C2 = 4.1665795894e-2f;
    private static final float C1 = 1.6666665459e-1f;
    private static final float C0 = 5.0000001201e-1f;
    /** From here on, tanh is computed from e^2x. */
    private static final float TANH_LARGE = 0.625f;
    /** Minimax coefficients of (tanh x − x) / x³ in x² below that (Cephes tanhf), highest power first. */
    private static final float T4 = -5.70498872745e-3f;

    private static final float T3 = 2.06390887954e-2f;
    private static final float T2 = -5.37397155531e-2f;
    private static final float T1 = 1.33314422036e-1f;
    private static final float T0 = -3.33332819422e-1f;

    private FloatMath() {}

    /** e^x to about 2 ulp; 0 below −87.33, e^88 above 88. */
    static float exp(float x) {
        if (!(x >= EXP_LEAST)) {
            return x < EXP_LEAST ? 0 : Float.NaN;
        }
        float bounded = Math.min(x, EXP_MOST);
        float rounded = Math.fma(bounded, LOG2_E, ROUNDER);
        float n = rounded - ROUNDER;
        float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, bounded));
        float p = Math.fma(C5, r, C4);
        p = Math.fma(p, r, C3);
        p = Math.fma(p, r, C2);
        p = Math.fma(p, r, C1);
        p = Math.fma(p, r, C0);
        float y = Math.fma(p, r * r, r) + 1;
        int exponent = Float.floatToRawIntBits(rounded) - ROUNDER_BITS + EXPONENT_BIAS;
        return y * Float.intBitsToFloat(exponent << MANTISSA_BITS);
    }

    /** {@link #exp(float)} of each lane; lanes must not be NaN. */
    static FloatVector exp(FloatVector x) {
        FloatVector bounded = x.min(EXP_MOST).max(EXP_LEAST);
        FloatVector rounder = FloatVector.broadcast(Memory.FLOATS, ROUNDER);
        FloatVector rounded = bounded.fma(FloatVector.broadcast(Memory.FLOATS, LOG2_E), rounder);
        FloatVector n = rounded.sub(rounder);
        FloatVector r = n.fma(FloatVector.broadcast(Memory.FLOATS, -LN2_HIGH), bounded);
        r = n.fma(FloatVector.broadcast(Memory.FLOATS, -LN2_LOW), r);
        FloatVector p = FloatVector.broadcast(Memory.FLOATS, C5).fma(r, FloatVector.broadcast(Memory.FLOATS, C4));
        p = p.fma(r, FloatVector.broadcast(Memory.FLOATS, C3));
        p = p.fma(r, FloatVector.broadcast(Memory.FLOATS, C2));
        p = p.fma(r, FloatVector.broadcast(Memory.FLOATS, C1));
        p = p.fma(r, FloatVector.broadcast(Memory.FLOATS, C0));
        FloatVector y = p.fma(r.mul(r), r).add(1);
        IntVector exponent = rounded.reinterpretAsInts().sub(ROUNDER_BITS).add(EXPONENT_BIAS);
        FloatVector scale =
                exponent.lanewise(VectorOperators.LSHL, MANTISSA_BITS).reinterpretAsFloats();
        return y.mul(scale).blend(0, x.lt(EXP_LEAST));
    }

    /** tanh x to about 2 ulp. */
    static float tanh(float x) {
        float size = Math.abs(x);
        if (size < TANH_LARGE) {
            float square = x * x;
            float p = Math.fma(T4, square, T3);
            p = Math.fma(p, square, T2);
            p = Math.fma(p, square, T1);
            p = Math.fma(p, square, T0);
            return Math.fma(p * square, x, x);
        }
        float y = 1 - 2 / (exp(size + size) + 1);
        return x < 0 ? -y : y;
    }

    /** {@link #tanh(float)} of each lane. */
    static FloatVector tanh(FloatVector x) {
        FloatVector square = x.mul(x);
        FloatVector p = FloatVector.broadcast(Memory.FLOATS, T4).fma(square, FloatVector.broadcast(Memory.FLOATS, T3));
        p = p.fma(square, FloatVector.broadcast(Memory.FLOATS, T2));
        p = p.fma(square, FloatVector.broadcast(Memory.FLOATS, T1));
        p = p.fma(square, FloatVector.broadcast(Memory.FLOATS, T0));
        FloatVector small = p.mul(square).fma(x, x);
        FloatVector size = x.abs();
        FloatVector one = FloatVector.broadcast(Memory.FLOATS, 1);
        FloatVector large = one.sub(
                FloatVector.broadcast(Memory.FLOATS, 2).div(exp(size.add(size)).add(1)));
        return large.blend(large.neg(), x.lt(0)).blend(small, size.lt(TANH_LARGE));
    }

    /** {@code x / (1 + e^−x)}. */
    static float silu(float x) {
        return x / (1 + exp(-x));
    }

    /** {@code x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))}. */
    static float geluTanh(float x) {
        double inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
        return (float) (0.5 * x * (1 + StrictMath.tanh(inner)));
    }

    /** {@code x/2 · (1 + erf(x/√2))}. */
    static float gelu(float x) {
        return (float) (0.5 * x * (1 + erf(x / Math.sqrt(2))));
    }

    /** erf to about 1.2e-7 (Press et al., Numerical Recipes, erfcc). */
    static double erf(double x) {
        double t = 1 / (1 + 0.5 * Math.abs(x));
        double power = 0.17087277;
        for (double coefficient : ERF_COEFFICIENTS) {
            power = power * t + coefficient;
        }
        double complement = t * StrictMath.exp(-x * x + power);
        return x >= 0 ? 1 - complement : complement - 1;
    }

    private static final double[] ERF_COEFFICIENTS = {
        -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223
    };
}
