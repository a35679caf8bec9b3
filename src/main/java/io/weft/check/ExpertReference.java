package io.weft.check;

import io.weft.device.Activation;
import io.weft.device.ExpertRouting;
import io.weft.device.Gating;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The formulas of mixtures of experts in double precision, and the weights of one expert.
 *
 * @param gateUp (2·F, D)
 * @param gateUpBias (2·F)
 * @param down (D, F)
 * @param downBias (D)
 */
// A few numbers that are compared by nobody.
@SuppressWarnings("ArrayRecordComponent")
record ExpertReference(float[] gateUp, float[] gateUpBias, float[] down, float[] downBias) {
    /**
     * The experts of each row.
     *
     * @param logits (rows, E)
     * @return (rows, k)
     */
    static int[] ids(ExpertRouting routing, float[] logits) {
        int experts = routing.experts();
        return IntStream.range(0, logits.length / experts)
                .flatMap(row -> IntStream.range(0, experts)
                        .boxed()
                        .sorted(Comparator.<Integer>comparingDouble(expert -> {
                                    float logit = logits[row * experts + expert];
                                    // Zeros of both signs are equal.
                                    return Float.isNaN(logit) ? Double.POSITIVE_INFINITY : 0.0 - logit;
                                })
                                .thenComparingInt(expert -> expert))
                        .limit(routing.chosen())
                        .mapToInt(expert -> expert))
                .toArray();
    }

    /**
     * The weights of chosen experts.
     *
     * @param ids (rows, k)
     */
    static Expected weights(ExpertRouting routing, float[] logits, int[] ids) {
        Expected out = new Expected(ids.length);
        int experts = routing.experts();
        int chosen = routing.chosen();
        for (int row = 0; row < ids.length / chosen; row++) {
            int first = row * experts;
            int firstPair = row * chosen;
            double[] scores = switch (routing.weights()) {
                case SOFTMAX_OF_ALL ->
                    IntStream.range(0, experts)
                            .mapToDouble(expert -> logits[first + expert])
                            .toArray();
                case SOFTMAX_OF_CHOSEN ->
                    IntStream.range(0, chosen)
                            .mapToDouble(rank -> logits[first + ids[firstPair + rank]])
                            .toArray();
            };
            double[] weights = Reference.softmax(scores);
            for (int rank = 0; rank < chosen; rank++) {
                double weight = switch (routing.weights()) {
                    case SOFTMAX_OF_ALL -> weights[ids[firstPair + rank]];
                    case SOFTMAX_OF_CHOSEN -> weights[rank];
                };
                out.set(firstPair + rank, weight, weight);
            }
        }
        return out;
    }

    /**
     * {@code Σ weight · expert(in)}.
     *
     * @param in (rows, D)
     * @param ids (rows, k)
     * @param weights (rows, k)
     * @return (rows, D); a size is the effect of errors of the size of each term, at all stages
     */
    static Expected experts(
            List<ExpertReference> experts, Gating gating, float[] in, int chosen, int[] ids, float[] weights) {
        int width = experts.getFirst().downBias().length;
        Expected out = new Expected(in.length);
        for (int row = 0; row < in.length / width; row++) {
            float[] values = Arrays.copyOfRange(in, row * width, (row + 1) * width);
            double[] sums = new double[width];
            double[] sizes = new double[width];
            for (int pair = row * chosen; pair < (row + 1) * chosen; pair++) {
                Expected one = experts.get(ids[pair]).apply(gating, values);
                for (int j = 0; j < width; j++) {
                    sums[j] += weights[pair] * one.value(j);
                    sizes[j] += weights[pair] * one.size(j);
                }
            }
            for (int j = 0; j < width; j++) {
                out.set(row * width + j, sums[j], sizes[j]);
            }
        }
        return out;
    }

    /** This expert's output for one row. */
    private Expected apply(Gating gating, float[] in) {
        int width = downBias.length;
        int innerWidth = gateUpBias.length / 2;
        Expected inner = gated(gating, Reference.product(in, gateUp, gateUpBias), innerWidth);
        Expected out = new Expected(width);
        for (int j = 0; j < width; j++) {
            double sum = downBias[j];
            double size = Math.abs(sum);
            for (int i = 0; i < innerWidth; i++) {
                double weight = down[j * innerWidth + i];
                sum += weight * inner.value(i);
                // It is rounded, in addition to what it is computed from.
                size += Math.abs(weight) * (inner.size(i) + Math.abs(inner.value(i)));
            }
            out.set(j, sum, size);
        }
        return out;
    }

    private static Expected gated(Gating gating, Expected gateUp, int width) {
        return switch (gating) {
            case Gating.Activated(Activation activation) -> Reference.gated(activation, gateUp, 1, width);
            case Gating.ClampedSwiGlu(float limit, float alpha) -> {
                Expected out = new Expected(width);
                for (int j = 0; j < width; j++) {
                    double gate = Math.min(gateUp.value(j), limit);
                    double up = Math.max(-limit, Math.min(limit, gateUp.value(width + j)));
                    double open = gate / (1 + Math.exp(-alpha * gate));
                    double size = Math.abs(open) * (gateUp.size(width + j) + 1)
                            + RoundingErrors.ACTIVATION_SLOPE * gateUp.size(j) * Math.abs(up + 1);
                    out.set(j, (up + 1) * open, size);
                }
                yield out;
            }
        };
    }

    /**
     * {@code before + σ(logit) · values}.
     *
     * @param logits (rows)
     */
    static Expected addedGated(float[] logits, float[] values, float[] before) {
        Expected out = new Expected(values.length);
        int width = values.length / logits.length;
        for (int i = 0; i < values.length; i++) {
            double term = values[i] / (1 + Math.exp(-logits[i / width]));
            out.set(i, before[i] + term, Math.abs(before[i]) + Math.abs(term));
        }
        return out;
    }
}
