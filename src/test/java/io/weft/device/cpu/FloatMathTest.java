package io.weft.device.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class FloatMathTest {
    @Test
    void tanhIsWithinThreeUlpAndTheSameInVectors() {
        SplittableRandom random = new SplittableRandom(1);
        float[] x = new float[Memory.LANES];
        float[] vector = new float[Memory.LANES];
        float[] edges = {0, -0f, 0.625f, Math.nextDown(0.625f), 1e-30f, -1e-6f, 9, -44, 1e6f, Float.POSITIVE_INFINITY};
        for (int round = 0; round < 20_000; round++) {
            for (int lane = 0; lane < x.length; lane++) {
                x[lane] = round < edges.length ? edges[round] : (float) random.nextGaussian(0, Math.exp(lane % 5 - 2));
            }
            FloatMath.tanh(FloatVector.fromArray(Memory.FLOATS, x, 0)).intoArray(vector, 0);
            for (int lane = 0; lane < x.length; lane++) {
                float y = FloatMath.tanh(x[lane]);
                double exact = Math.tanh(x[lane]);
                assertThat(Float.floatToRawIntBits(vector[lane])).isEqualTo(Float.floatToRawIntBits(y));
                assertThat(Math.abs(y - exact)).isLessThanOrEqualTo(3 * 0x1p-24 * Math.abs(exact));
            }
        }
    }
}
