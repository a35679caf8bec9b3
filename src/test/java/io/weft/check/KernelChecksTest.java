package io.weft.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.weft.device.Activation;
import io.weft.device.ElementType;
import org.junit.jupiter.api.Test;

/** The checks themselves; {@code SelftestCommandTest} runs them. */
class KernelChecksTest {
    @Test
    void aResultThatWasNeverWrittenFails() {
        assertThat(new CheckResult("unwritten", Double.NaN, 1).passed()).isFalse();
        assertThat(new CheckResult("too far", 1e-3, 1e-4).passed()).isFalse();
        assertThat(new CheckResult("as far as it may be", 1e-4, 1e-4).passed()).isTrue();
    }

    @Test
    void theReferenceKnowsItsFunctions() {
        assertThat(Reference.erf(0.5)).isCloseTo(0.5204998778130465, within(1e-15));
        assertThat(Reference.erf(-2)).isCloseTo(-0.9953222650189527, within(1e-15));
        assertThat(Reference.activation(Activation.GELU_TANH, 1)).isCloseTo(0.8411919906082768, within(1e-15));
        assertThat(Reference.softmax(new double[] {1000, 1000 + Math.log(3)}))
                .containsExactly(new double[] {0.25, 0.75}, within(1e-12));
    }

    @Test
    void anErrorIsRelativeToTheTermsThatCancelled() {
        Expected expected = Reference.product(new float[] {1, 1}, new float[] {100, -99}, new float[] {0});
        assertThat(expected.error(new float[] {1 + 199e-3f}, ElementType.F32)).isCloseTo(1e-3, within(1e-9));
        assertThat(expected.error(new float[] {Float.NaN}, ElementType.F32)).isNaN();
    }
}
