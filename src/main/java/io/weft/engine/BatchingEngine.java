package io.weft.engine;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.subscription.BackPressureStrategy;
import io.smallrye.mutiny.subscription.MultiEmitter;
import io.weft.cache.CacheSequence;
import io.weft.engine.AdmissionControl.Decision;
import io.weft.engine.RequestRejectedException.Reason;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * Continuous batching: requests join and leave between steps. This class has the engine's life cycle, from loading to
 * its end, and the queue. {@link AdmissionControl} decides who joins, and {@link StepRunner} runs the steps.
 *
 * <p>One thread, the engine's, loads the model, admits requests and runs steps. One lock guards what other threads see:
 * phase, queue and batch. Only the engine's thread changes the batch, so that thread reads it without the lock. No step
 * runs under the lock.
 */
public final class BatchingEngine implements Engine, AutoCloseable {
    private static final Duration IDLE_TICK = Duration.ofSeconds(1);
    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    private final Loader loader;
    private final int queueLimit;
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    /** Guarded by {@link #lock}. */
    private final Deque<ActiveRequest> waiting = new ArrayDeque<>();
    /** Guarded by {@link #lock}. */
    private Phase phase = new Phase.Loading("starting");
    /** Only the engine's thread changes it, under {@link #lock}; others read it under the lock. */
    private final List<ActiveRequest> running = new ArrayList<>();

    private volatile long lastTickNanos = System.nanoTime();

    /** Loads the engine's runtime, on the engine's thread. */
    @FunctionalInterface
    public interface Loader {
        /** @param phase receives the current activity, for people */
        EngineRuntime load(Consumer<String> phase) throws Exception;
    }

    private sealed interface Phase {
        record Loading(String what) implements Phase {}

        /** @param seats requests that may run at once */
        record Serving(ServedModel model, int seats, AdmissionControl admission) implements Phase {}

        record Draining(ServedModel model) implements Phase {}

        record Stopped() implements Phase {}

        record Failed(String cause) implements Phase {}
    }

    /**
     * Starts the engine's thread, which loads the model.
     *
     * @param queueLimit the most requests that may wait, in addition to those that run
     */
    public BatchingEngine(Loader loader, int queueLimit) {
        if (queueLimit < 1) {
            throw new IllegalArgumentException("queue limit is " + queueLimit + ", must be at least 1");
        }
        this.loader = loader;
        this.queueLimit = queueLimit;
        this.thread = Thread.ofPlatform().name("weft-engine").daemon().start(this::run);
    }

    @Override
    public Multi<GenerationEvent> generate(GenerationRequest request) {
        return Multi.createFrom().emitter(emitter -> submit(request, emitter), BackPressureStrategy.BUFFER);
    }

    private void submit(GenerationRequest request, MultiEmitter<? super GenerationEvent> emitter) {
        lock.lock();
        try {
            Optional<Reason> refusal = refusal(request);
            if (refusal.isPresent()) {
                emitter.fail(new RequestRejectedException(refusal.get()));
                return;
            }
            ActiveRequest active = new ActiveRequest(request, model(), emitter);
            emitter.onTermination(() -> cancel(active));
            waiting.addLast(active);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void cancel(ActiveRequest request) {
        request.cancel();
        lock.lock();
        try {
            waiting.remove(request);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private Optional<Reason> refusal(GenerationRequest request) {
        return switch (phase) {
            case Phase.Loading loading -> Optional.of(new Reason.Unavailable("starting", RETRY_AFTER));
            case Phase.Draining draining -> Optional.of(new Reason.Unavailable("shutting down", RETRY_AFTER));
            case Phase.Stopped stopped -> Optional.of(new Reason.Unavailable("shutting down", RETRY_AFTER));
            case Phase.Failed failed -> Optional.of(new Reason.Unavailable("out of order", RETRY_AFTER));
            case Phase.Serving serving -> unservable(request, serving);
        };
    }

    private Optional<Reason> unservable(GenerationRequest request, Phase.Serving serving) {
        ServedModel model = serving.model();
        int promptTokens = request.promptTokens().size();
        if ((long) promptTokens + request.maxNewTokens() > model.contextTokens()) {
            return Optional.of(new Reason.ContextTooLong(promptTokens, request.maxNewTokens(), model.contextTokens()));
        }
        Optional<Reason> unknown = unknownToken("prompt", request.promptTokens(), model)
                .or(() -> unknownToken(
                        "logit_bias", request.sampling().logitBias().keySet(), model));
        if (unknown.isPresent()) {
            return unknown;
        }
        return room(serving) > 0 ? Optional.empty() : Optional.of(new Reason.QueueFull(queueLimit, RETRY_AFTER));
    }

    /**
     * The number of requests that may still come: those that will wait, and those that will run after the current step.
     * A free seat does not count while the cache has no room for the next request.
     */
    private int room(Phase.Serving serving) {
        boolean cacheIsFull = serving.admission().refusedLast(waiting.peekFirst());
        int free = cacheIsFull ? 0 : Math.max(0, serving.seats() - running.size());
        return Math.max(0, queueLimit + free - waiting.size());
    }

    private static Optional<Reason> unknownToken(String field, Iterable<Integer> tokens, ServedModel model) {
        for (int token : tokens) {
            if (token < 0 || token >= model.vocabularySize()) {
                return Optional.of(new Reason.UnknownToken(field, token, model.vocabularySize()));
            }
        }
        return Optional.empty();
    }

    @Override
    public EngineStatus status() {
        lock.lock();
        try {
            Duration sinceLastTick = Duration.ofNanos(System.nanoTime() - lastTickNanos);
            return switch (phase) {
                case Phase.Loading(String what) -> new EngineStatus.Starting(what);
                case Phase.Serving serving ->
                    new EngineStatus.Serving(
                            running.size(), waiting.size(), serving.seats(), queueLimit, room(serving), sinceLastTick);
                case Phase.Draining draining ->
                    new EngineStatus.Draining(running.size() + waiting.size(), sinceLastTick);
                case Phase.Stopped stopped -> new EngineStatus.Draining(0, sinceLastTick);
                case Phase.Failed(String cause) -> new EngineStatus.Failed(cause);
            };
        } finally {
            lock.unlock();
        }
    }

    @Override
    public ServedModel model() {
        lock.lock();
        try {
            return switch (phase) {
                case Phase.Serving serving -> serving.model();
                case Phase.Draining(ServedModel model) -> model;
                case Phase.Loading loading -> throw new IllegalStateException("the model is loading");
                case Phase.Stopped stopped -> throw new IllegalStateException("the engine has stopped");
                case Phase.Failed(String cause) -> throw new IllegalStateException(cause);
            };
        } finally {
            lock.unlock();
        }
    }

    /**
     * Waits until the engine serves or has failed to start.
     *
     * @throws EngineFailedException with the cause of the failure
     */
    public void awaitServing() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (phase instanceof Phase.Loading) {
                changed.await();
            }
            if (phase instanceof Phase.Failed(String cause)) {
                throw new EngineFailedException(cause, null);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Refuses new requests and waits until those that are running or queued are done, for at most {@code timeout}. */
    public void drain(Duration timeout) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            if (phase instanceof Phase.Serving serving) {
                phase = new Phase.Draining(serving.model());
            }
            long nanosLeft = timeout.toNanos();
            while (nanosLeft > 0 && !(running.isEmpty() && waiting.isEmpty())) {
                nanosLeft = changed.awaitNanos(nanosLeft);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Stops after the current step, fails the remaining requests with 503 and frees all memory. */
    @Override
    public void close() {
        lock.lock();
        try {
            if (!(phase instanceof Phase.Failed)) {
                phase = new Phase.Stopped();
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void run() {
        try (EngineRuntime runtime = loader.load(this::loading)) {
            AdmissionControl admission = new AdmissionControl(runtime.cache(), runtime.planning());
            StepRunner steps = new StepRunner(runtime.pipeline(), runtime.planning(), runtime.observer());
            int seats = runtime.pipeline().limits().sequences();
            if (enter(new Phase.Serving(runtime.model(), seats, admission))) {
                serve(admission, steps, seats);
            }
            failAll(new RequestRejectedException(new Reason.Unavailable("shutting down", RETRY_AFTER)));
        } catch (Exception | Error e) {
            // Whatever ends this thread, even a lack of memory, nobody may be left waiting for it.
            String cause = e.getMessage() == null ? e.toString() : e.getMessage();
            enter(new Phase.Failed(cause));
            failAll(new EngineFailedException(cause, e));
        }
    }

    private void loading(String what) {
        enter(new Phase.Loading(what));
    }

    /** Changes the phase, unless the engine was stopped meanwhile. */
    private boolean enter(Phase next) {
        lock.lock();
        try {
            boolean stopped = phase instanceof Phase.Stopped;
            if (!stopped) {
                phase = next;
                changed.signalAll();
            }
            return !stopped;
        } finally {
            lock.unlock();
        }
    }

    private void failAll(Throwable cause) {
        List<ActiveRequest> left = new ArrayList<>();
        lock.lock();
        try {
            left.addAll(running);
            left.addAll(waiting);
            running.clear();
            waiting.clear();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        left.forEach(request -> request.fail(cause));
    }

    private void serve(AdmissionControl admission, StepRunner steps, int seats) throws InterruptedException {
        while (prepare(admission, seats)) {
            if (!running.isEmpty()) {
                admission.moveBlocks(running);
                steps.step(running);
            }
        }
    }

    /**
     * Drops cancelled requests, admits those that fit, and waits a while if there is nothing to do; false once the
     * engine is stopped.
     */
    private boolean prepare(AdmissionControl admission, int seats) throws InterruptedException {
        Map<ActiveRequest, Reason> hopeless = new LinkedHashMap<>();
        lock.lock();
        try {
            lastTickNanos = System.nanoTime();
            dropEnded();
            admit(admission, seats, hopeless);
            if (running.isEmpty() && hopeless.isEmpty()) {
                changed.signalAll();
                awaitWork();
            }
            return !(phase instanceof Phase.Stopped);
        } finally {
            lock.unlock();
            hopeless.forEach((request, reason) -> request.fail(new RequestRejectedException(reason)));
        }
    }

    /** Waits for a request, at most until the next tick is due. */
    private void awaitWork() throws InterruptedException {
        long nanosLeft = IDLE_TICK.toNanos();
        while (waiting.isEmpty() && !(phase instanceof Phase.Stopped) && nanosLeft > 0) {
            nanosLeft = changed.awaitNanos(nanosLeft);
        }
    }

    private void dropEnded() {
        // A request may have been cancelled before it was queued.
        waiting.removeIf(ActiveRequest::isCancelled);
        running.removeIf(request -> {
            if (request.isCancelled() && !request.isFinished()) {
                request.free();
            }
            return request.isCancelled() || request.isFinished();
        });
    }

    /**
     * Admits in order of arrival, while there are seats and room.
     *
     * @param hopeless collects requests that would not even fit an empty cache
     */
    private void admit(AdmissionControl admission, int seats, Map<ActiveRequest, Reason> hopeless) {
        boolean hasRoom = true;
        while (hasRoom && !waiting.isEmpty() && running.size() < seats) {
            ActiveRequest request = waiting.getFirst();
            switch (admission.decide(request, running)) {
                case Decision.Admitted(CacheSequence cache) -> {
                    request.admit(cache);
                    running.add(waiting.removeFirst());
                }
                case Decision.NeverFits(Reason.CacheTooSmall reason) -> hopeless.put(waiting.removeFirst(), reason);
                case Decision.Waits waits -> hasRoom = false;
            }
        }
    }
}
