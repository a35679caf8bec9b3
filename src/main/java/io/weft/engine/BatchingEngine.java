package io.weft.engine;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.subscription.BackPressureStrategy;
import io.smallrye.mutiny.subscription.MultiEmitter;
import io.weft.cache.CacheSequence;
import io.weft.cache.CacheUsage;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheGeometry;
import io.weft.pipeline.StageCompleted;
import io.weft.pipeline.Step;
import io.weft.pipeline.StepBatch;
import io.weft.pipeline.StepLimits;
import io.weft.pipeline.StepResult;
import io.weft.pipeline.StepSequence;
import io.weft.plan.placement.Move;
import io.weft.plan.placement.MovePlanner;
import io.weft.plan.placement.Occupancy;
import io.weft.plan.placement.PlacementPolicy;
import io.weft.plan.prediction.StageTiming;
import io.weft.plan.prediction.Timeline;
import io.weft.plan.step.StepPlan;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Continuous batching: requests join and leave between steps. A step runs one token of every decoding request, and with
 * the rows that are left pieces of prompts, oldest first. A request is admitted when the cache has room for all it may
 * ever hold.
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
    /** Changed by the engine's thread, under {@link #lock}. */
    private final List<ActiveRequest> running = new ArrayList<>();

    /**
     * The request that did not fit last; it need not be tried again until the cache's usage has changed. Guarded by
     * {@link #lock}.
     */
    private @Nullable ActiveRequest refused;

    private @Nullable CacheUsage refusedAt;

    private volatile long lastTickNanos = System.nanoTime();

    /** Loads what the engine runs on, on the engine's thread. */
    @FunctionalInterface
    public interface Loader {
        /** @param phase told what is being done, for people */
        EngineRuntime load(Consumer<String> phase) throws Exception;
    }

    private sealed interface Phase {
        record Loading(String what) implements Phase {}

        record Serving(ServedModel model, int seats) implements Phase {}

        record Draining(ServedModel model) implements Phase {}

        record Stopped() implements Phase {}

        record Failed(String cause) implements Phase {}
    }

    /**
     * Starts the engine's thread, which loads the model.
     *
     * @param queueLimit requests that may wait beside those that run
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
            case Phase.Serving(ServedModel model, int seats) -> unservable(request, model, seats);
        };
    }

    private Optional<Reason> unservable(GenerationRequest request, ServedModel model, int seats) {
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
        return room(seats) > 0 ? Optional.empty() : Optional.of(new Reason.QueueFull(queueLimit, RETRY_AFTER));
    }

    /**
     * Requests that may still come: those that are to wait, and those that will run once the step at hand has ended. A
     * free seat is none while the cache has no room for the next request.
     */
    private int room(int seats) {
        boolean cacheIsFull = refused != null && refused == waiting.peekFirst();
        int free = cacheIsFull ? 0 : Math.max(0, seats - running.size());
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
                case Phase.Serving(ServedModel model, int seats) ->
                    new EngineStatus.Serving(
                            running.size(), waiting.size(), seats, queueLimit, room(seats), sinceLastTick);
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

    /** Refuses new requests and waits until those that are running or queued are done, at most {@code timeout}. */
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

    /** Stops after the step at hand, fails what is left with 503 and frees all memory. */
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
            int seats = runtime.pipeline().limits().sequences();
            if (enter(new Phase.Serving(runtime.model(), seats))) {
                serve(runtime);
            }
            failAll(new RequestRejectedException(new Reason.Unavailable("shutting down", RETRY_AFTER)));
        } catch (Exception | Error e) {
            // Whatever ends this thread, nobody may wait for it: memory, too, may run out.
            String cause = e.getMessage() == null ? e.toString() : e.getMessage();
            enter(new Phase.Failed(cause));
            failAll(new EngineFailedException(cause, e));
        }
    }

    private void loading(String what) {
        enter(new Phase.Loading(what));
    }

    /** Changes the phase unless the engine was stopped meanwhile. */
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

    private void serve(EngineRuntime runtime) throws InterruptedException {
        while (prepare(runtime)) {
            if (!running.isEmpty()) {
                step(runtime);
            }
        }
    }

    /**
     * Drops what was cancelled, admits what fits, and waits a while if there is nothing to do; false once the engine is
     * stopped.
     */
    private boolean prepare(EngineRuntime runtime) throws InterruptedException {
        List<ActiveRequest> hopeless = new ArrayList<>();
        lock.lock();
        try {
            lastTickNanos = System.nanoTime();
            dropEnded();
            admit(runtime, hopeless);
            if (running.isEmpty() && hopeless.isEmpty()) {
                changed.signalAll();
                awaitWork();
            }
            return !(phase instanceof Phase.Stopped);
        } finally {
            lock.unlock();
            hopeless.forEach(request -> request.fail(new RequestRejectedException(tooSmall(request, runtime))));
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
        // One may have been cancelled before it was queued.
        waiting.removeIf(ActiveRequest::isCancelled);
        running.removeIf(request -> {
            if (request.isCancelled() && !request.isFinished()) {
                request.free();
            }
            return request.isCancelled() || request.isFinished();
        });
    }

    /** Admits in order of arrival. A request that does not fit an empty cache never will. */
    private void admit(EngineRuntime runtime, List<ActiveRequest> hopeless) {
        while (!waiting.isEmpty()
                && running.size() < runtime.pipeline().limits().sequences()) {
            ActiveRequest request = waiting.getFirst();
            if (!running.isEmpty()
                    && request == refused
                    && runtime.cache().usage().withoutCopies().equals(refusedAt)) {
                return;
            }
            Optional<CacheSequence> cache = admitted(request, runtime);
            if (cache.isPresent()) {
                request.admit(cache.get());
                running.add(waiting.removeFirst());
            } else if (running.isEmpty()) {
                hopeless.add(waiting.removeFirst());
            } else {
                refused = request;
                refusedAt = runtime.cache().usage().withoutCopies();
                return;
            }
        }
    }

    /** Finds homes in memory that is free, else in memory of copies, which are given back. */
    private Optional<CacheSequence> admitted(ActiveRequest request, EngineRuntime runtime) {
        CacheUsage least = runtime.cache().usage().withoutCopies();
        if (missingBytes(request, runtime, least) > 0 && !makeRoom(request, runtime)) {
            return Optional.empty();
        }
        CacheUsage usage = runtime.cache().usage();
        Optional<CacheSequence> besideCopies =
                missingBytes(request, runtime, usage) > 0 ? Optional.empty() : admitted(request, runtime, usage);
        return besideCopies.isEmpty() && usage.copyBytes() > 0
                ? admitted(request, runtime, usage.withoutCopies())
                : besideCopies;
    }

    private Optional<CacheSequence> admitted(ActiveRequest request, EngineRuntime runtime, CacheUsage usage) {
        PlacementPolicy policy = policy(request, runtime, usage);
        return runtime.cache().admit(request.maxTokens(), block -> policy.forms(block, request.promptTokens()));
    }

    /** What a request is short of for its blocks in their smallest form; not positive if it may fit. */
    private static long missingBytes(ActiveRequest request, EngineRuntime runtime, CacheUsage usage) {
        CacheGeometry geometry = runtime.cache().geometry();
        long blockBytes = Math.min(geometry.blockBytes(Content.KEY_VALUE), geometry.blockBytes(Content.ACTIVATION));
        return request.maxTokens() / geometry.blockTokens() * blockBytes
                - usage.device().freeBytes()
                - usage.host().freeBytes();
    }

    /** Whether running sequences have given up enough. */
    private boolean makeRoom(ActiveRequest request, EngineRuntime runtime) {
        Optional<MovePlanner> planner = runtime.planning().get().moves();
        if (planner.isEmpty()) {
            return false;
        }
        CacheUsage least = runtime.cache().usage().withoutCopies();
        long missingBytes = missingBytes(request, runtime, least) + 2 * spareBytes(runtime);
        List<Move> moves = planner.get()
                .makeRoom(running.stream().map(ActiveRequest::placed).toList(), missingBytes);
        moves.forEach(move -> running.get(move.sequence()).move(move));
        return !moves.isEmpty();
    }

    /** Lets blocks of decoding sequences move where that pays. */
    private void move(EngineRuntime runtime, MovePlanner planner) {
        List<ActiveRequest> decoding =
                running.stream().filter(ActiveRequest::isDecoding).toList();
        CacheUsage usage = runtime.cache().usage();
        List<Move> moves = planner.moves(
                decoding.stream().map(ActiveRequest::placed).toList(),
                usage.device().freeBytes(),
                usage.host().freeBytes());
        moves.forEach(move -> decoding.get(move.sequence()).move(move));
    }

    /** Shares of tokens become whole blocks: of every form perhaps one more than its share. */
    private static long spareBytes(EngineRuntime runtime) {
        return 2 * runtime.cache().geometry().blockBytes(Content.KEY_VALUE);
    }

    private PlacementPolicy policy(ActiveRequest request, EngineRuntime runtime, CacheUsage usage) {
        Map<CacheForm, Long> tokensByForm = new EnumMap<>(CacheForm.class);
        running.forEach(other -> other.occupy(tokensByForm));
        long spareBytes = spareBytes(runtime);
        Occupancy occupancy = new Occupancy(
                running.size(),
                tokensByForm,
                Math.max(0, usage.device().freeBytes() - spareBytes),
                Math.max(0, usage.host().freeBytes() - spareBytes));
        return runtime.planning().get().admission().policy(occupancy, Math.max(1, request.maxTokens()));
    }

    /** Of an empty cache. */
    private Reason tooSmall(ActiveRequest request, EngineRuntime runtime) {
        PlacementPolicy policy = policy(request, runtime, runtime.cache().usage());
        long deviceBytes = 0;
        long hostBytes = 0;
        int blocks = request.maxTokens() / runtime.cache().geometry().blockTokens();
        for (int block = 0; block < blocks; block++) {
            var form = policy.forms(block, request.promptTokens()).getLast();
            long bytes = runtime.cache().geometry().blockBytes(form.content());
            switch (form.place()) {
                case DEVICE -> deviceBytes += bytes;
                case HOST -> hostBytes += bytes;
            }
        }
        long deviceTotal = runtime.cache().usage().device().totalBytes();
        return deviceBytes > deviceTotal
                ? new Reason.CacheTooSmall(deviceBytes, deviceTotal, "weft.device-memory")
                : new Reason.CacheTooSmall(
                        hostBytes, runtime.cache().usage().host().totalBytes(), "weft.host-memory");
    }

    private void step(EngineRuntime runtime) {
        List<ActiveRequest> members = new ArrayList<>();
        List<StepSequence> parts = new ArrayList<>();
        runtime.planning().get().moves().ifPresent(planner -> move(runtime, planner));
        compose(runtime.pipeline().limits(), members, parts);
        StepBatch batch = new StepBatch(parts);
        long startedNanos = System.nanoTime();
        StepPlan plan = runtime.planning().get().planner().plan(batch.shape());
        Step step = runtime.pipeline().step(batch, plan);
        Optional<CompletableFuture<List<StageTiming>>> timings =
                runtime.observer().timesNextStep()
                        ? Optional.of(step.stages()
                                .map(StageCompleted::timing)
                                .collect()
                                .asList()
                                .subscribeAsCompletionStage())
                        : Optional.empty();
        StepResult result = step.result().await().indefinitely();
        long nanos = System.nanoTime() - startedNanos;
        for (int i = 0; i < members.size(); i++) {
            members.get(i).advance(parts.get(i), result, i);
        }
        // The tokens are out. The next step uses the same events again, so that these must have been read.
        runtime.observer()
                .stepped(plan, nanos, timings.map(CompletableFuture::join).map(Timeline::inPlanOrder));
    }

    /** One row for every decoding request, then pieces of prompts with the rows that are left. */
    private void compose(StepLimits limits, List<ActiveRequest> members, List<StepSequence> parts) {
        int rows = limits.rows();
        int logitRows = limits.logitRows();
        for (ActiveRequest request : running) {
            if (request.isDecoding()) {
                members.add(request);
                parts.add(request.next(1, 1));
                rows--;
                logitRows--;
            }
        }
        for (ActiveRequest request : running) {
            if (!request.isDecoding() && rows > 0 && logitRows > 0) {
                StepSequence part = request.next(rows, logitRows);
                members.add(request);
                parts.add(part);
                rows -= part.newTokens().size();
                logitRows -= part.headRows();
            }
        }
    }
}
