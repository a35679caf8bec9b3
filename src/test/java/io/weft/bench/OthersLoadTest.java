package io.weft.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OthersLoadTest {
    private static final long SECOND = 1_000_000_000;

    /** Four processors that a test sets. */
    private static final class FourProcessors implements OthersLoad.Processors {
        private double busyShare = 1;
        private long ownNanos = 7 * SECOND;
        private long nowNanos = -3 * SECOND;

        @Override
        public int count() {
            return 4;
        }

        @Override
        public double busyShare() {
            return busyShare;
        }

        @Override
        public long ownNanos() {
            return ownNanos;
        }

        @Override
        public long nowNanos() {
            return nowNanos;
        }
    }

    private static OptionalDouble percent(double busyShare, double ownSeconds, double wallSeconds) {
        FourProcessors processors = new FourProcessors();
        OthersLoad load = OthersLoad.begin(processors);
        processors.busyShare = busyShare;
        processors.ownNanos += Math.round(ownSeconds * SECOND);
        processors.nowNanos += Math.round(wallSeconds * SECOND);
        return load.percent();
    }

    @ParameterizedTest
    @CsvSource({
        // busy share, own seconds, wall seconds, per cent of others
        "0.5, 4, 2, 0",
        "1, 4, 2, 50",
        "1, 0, 2, 100",
        "0.25, 1, 2, 12.5",
        // Ticks of the system's clock are coarse.
        "0.49, 4, 2, 0",
    })
    void othersHaveWhatThisProcessHasNot(double busyShare, double ownSeconds, double wallSeconds, double percent) {
        assertThat(percent(busyShare, ownSeconds, wallSeconds).orElseThrow()).isCloseTo(percent, within(1e-9));
    }

    @Test
    void aSystemThatDoesNotSayIsNotGuessed() {
        assertThat(percent(-1, 1, 2)).isEmpty();
        assertThat(percent(0.5, 1, 0)).isEmpty();
    }
}
