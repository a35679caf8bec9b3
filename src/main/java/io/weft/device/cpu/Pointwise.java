package io.weft.device.cpu;

import static io.weft.device.cpu.Memory.getFloat;
import static io.weft.device.cpu.Memory.getInt;
import static io.weft.device.cpu.Memory.setFloat;

import io.weft.device.Activation;
import io.weft.device.Gating;
import io.weft.device.Norm;
import org.jspecify.annotations.Nullable;

/** Kernels that treat each row by itself. Sums are in double, in order, so that they depend on the row alone. */
final class Pointwise {
    private Pointwise() {}

    static float activate(Activation activation, float x) {
        return switch (activation) {
            case RELU -> Math.max(0, x);
            case SILU -> FloatMath.silu(x);
            case GELU -> FloatMath.gelu(x);
            case GELU_TANH -> FloatMath.geluTanh(x);
        };
    }

    /** See {@link io.weft.device.Kernels#addResidual}. */
    static void addResidual(long hidden, long in, @Nullable CpuNorm norm, float factor, float scale, int width) {
        double mean = norm == null ? 0 : mean(norm.kind(), in, width);
        double normFactor = norm == null ? 1 : factor(norm.kind(), in, mean, width);
        for (int j = 0; j < width; j++) {
            long at = (long) j * Float.BYTES;
            float value = getFloat(in + at);
            if (norm != null) {
                value = normed(norm.kind(), value, mean, normFactor, getFloat(norm.gain() + at))
                        + getFloat(norm.bias() + at);
            }
            setFloat(hidden + at, scale * (getFloat(hidden + at) + factor * value));
        }
    }

    /**
     * Norms of neighbouring parts of a row; {@code out} may be {@code in}.
     *
     * @param parts of {@code width} elements, which share gain and bias or have their own
     */
    static void norm(CpuNorm norm, long in, long out, int parts, int width) {
        for (int part = 0; part < parts; part++) {
            long at = (long) part * width * Float.BYTES;
            long weights = norm.width() == width ? 0 : at;
            norm(norm.kind(), norm.gain() + weights, norm.bias() + weights, in + at, out + at, width);
        }
    }

    private static void norm(Norm.Kind kind, long gain, long bias, long in, long out, int width) {
        double mean = mean(kind, in, width);
        double factor = factor(kind, in, mean, width);
        for (int j = 0; j < width; j++) {
            long at = (long) j * Float.BYTES;
            setFloat(
                    out + at, normed(kind, getFloat(in + at), mean, factor, getFloat(gain + at)) + getFloat(bias + at));
        }
    }

    /** A normalised element times its gain. */
    private static float normed(Norm.Kind kind, float x, double mean, double factor, float gain) {
        return (float) ((x - mean) * factor) * (gain + kind.gainOffset());
    }

    /** What a norm subtracts. */
    private static double mean(Norm.Kind kind, long in, int width) {
        return switch (kind) {
            case Norm.Kind.LayerNorm layerNorm -> sum(in, width) / width;
            case Norm.Kind.RmsNorm rmsNorm -> 0;
        };
    }

    private static double sum(long in, int width) {
        double sum = 0;
        for (int j = 0; j < width; j++) {
            sum += getFloat(in + (long) j * Float.BYTES);
        }
        return sum;
    }

    private static double factor(Norm.Kind kind, long in, double mean, int width) {
        double squares = 0;
        for (int j = 0; j < width; j++) {
            double deviation = getFloat(in + (long) j * Float.BYTES) - mean;
            squares += deviation * deviation;
        }
        return 1 / Math.sqrt(squares / width + kind.epsilon());
    }

    /** {@code scale · token + position}. */
    static void embed(CpuEmbedding table, int token, int position, long out) {
        int width = table.width();
        long tokenRow = table.tokens() + (long) token * width * Float.BYTES;
        long positionRow = table.positions() + (long) (position + table.positionOffset()) * width * Float.BYTES;
        for (int j = 0; j < width; j++) {
            long at = (long) j * Float.BYTES;
            float learned = table.positions() == 0 ? 0 : getFloat(positionRow + at);
            setFloat(out + at, table.scale() * getFloat(tokenRow + at) + learned);
        }
    }

    static void gate(Activation activation, long gateUp, long out, int width) {
        for (int j = 0; j < width; j++) {
            long at = (long) j * Float.BYTES;
            float up = getFloat(gateUp + (long) width * Float.BYTES + at);
            setFloat(out + at, activate(activation, getFloat(gateUp + at)) * up);
        }
    }

    /** @param gateUp address of (2·width): gates, then the values that they gate */
    static void gate(Gating gating, long gateUp, long out, int width) {
        switch (gating) {
            case Gating.Activated(Activation activation) -> gate(activation, gateUp, out, width);
            case Gating.ClampedSwiGlu(float limit, float alpha) -> {
                for (int j = 0; j < width; j++) {
                    long at = (long) j * Float.BYTES;
                    float gate = Math.min(getFloat(gateUp + at), limit);
                    float up = Math.clamp(getFloat(gateUp + (long) width * Float.BYTES + at), -limit, limit);
                    setFloat(out + at, (up + 1) * (gate / (1 + FloatMath.exp(-alpha * gate))));
                }
            }
        }
    }

    /** {@code out += values / (1 + e^−logit)}. */
    static void addGated(float logit, long values, long out, int width) {
        float open = 1 / (1 + FloatMath.exp(-logit));
        for (int j = 0; j < width; j++) {
            long at = (long) j * Float.BYTES;
            setFloat(out + at, Math.fma(open, getFloat(values + at), getFloat(out + at)));
        }
    }

    /** See {@link io.weft.device.Kernels#capLogits}. */
    static void capLogits(long logits, float factor, float cap, int count) {
        for (int j = 0; j < count; j++) {
            long at = logits + (long) j * Float.BYTES;
            float x = factor * getFloat(at);
            setFloat(at, cap == 0 ? x : cap * FloatMath.tanh(x / cap));
        }
    }

    /** Rotates the heads at the start of a row. */
    static void rotate(CpuRotaryTable table, long row, int heads, int headSize, int position) {
        int half = table.rotaryWidth() / 2;
        int step = switch (table.layout()) {
            case HALVES -> 1;
            case PAIRS -> 2;
        };
        long partner = switch (table.layout()) {
            case HALVES -> (long) half * Float.BYTES;
            case PAIRS -> Float.BYTES;
        };
        long cosines = table.cosines() + (long) position * half * Float.BYTES;
        long sines = table.sines() + (long) position * half * Float.BYTES;
        for (int head = 0; head < heads; head++) {
            long first = row + (long) head * headSize * Float.BYTES;
            for (int j = 0; j < half; j++) {
                long at = (long) j * Float.BYTES;
                float cosine = getFloat(cosines + at);
                float sine = getFloat(sines + at);
                long low = first + step * at;
                float a = getFloat(low);
                float b = getFloat(low + partner);
                setFloat(low, a * cosine - b * sine);
                setFloat(low + partner, b * cosine + a * sine);
            }
        }
    }

    /** Position of row {@code row}, see {@link io.weft.device.Kernels#rotate}. */
    static int position(long positions, int rowsPerPosition, int row) {
        return getInt(positions + (long) (row / rowsPerPosition) * Integer.BYTES) + row % rowsPerPosition;
    }
}
