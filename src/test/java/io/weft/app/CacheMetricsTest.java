package io.weft.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.weft.model.CachePolicy;
import java.lang.ref.WeakReference;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class CacheMetricsTest {
    /** A registry holds what a counter is about weakly: what nobody else holds would stop counting. */
    @Test
    void countersCountAfterACollectionOfGarbage() throws InterruptedException {
        SimpleMeterRegistry registry = new SimpleMeterRegistry();
        AtomicLong preemptions = new AtomicLong();
        CacheMetrics.register(registry, CachePolicy.FP8, Optional::empty, () -> preemptions.get());
        WeakReference<Object> garbage = new WeakReference<>(new Object());
        while (garbage.get() != null) {
            System.gc();
            Thread.sleep(1);
        }
        preemptions.set(3);
        assertThat(registry.get("weft.cache.info")
                        .tag("encoding", "fp8")
                        .gauge()
                        .value())
                .isOne();
        assertThat(registry.get("weft.num.preemptions").functionCounter().count())
                .isEqualTo(3);
    }
}
