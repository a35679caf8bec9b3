package io.weft.api;

import com.sun.management.OperatingSystemMXBean;
import io.quarkus.test.common.http.TestHTTPResource;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import io.weft.engine.DrivenEngine;
import jakarta.inject.Inject;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/**
 * What a token costs from the engine to the socket, with streams over HTTP on this machine. The engine's steps take no
 * time; the client is another process. Not a test: {@code ./mvnw -Dtest=TokenPathBenchmark test}, with
 * {@code -Dweft.streams=256 -Dweft.steps=1000 -Dweft.step-millis=40} for other values than these.
 */
@QuarkusTest
@TestProfile(DrivenService.Profile.class)
class TokenPathBenchmark {
    private static final int STREAMS = Integer.getInteger("weft.streams", 256);
    private static final int STEPS = Integer.getInteger("weft.steps", 1000);
    private static final int WARM_UP_STEPS = Math.max(STEPS / 2, 100);
    private static final long STEP_NANOS = Integer.getInteger("weft.step-millis", 40) * 1_000_000L;

    @TestHTTPResource("/")
    URI root;

    @Inject
    DrivenEngine engine;

    @Test
    void processorTimeOfAToken() throws Exception {
        Process client = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        "target/test-classes",
                        TokenPathClient.class.getName(),
                        "" + root.getPort(),
                        "" + STREAMS,
                        "" + WARM_UP_STEPS)
                .redirectErrorStream(true)
                .start();
        try {
            OperationsTest.await("all streams run", () -> engine.running().size(), STREAMS);
            steps(WARM_UP_STEPS);
            System.gc();
            OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
            Map<String, Long> before = threads();
            long allocatedBefore = allocated();
            long processBefore = system.getProcessCpuTime();
            steps(STEPS);
            long process = system.getProcessCpuTime() - processBefore;
            long allocated = allocated() - allocatedBefore;
            Map<String, Long> after = threads();
            double tokens = (double) STREAMS * STEPS;
            StringBuilder report = new StringBuilder("us a token: all %.1f".formatted(process / 1e3 / tokens));
            after.forEach((name, nanos) -> {
                double micros = (nanos - before.getOrDefault(name, 0L)) / 1e3 / tokens;
                if (micros >= 0.05) {
                    report.append(", %s %.1f".formatted(name, micros));
                }
            });
            System.out.println(report.append("; %.0f bytes allocated a token".formatted(allocated / tokens)));
        } finally {
            engine.finish();
            System.out.print(new String(client.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    private void steps(int steps) {
        long next = System.nanoTime();
        for (int step = 0; step < steps; step++) {
            engine.step(300 + step % 3000);
            next += STEP_NANOS;
            while (System.nanoTime() < next) {
                LockSupport.parkNanos(next - System.nanoTime());
            }
        }
    }

    private static com.sun.management.ThreadMXBean beans() {
        return (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    }

    private static long allocated() {
        return beans().getTotalThreadAllocatedBytes();
    }

    /** Processor time by the name of threads without their numbers. */
    private static Map<String, Long> threads() {
        Map<String, Long> nanos = new HashMap<>();
        for (var thread : beans().dumpAllThreads(false, false)) {
            nanos.merge(
                    thread.getThreadName().replaceAll("[-0-9]+$", ""),
                    Math.max(0, beans().getThreadCpuTime(thread.getThreadId())),
                    Long::sum);
        }
        return new TreeMap<>(nanos);
    }
}
