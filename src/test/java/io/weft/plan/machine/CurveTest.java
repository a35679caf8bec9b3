package io.weft.plan.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.weft.plan.machine.Curve.Point;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CurveTest {
    static Curve random(Random random) {
        return Curve.measured(IntStream.range(0, 1 + random.nextInt(6))
                .mapToObj(i -> new Point(1 + random.nextInt(1000), random.nextInt(5000)))
                .toList());
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    void moreWorkNeverTakesLessTime(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 100; i++) {
            Curve curve = random(random);
            double before = 0;
            for (long size = 0; size < 1200; size++) {
                assertThat(curve.nanos(size)).isGreaterThanOrEqualTo(before);
                before = curve.nanos(size);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void goesThroughItsPointsAndStraightBetweenThem(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 100; i++) {
            Curve curve = random(random);
            for (Point point : curve.points()) {
                assertThat(curve.nanos(point.size())).isCloseTo(point.nanos(), within(1e-9));
            }
            for (int p = 1; p < curve.points().size(); p++) {
                Point from = curve.points().get(p - 1);
                Point to = curve.points().get(p);
                for (long size = from.size(); size + 2 <= to.size(); size++) {
                    double middle = (curve.nanos(size) + curve.nanos(size + 2)) / 2;
                    assertThat(curve.nanos(size + 1)).isCloseTo(middle, within(1e-6));
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void aUnitCostsAtLeastWhatItDoesInTheBestPiece(long seed) {
        Random random = new Random(seed);
        for (int i = 0; i < 100; i++) {
            Curve curve = random(random);
            double least = Double.POSITIVE_INFINITY;
            for (long size = 1; size < 1200; size++) {
                least = Math.min(least, curve.nanos(size) / size);
                assertThat(curve.leastNanosPerUnit(size)).isCloseTo(least, within(1e-9));
            }
            assertThat(curve.leastNanosPerUnit(0)).isZero();
        }
    }

    @Test
    void belowTheFirstPointItCostsThatAndBeyondTheLastItKeepsTheRate() {
        Curve curve = new Curve(List.of(new Point(10, 70), new Point(20, 90)));
        assertThat(curve.nanos(0)).isZero();
        assertThat(curve.nanos(1)).isEqualTo(70);
        assertThat(curve.nanos(200)).isEqualTo(900);
        assertThat(curve.unitsPerSecond()).isCloseTo(20 / 90e-9, within(1.0));
    }

    @Test
    void aMeasurementThatSaysThatMoreTakesLessIsNoise() {
        Curve curve = Curve.measured(List.of(new Point(30, 60), new Point(10, 50), new Point(20, 70)));
        assertThat(curve.points()).containsExactly(new Point(10, 50), new Point(20, 60), new Point(30, 60));
    }

    @Test
    void aFixedCostAndARateAreExact() {
        Curve curve = Curve.linear(100, 2, 1 << 20);
        for (long size : new long[] {1, 2, 1000, 1 << 20}) {
            assertThat(curve.nanos(size)).isCloseTo(100 + 2.0 * size, within(1e-6));
        }
        assertThat(Curve.linear(5, 1, 1).points()).containsExactly(new Point(1, 6));
    }

    @Test
    void refusesWhatIsNoCurve() {
        assertThatThrownBy(() -> new Curve(List.of())).hasMessageContaining("at least one point");
        assertThatThrownBy(() -> new Curve(List.of(new Point(2, 1), new Point(2, 3))))
                .hasMessageContaining("must ascend");
        assertThatThrownBy(() -> new Curve(List.of(new Point(1, 3), new Point(2, 1))))
                .hasMessageContaining("must ascend");
        assertThatThrownBy(() -> new Point(0, 1)).hasMessageContaining("size is 0");
        assertThatThrownBy(() -> new Point(1, Double.NaN)).hasMessageContaining("nanos is NaN");
        assertThatThrownBy(() -> new Point(1, -1)).hasMessageContaining("nanos is -1");
    }
}
