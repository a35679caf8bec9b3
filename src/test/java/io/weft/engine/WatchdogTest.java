package io.weft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The clock is the test's; the watchdog looks every millisecond. */
class WatchdogTest {
    private static final Duration LEAST = Duration.ofMillis(10);

    private final AtomicLong clockNanos = new AtomicLong();
    private final CompletableFuture<String> hang = new CompletableFuture<>();
    private final AtomicInteger looks = new AtomicInteger();
    private final Watchdog watchdog = new Watchdog(LEAST, clockNanos::get, hang::complete);

    @AfterEach
    void close() {
        watchdog.close();
    }

    private Duration predicted(Duration time) {
        looks.incrementAndGet();
        return time;
    }

    /** Until the watchdog has seen the clock some times, after the least time. */
    private void awaitLooks() throws InterruptedException {
        int enough = looks.get() + 3;
        while (looks.get() < enough && !hang.isDone()) {
            Thread.sleep(1);
        }
    }

    @Test
    void aStepHangsAfterTheLeastTimeIfNothingPredictsIt() {
        watchdog.begins(() -> predicted(Duration.ZERO), () -> "stage 7");
        clockNanos.addAndGet(LEAST.toNanos() + 1);
        assertThat(hang.join()).isEqualTo("stage 7");
        assertThatThrownBy(watchdog::ended).isInstanceOf(EngineFailedException.class);
    }

    @Test
    void aLongStepOfAHealthyDeviceDoesNotHang() throws InterruptedException {
        Duration prefill = Duration.ofMinutes(3);
        watchdog.begins(() -> predicted(prefill), () -> "stage 7");
        clockNanos.addAndGet(prefill.toNanos() * Watchdog.FACTOR);
        awaitLooks();
        assertThat(hang).isNotDone();
        watchdog.ended();
        watchdog.begins(() -> predicted(prefill), () -> "stage 8");
        clockNanos.addAndGet((prefill.toNanos() + 1) * Watchdog.FACTOR);
        assertThat(hang.join()).isEqualTo("stage 8");
    }

    @Test
    void timeBetweenStepsDoesNotCount() throws InterruptedException {
        for (int i = 0; i < 3; i++) {
            watchdog.begins(() -> predicted(Duration.ZERO), () -> "stage 7");
            watchdog.ended();
            clockNanos.addAndGet(Duration.ofHours(1).toNanos());
        }
        watchdog.begins(() -> predicted(Duration.ofHours(1)), () -> "stage 7");
        clockNanos.addAndGet(LEAST.toNanos() + 1);
        awaitLooks();
        assertThat(hang).isNotDone();
    }

    @Test
    void aQueryThatFailsIsNoReasonToWait() {
        watchdog.begins(
                () -> {
                    throw new IllegalStateException("no prediction");
                },
                () -> {
                    throw new IllegalStateException("no answer");
                });
        clockNanos.addAndGet(LEAST.toNanos() + 1);
        assertThat(hang.join()).contains("does not tell");
    }
}
