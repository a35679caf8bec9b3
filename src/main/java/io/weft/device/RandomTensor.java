package io.weft.device;

import java.util.ArrayList;
import java.util.List;

/**
 * Weights that come from no file: element i is {@code centre + scale · u(seed + i)} with u evenly spread over [−1, 1).
 * Every device generates the same numbers in its own memory, rounded to its element type.
 *
 * @param name for messages
 * @param shape outermost first
 * @param seed selects the numbers; tensors whose seeds are closer together than their sizes share some
 * @param centre the mean
 * @param scale the largest distance from it; 0 makes a constant
 */
public record RandomTensor(String name, List<Integer> shape, long seed, float centre, float scale) implements Tensor {
    private static final int UNIT_BITS = 23;

    public RandomTensor {
        shape = List.copyOf(shape);
    }

    @Override
    public float element(long index) {
        // 24 random bits make a number in [-1, 1) that fp32 holds exactly. The CUDA kernel is the same.
        int bits = (int) (mix(seed + index) >>> (Long.SIZE - UNIT_BITS - 1));
        float unit = (bits - (1 << UNIT_BITS)) * (1.0f / (1 << UNIT_BITS));
        return centre + scale * unit;
    }

    @Override
    public RandomTensor rows(int from, int count) {
        List<Integer> sliced = new ArrayList<>(shape);
        sliced.set(0, count);
        return new RandomTensor(name, sliced, seed + (long) from * columns(), centre, scale);
    }

    /** SplitMix64 (Steele, Lea and Flood 2014). */
    static long mix(long x) {
        long z = x + 0x9e3779b97f4a7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
