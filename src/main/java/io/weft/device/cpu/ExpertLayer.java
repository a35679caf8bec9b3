package io.weft.device.cpu;

import static io.weft.device.cpu.Memory.getFloat;
import static io.weft.device.cpu.Memory.getInt;
import static io.weft.device.cpu.Memory.setFloat;
import static io.weft.device.cpu.Memory.setInt;

import io.weft.device.Epilogue;
import io.weft.device.ExpertChoices;
import io.weft.device.ExpertRouting;
import io.weft.device.Gating;

/** Chooses experts, and sends rows through them: expert by expert, all rows of one at once. */
final class ExpertLayer {
    private final MatrixProduct product;

    ExpertLayer(MatrixProduct product) {
        this.product = product;
    }

    /**
     * Routes one row.
     *
     * @param logits address of (E)
     * @param ids address of (k) int32
     * @param weights address of (k)
     */
    static void route(ExpertRouting routing, long logits, long ids, long weights) {
        boolean[] taken = new boolean[routing.experts()];
        double sum = 0;
        float largest = 0;
        for (int rank = 0; rank < routing.chosen(); rank++) {
            int best = -1;
            for (int expert = 0; expert < routing.experts(); expert++) {
                if (!taken[expert] && (best < 0 || logit(logits, expert) > logit(logits, best))) {
                    best = expert;
                }
            }
            taken[best] = true;
            if (rank == 0) {
                largest = getFloat(logits + (long) best * Float.BYTES);
            }
            float weight = FloatMath.exp(getFloat(logits + (long) best * Float.BYTES) - largest);
            sum += weight;
            setInt(ids + (long) rank * Integer.BYTES, best);
            setFloat(weights + (long) rank * Float.BYTES, weight);
        }
        if (routing.weights() == ExpertRouting.Weights.SOFTMAX_OF_ALL) {
            sum = 0;
            for (int expert = 0; expert < routing.experts(); expert++) {
                sum += FloatMath.exp(getFloat(logits + (long) expert * Float.BYTES) - largest);
            }
        }
        for (int rank = 0; rank < routing.chosen(); rank++) {
            long at = weights + (long) rank * Float.BYTES;
            setFloat(at, (float) (getFloat(at) / sum));
        }
    }

    /** A logit as it is compared. */
    private static float logit(long logits, int expert) {
        float logit = getFloat(logits + (long) expert * Float.BYTES);
        return Float.isNaN(logit) ? Float.NEGATIVE_INFINITY : logit;
    }

    /**
     * Sends as many rows through their experts as the scratch memory holds.
     *
     * @param in address of (rows, D)
     * @param scratch address of {@link CpuExperts#scratchBytes} bytes
     * @param out address of (rows, D)
     */
    void run(
            CpuExperts experts,
            Gating gating,
            long in,
            ExpertChoices choices,
            int firstRow,
            long scratch,
            long out,
            int rows,
            Epilogue epilogue) {
        int chosen = choices.perRow();
        int width = experts.shape().width();
        int innerWidth = experts.shape().innerWidth();
        int pairs = rows * chosen;
        long ids = choices.ids().address() + (long) firstRow * chosen * Integer.BYTES;
        long weights = choices.weights().address() + (long) firstRow * chosen * Float.BYTES;
        long partials = scratch;
        long ofOne = partials + bytes(pairs, width);
        long gateUp = ofOne + bytes(pairs, width);
        long inner = gateUp + bytes(pairs, 2L * innerWidth);
        int[] order = new int[pairs];
        int[] ends = sort(ids, order, experts.shape().count());
        for (int expert = 0, first = 0; expert < ends.length; first = ends[expert++]) {
            int count = ends[expert] - first;
            if (count == 0) {
                continue;
            }
            for (int i = 0; i < count; i++) {
                int row = order[first + i] / chosen;
                Memory.copy(in + bytes(row, width), ofOne + bytes(i, width), bytes(1, width));
            }
            product.multiply(experts.gateUp().get(expert), ofOne, gateUp, count, new Epilogue.Store());
            for (int i = 0; i < count; i++) {
                Pointwise.gate(gating, gateUp + bytes(i, 2L * innerWidth), inner + bytes(i, innerWidth), innerWidth);
            }
            product.multiply(experts.down().get(expert), inner, ofOne, count, new Epilogue.Store());
            for (int i = 0; i < count; i++) {
                long partial = partials + bytes(order[first + i], width);
                Memory.copy(ofOne + bytes(i, width), partial, bytes(1, width));
            }
        }
        for (int row = 0; row < rows; row++) {
            long firstPair = (long) row * chosen;
            long to = out + bytes(row, width);
            combine(
                    partials + bytes(firstPair, width),
                    weights + firstPair * Float.BYTES,
                    chosen,
                    to,
                    width,
                    epilogue instanceof Epilogue.AddToOutput ? to : 0);
        }
    }

    /** Orders pairs by expert, then by number; returns the end of each expert's pairs. */
    private static int[] sort(long ids, int[] order, int experts) {
        int[] ends = new int[experts];
        for (int pair = 0; pair < order.length; pair++) {
            int expert = getInt(ids + (long) pair * Integer.BYTES);
            if (expert < 0 || expert >= experts) {
                throw new IndexOutOfBoundsException("expert " + expert + " of " + experts);
            }
            ends[expert]++;
        }
        for (int expert = 1; expert < experts; expert++) {
            ends[expert] += ends[expert - 1];
        }
        for (int pair = order.length - 1; pair >= 0; pair--) {
            order[--ends[getInt(ids + (long) pair * Integer.BYTES)]] = pair;
        }
        // They are beginnings now, each the end of the expert before.
        System.arraycopy(ends, 1, ends, 0, experts - 1);
        ends[experts - 1] = order.length;
        return ends;
    }

    /** @param before address of (width) to add to, or 0 */
    private static void combine(long partials, long weights, int chosen, long to, int width, long before) {
        for (int j = 0; j < width; j++) {
            long at = (long) j * Float.BYTES;
            float sum = 0;
            for (int rank = 0; rank < chosen; rank++) {
                float weight = getFloat(weights + (long) rank * Float.BYTES);
                sum = Math.fma(weight, getFloat(partials + bytes(rank, width) + at), sum);
            }
            setFloat(to + at, before == 0 ? sum : getFloat(before + at) + sum);
        }
    }

    /** Bytes of {@code rows} rows of {@code width} fp32. */
    private static long bytes(long rows, long width) {
        return rows * width * Float.BYTES;
    }
}
