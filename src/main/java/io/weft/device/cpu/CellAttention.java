package io.weft.device.cpu;

import static io.weft.device.cpu.Memory.FLOATS;
import static io.weft.device.cpu.Memory.LANES;
import static io.weft.device.cpu.Memory.getFloat;
import static io.weft.device.cpu.Memory.getLong;
import static io.weft.device.cpu.Memory.getVector;
import static io.weft.device.cpu.Memory.setFloat;
import static io.weft.device.cpu.Memory.setVector;

import io.weft.device.AttentionShape;
import io.weft.device.BlockBases;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The attention of one query head over cells, with scratch memory for one cell. A dot product keeps one sum per lane
 * and adds up the lanes in a fixed tree; {@code acc} adds the tokens in order.
 */
final class CellAttention {
    private final AttentionShape shape;
    private final int headSize;
    /** The number of elements of a head that fill whole vectors. */
    private final int vectorSize;

    private final long[] rows;
    private final float[] weights;
    private final float[] lanes = new float[LANES];

    CellAttention(AttentionShape shape) {
        this.shape = shape;
        this.headSize = shape.headSize();
        this.vectorSize = FLOATS.loopBound(headSize);
        this.rows = new long[shape.cellTokens()];
        this.weights = new float[Math.ceilDiv(shape.cellTokens(), LANES) * LANES];
    }

    /**
     * Looks up the K and V rows of the tokens {@code [from, to)} of one cell.
     *
     * @param table address of the sequence's row of the block table
     */
    void enter(long table, BlockBases bases, int from, int to) {
        long tokenBytes = (long) shape.keyValueWidth() * Float.BYTES;
        int token = from;
        while (token < to) {
            int block = token / shape.blockTokens();
            int blockStart = block * shape.blockTokens();
            long address = bases.address(getLong(table + (long) block * Long.BYTES));
            int end = Math.min(to, blockStart + shape.blockTokens());
            for (; token < end; token++) {
                rows[token - from] = address + (token - blockStart) * tokenBytes;
            }
        }
    }

    /** Sets the state of one head to "nothing seen". */
    static void begin(long state, int headSize) {
        for (int j = 0; j < headSize + 2; j++) {
            setFloat(state + (long) j * Float.BYTES, j == headSize ? Float.NEGATIVE_INFINITY : 0);
        }
    }

    /** Computes {@code out = acc / l} of one head. */
    static void end(long state, long out, int headSize) {
        end(state, out, headSize, 1, getFloat(state + (long) (headSize + 1) * Float.BYTES));
    }

    /** Computes {@code out = acc / (l + e^(sink − m))} of one head. */
    static void end(long state, long out, int headSize, float sink) {
        float largest = getFloat(state + (long) headSize * Float.BYTES);
        float sum = getFloat(state + (long) (headSize + 1) * Float.BYTES);
        float newLargest = Math.max(largest, sink);
        float factor = FloatMath.exp(largest - newLargest);
        end(state, out, headSize, factor, Math.fma(sum, factor, FloatMath.exp(sink - newLargest)));
    }

    private static void end(long state, long out, int headSize, float factor, float divisor) {
        for (int j = 0; j < headSize; j++) {
            long at = (long) j * Float.BYTES;
            setFloat(out + at, getFloat(state + at) * factor / divisor);
        }
    }

    /**
     * Attends to the first {@code tokens} tokens that were entered, and merges the result into the state of one head.
     *
     * @param query address of (HD)
     * @param keyValueHead index of the head of K and V
     * @param state address of (HD + 2): acc, m, l
     */
    void attend(int tokens, long query, int keyValueHead, long state) {
        long keyOffset = (long) keyValueHead * headSize * Float.BYTES;
        for (int t = 0; t < tokens; t++) {
            weights[t] = shape.scale() * dot(query, rows[t] + keyOffset);
        }
        if (shape.scoreCap() > 0) {
            cap(tokens);
        }
        float largest = Float.NEGATIVE_INFINITY;
        for (int t = 0; t < tokens; t++) {
            largest = Math.max(largest, weights[t]);
        }
        float sum = exponentiate(tokens, largest);

        float oldLargest = getFloat(state + (long) headSize * Float.BYTES);
        float oldSum = getFloat(state + (long) (headSize + 1) * Float.BYTES);
        float newLargest = Math.max(oldLargest, largest);
        float oldFactor = FloatMath.exp(oldLargest - newLargest);
        float factor = FloatMath.exp(largest - newLargest);
        long valueOffset = keyOffset + (long) shape.keyValueHeads() * headSize * Float.BYTES;
        merge(tokens, valueOffset, state, oldFactor, factor);
        setFloat(state + (long) headSize * Float.BYTES, newLargest);
        setFloat(state + (long) (headSize + 1) * Float.BYTES, Math.fma(sum, factor, oldSum * oldFactor));
    }

    private float dot(long query, long key) {
        FloatVector sums = FloatVector.zero(FLOATS);
        for (int j = 0; j < vectorSize; j += LANES) {
            long at = (long) j * Float.BYTES;
            sums = getVector(query + at).fma(getVector(key + at), sums);
        }
        sums.intoArray(lanes, 0);
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int lane = 0; lane < half; lane++) {
                lanes[lane] += lanes[lane + half];
            }
        }
        float sum = lanes[0];
        for (int j = vectorSize; j < headSize; j++) {
            long at = (long) j * Float.BYTES;
            sum = Math.fma(getFloat(query + at), getFloat(key + at), sum);
        }
        return sum;
    }

    /** Bounds scores: {@code s = scoreCap · tanh(s / scoreCap)}. */
    private void cap(int tokens) {
        float cap = shape.scoreCap();
        for (int t = 0; t < tokens; t += LANES) {
            FloatMath.tanh(FloatVector.fromArray(FLOATS, weights, t).div(cap))
                    .mul(cap)
                    .intoArray(weights, t);
        }
    }

    /** Turns scores into weights {@code e^(s − largest)}; their sum. */
    private float exponentiate(int tokens, float largest) {
        Arrays.fill(weights, tokens, weights.length, Float.NEGATIVE_INFINITY);
        for (int t = 0; t < tokens; t += LANES) {
            FloatMath.exp(FloatVector.fromArray(FLOATS, weights, t).sub(largest))
                    .intoArray(weights, t);
        }
        float sum = 0;
        for (int t = 0; t < tokens; t++) {
            sum += weights[t];
        }
        return sum;
    }

    /** {@code acc = acc · oldFactor + factor · Σ weight·v}. */
    private void merge(int tokens, long valueOffset, long state, float oldFactor, float factor) {
        for (int j = 0; j < vectorSize; j += LANES) {
            long at = (long) j * Float.BYTES;
            FloatVector sums = FloatVector.zero(FLOATS);
            for (int t = 0; t < tokens; t++) {
                FloatVector weight = FloatVector.broadcast(FLOATS, weights[t]);
                sums = weight.fma(getVector(rows[t] + valueOffset + at), sums);
            }
            setVector(
                    state + at,
                    sums.fma(
                            FloatVector.broadcast(FLOATS, factor),
                            getVector(state + at).mul(oldFactor)));
        }
        for (int j = vectorSize; j < headSize; j++) {
            long at = (long) j * Float.BYTES;
            float sum = 0;
            for (int t = 0; t < tokens; t++) {
                sum = Math.fma(weights[t], getFloat(rows[t] + valueOffset + at), sum);
            }
            setFloat(state + at, Math.fma(sum, factor, getFloat(state + at) * oldFactor));
        }
    }
}
