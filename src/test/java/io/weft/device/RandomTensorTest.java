package io.weft.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class RandomTensorTest {
    private static final int COUNT = 100_000;

    @Test
    void elementsSpreadEvenlyAroundTheCentre() {
        RandomTensor tensor = new RandomTensor("weights", List.of(COUNT / 100, 100), 42, 1, 0.5f);
        double sum = 0;
        double squares = 0;
        for (long i = 0; i < tensor.elements(); i++) {
            float x = tensor.element(i);
            assertThat(x).isBetween(0.5f, 1.5f);
            sum += x - 1;
            squares += (x - 1) * (x - 1);
        }
        // A mean of n numbers from ±1/2 has a deviation of 0.29 / √n.
        assertThat(sum / COUNT).isBetween(-0.005, 0.005);
        assertThat(squares / COUNT).isBetween(0.25 / 3 - 0.002, 0.25 / 3 + 0.002);
    }

    @Test
    void aScaleOfZeroMakesAConstant() {
        RandomTensor ones = new RandomTensor("gain", List.of(64), 7, 1, 0);
        for (int i = 0; i < ones.rows(); i++) {
            assertThat(ones.element(i)).isEqualTo(1);
        }
    }

    @Test
    void anElementDependsOnItsIndexAndTheSeedAlone() {
        RandomTensor one = new RandomTensor("a", List.of(10), 5, 0, 1);
        RandomTensor shifted = new RandomTensor("b", List.of(2, 5), 6, 0, 1);
        assertThat(shifted.element(3)).isEqualTo(one.element(4));
        assertThat(one.element(3)).isNotEqualTo(one.element(4));
    }
}
