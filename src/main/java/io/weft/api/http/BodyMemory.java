package io.weft.api.http;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.util.concurrent.atomic.AtomicLong;

/** The memory that bodies may hold, all of them together, while they arrive and until they are read. */
@Singleton
class BodyMemory {
    private final long limitBytes;
    private final AtomicLong usedBytes = new AtomicLong();

    BodyMemory(ServerLimits limits, MeterRegistry metrics) {
        this.limitBytes = limits.allBodiesBytes();
        Gauge.builder("weft.body.memory.used", usedBytes, AtomicLong::get)
                .baseUnit("bytes")
                .description("Memory of bodies that arrive or wait to be read")
                .register(metrics);
    }

    /** Takes some bytes if there are as many. */
    boolean take(long bytes) {
        if (usedBytes.addAndGet(bytes) <= limitBytes) {
            return true;
        }
        usedBytes.addAndGet(-bytes);
        return false;
    }

    void giveBack(long bytes) {
        usedBytes.addAndGet(-bytes);
    }

    long usedBytes() {
        return usedBytes.get();
    }

    long limitBytes() {
        return limitBytes;
    }
}
