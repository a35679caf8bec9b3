package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.Norm;
import io.weft.device.RotaryTable;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The formulas of the kernels, as stated by {@link io.weft.device.Kernels} and its records, in double precision and in
 * the simplest order. It shares no code with a device.
 */
final class Reference {
    private static final double SQRT_PI = Math.sqrt(Math.PI);

    private Reference() {}

    /**
     * {@code in · Wᵀ + bias}.
     *
     * @param in (rows, inFeatures)
     * @param weights (outFeatures, inFeatures)
     * @param bias (outFeatures)
     * @return (rows, outFeatures)
     */
    static Expected product(float[] in, float[] weights, float[] bias) {
        int n = bias.length;
        int k = weights.length / n;
        int rows = in.length / k;
        Expected out = new Expected(rows * n);
        for (int row = 0; row < rows; row++) {
            for (int j = 0; j < n; j++) {
                double sum = bias[j];
                double size = Math.abs(sum);
                for (int i = 0; i < k; i++) {
                    double term = (double) in[row * k + i] * weights[j * k + i];
                    sum += term;
                    size += Math.abs(term);
                }
                out.set(row * n + j, sum, size);
            }
        }
        return out;
    }

    /** {@code before + y} for as many first values of y as {@code before} has. */
    static Expected added(float[] before, Expected y) {
        Expected out = new Expected(before.length);
        for (int i = 0; i < before.length; i++) {
            out.set(i, before[i] + y.value(i), Math.abs(before[i]) + y.size(i));
        }
        return out;
    }

    /** {@code activation(y)} for the first {@code count} values of y. */
    static Expected activated(Activation activation, Expected y, int count) {
        Expected out = new Expected(count);
        for (int i = 0; i < count; i++) {
            out.set(i, activation(activation, y.value(i)), RoundingErrors.ACTIVATION_SLOPE * y.size(i));
        }
        return out;
    }

    /**
     * {@code activation(gate) · up} for the first rows of {@code gateUp}.
     *
     * @param gateUp (rows, 2·width)
     * @return (rows, width); a size is the effect on the result of an error in gate or up of its own size
     */
    static Expected gated(Activation activation, Expected gateUp, int rows, int width) {
        Expected out = new Expected(rows * width);
        for (int row = 0; row < rows; row++) {
            for (int j = 0; j < width; j++) {
                int gate = row * 2 * width + j;
                int up = gate + width;
                double open = activation(activation, gateUp.value(gate));
                double size = Math.abs(open) * gateUp.size(up)
                        + RoundingErrors.ACTIVATION_SLOPE * gateUp.size(gate) * Math.abs(gateUp.value(up));
                out.set(row * width + j, open * gateUp.value(up), size);
            }
        }
        return out;
    }

    /** One value of an activation. */
    static double activation(Activation activation, double x) {
        return switch (activation) {
            case RELU -> x > 0 ? x : 0;
            case SILU -> x / (1 + Math.exp(-x));
            case GELU -> x / 2 * (1 + erf(x / Math.sqrt(2)));
            case GELU_TANH -> x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
        };
    }

    /** {@code 2/√π · e^−x² · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1))}: all terms have one sign. */
    static double erf(double x) {
        if (Math.abs(x) > 6) {
            return Math.signum(x);
        }
        double term = x;
        double sum = x;
        for (int n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
            term *= 2 * x * x / (2 * n + 1);
            sum += term;
        }
        return 2 / SQRT_PI * Math.exp(-x * x) * sum;
    }

    /**
     * A norm of each row.
     *
     * @param gain (width)
     * @param bias (width)
     * @param in (rows, width)
     */
    static Expected norm(Norm.Kind kind, float[] gain, float[] bias, float[] in) {
        return normedHeads(kind, gain, bias, in, gain.length, gain.length);
    }

    /**
     * A norm of each head at the start of each row; everything else is unchanged.
     *
     * @param gain (heads, headSize)
     * @param bias (heads, headSize)
     * @param in (rows, rowWidth)
     */
    static Expected normedHeads(Norm.Kind kind, float[] gain, float[] bias, float[] in, int rowWidth, int headSize) {
        Expected out = Expected.exactly(in);
        for (int row = 0; row < in.length; row += rowWidth) {
            for (int head = 0; head < gain.length; head += headSize) {
                int start = row + head;
                double mean = switch (kind) {
                    case Norm.Kind.LayerNorm layerNorm -> average(headSize, j -> in[start + j]);
                    case Norm.Kind.RmsNorm rmsNorm -> 0;
                };
                double square = average(headSize, j -> (in[start + j] - mean) * (in[start + j] - mean));
                double factor = 1 / Math.sqrt(square + kind.epsilon());
                for (int j = 0; j < headSize; j++) {
                    double scale = factor * (gain[head + j] + kind.gainOffset());
                    double size =
                            (Math.abs(in[start + j]) + Math.abs(mean)) * Math.abs(scale) + Math.abs(bias[head + j]);
                    out.set(start + j, (in[start + j] - mean) * scale + bias[head + j], size);
                }
            }
        }
        return out;
    }

    /**
     * {@code scale · (hidden + factor · branch)}.
     *
     * @param hidden (rows, width)
     * @param branch (rows, width)
     */
    static Expected residual(float[] hidden, Expected branch, float factor, float scale) {
        Expected out = new Expected(hidden.length);
        for (int i = 0; i < hidden.length; i++) {
            double value = scale * (hidden[i] + factor * branch.value(i));
            out.set(i, value, Math.abs(scale) * (Math.abs(hidden[i]) + Math.abs(factor) * branch.size(i)));
        }
        return out;
    }

    private static double average(int count, java.util.function.IntToDoubleFunction term) {
        return IntStream.range(0, count).mapToDouble(term).sum() / count;
    }

    /**
     * {@code scale · tokens[id] + positions[position + offset]}.
     *
     * @param tokens (vocabulary, width)
     * @param positions (positions, width), all 0 without learned positions
     */
    static Expected embedding(
            float[] tokens, float[] positions, int width, float scale, int[] ids, int[] places, int offset) {
        Expected out = new Expected(ids.length * width);
        for (int row = 0; row < ids.length; row++) {
            for (int j = 0; j < width; j++) {
                double token = (double) scale * tokens[ids[row] * width + j];
                double learned = positions[(places[row] + offset) * width + j];
                out.set(row * width + j, token + learned, Math.abs(token) + Math.abs(learned));
            }
        }
        return out;
    }

    /**
     * Rotates the dimensions of a head two by two by {@code position · frequencies[j]}, as the layout says, in the
     * heads at the start of each row; everything else is unchanged.
     *
     * @param rows (rows, width)
     * @param positions (rows)
     */
    static Expected rotated(
            float[] rows,
            int width,
            int heads,
            int headSize,
            RotaryTable.Layout layout,
            float[] frequencies,
            double magnitude,
            int[] positions) {
        Expected out = Expected.exactly(rows);
        int half = frequencies.length;
        for (int row = 0; row < positions.length; row++) {
            for (int head = 0; head < heads; head++) {
                for (int j = 0; j < half; j++) {
                    int start = row * width + head * headSize;
                    int first = switch (layout) {
                        case HALVES -> start + j;
                        case PAIRS -> start + 2 * j;
                    };
                    int second = switch (layout) {
                        case HALVES -> first + half;
                        case PAIRS -> first + 1;
                    };
                    // The angle is an fp32 product, as in the training of the models.
                    double angle = (float) positions[row] * frequencies[j];
                    double cosine = magnitude * Math.cos(angle);
                    double sine = magnitude * Math.sin(angle);
                    double a = rows[first];
                    double b = rows[second];
                    out.set(first, a * cosine - b * sine, Math.abs(a * cosine) + Math.abs(b * sine));
                    out.set(second, b * cosine + a * sine, Math.abs(b * cosine) + Math.abs(a * sine));
                }
            }
        }
        return out;
    }

    /** {@code cap · tanh(x / cap)}, or x without a cap, which is 0. */
    static double capped(double x, double cap) {
        return cap == 0 ? x : cap * Math.tanh(x / cap);
    }

    /** Weights {@code e^s / Σ e^s}. */
    static double[] softmax(double[] scores) {
        double largest = Arrays.stream(scores).max().orElseThrow();
        double[] weights = Arrays.stream(scores).map(s -> Math.exp(s - largest)).toArray();
        double sum = Arrays.stream(weights).sum();
        return Arrays.stream(weights).map(weight -> weight / sum).toArray();
    }
}
