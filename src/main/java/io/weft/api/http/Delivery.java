package io.weft.api.http;

import io.vertx.core.http.HttpServerRequest;
import io.weft.engine.Engine;
import io.weft.engine.GenerationEvent;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;

/**
 * The threads that carry {@linkplain GenerationEvent events} from the engine to event loops. They do nothing else, so
 * that tokens flow however busy the threads of other requests are.
 */
@Singleton
public class Delivery {
    /** Shared by so many processors; a thread encodes some 100,000 tokens a second. */
    private static final int PROCESSORS_A_THREAD = 4;

    private static final int THREADS_MOST = 4;

    private static final Duration SWEEP_MOST = Duration.ofSeconds(1);
    private static final int SWEEPS_A_TIMEOUT = 8;

    private final List<DeliveryThread> threads;
    private final ResponseStream.Limits limits;
    private final AtomicInteger next = new AtomicInteger();

    @Inject
    Delivery(Engine engine, ServerLimits limits) {
        this(engine, limits, System::nanoTime);
    }

    /** @param nanoTime clock of slow readers */
    Delivery(Engine engine, ServerLimits server, LongSupplier nanoTime) {
        int count = Math.clamp(Runtime.getRuntime().availableProcessors() / PROCESSORS_A_THREAD, 1, THREADS_MOST);
        long sweepNanos = Math.min(SWEEP_MOST.toNanos(), server.writeTimeout().toNanos() / SWEEPS_A_TIMEOUT);
        this.threads = IntStream.range(0, count)
                .mapToObj(i -> new DeliveryThread("weft-delivery-" + i, nanoTime, sweepNanos))
                .toList();
        this.limits = ResponseStream.Limits.of(server);
        engine.afterEachStep(() -> threads.forEach(DeliveryThread::wake));
    }

    /**
     * A response that is not written yet. It gets the next of the threads.
     *
     * @param headers headers of the response once its body is written
     * @param reader is told when the reader is slow or gone
     */
    public ResponseStream respond(
            HttpServerRequest request, Map<String, String> headers, ResponseStream.Reader reader) {
        DeliveryThread thread = threads.get(Math.floorMod(next.getAndIncrement(), threads.size()));
        return new ResponseStream(thread, request, headers, limits, reader);
    }

    @PreDestroy
    void close() {
        threads.forEach(DeliveryThread::close);
    }
}
