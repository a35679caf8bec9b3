package io.weft.engine;

import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.subscription.BackPressureStrategy;
import io.smallrye.mutiny.subscription.MultiEmitter;
import io.smallrye.mutiny.subscription.UniEmitter;
import io.weft.engine.AdmissionControl.Decision;
import io.weft.engine.RequestRejectedException.Reason;
import io.weft.pipeline.StepLimits;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

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
    private static final int REQUEST_THREADS_MOST = 8;

    private static final System.Logger LOG = System.getLogger(BatchingEngine.class.getName());

    private final Loader loader;
    private final EngineOptions options;
    private final LongSupplier clockNanos;
    private final Watchdog watchdog;
    private final Thread thread;
    /** Make masks and drafters. */
    private final ExecutorService requestThreads = Executors.newFixedThreadPool(
            Math.clamp(Runtime.getRuntime().availableProcessors() - 1, 1, REQUEST_THREADS_MOST),
            Thread.ofPlatform().name("weft-request-", 0).daemon().factory());

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    /** Guarded by {@link #lock}. */
    private final WaitingQueue waiting = new WaitingQueue();
    /** What others ask of the cache, for the engine's thread. Guarded by {@link #lock}. */
    private final Deque<Question> questions = new ArrayDeque<>();
    /** Guarded by {@link #lock}. */
    private long memoryChanges;
    /** Guarded by {@link #lock}. */
    private Phase phase = new Phase.Loading("starting");
    /** Only the engine's thread changes it, under {@link #lock}; others read it under the lock. */
    private final List<ActiveRequest> running = new ArrayList<>();

    private final List<Runnable> stepListeners = new CopyOnWriteArrayList<>();
    private final AtomicLong preemptions = new AtomicLong();

    private volatile long lastTickNanos;

    /** Loads the engine's runtime, on the engine's thread. */
    @FunctionalInterface
    public interface Loader {
        /** @param phase receives the current activity, for people */
        EngineRuntime load(Consumer<String> phase) throws Exception;
    }

    private sealed interface Phase {
        record Loading(String what) implements Phase {}

        /**
         * @param seats requests that may run at once
         * @param stepRows new tokens of a step
         */
        record Serving(ServedModel model, int seats, int stepRows, AdmissionControl admission) implements Phase {}

        record Draining(ServedModel model) implements Phase {}

        record Stopped() implements Phase {}

        record Failed(String cause, EngineStatus.Fault fault) implements Phase {}
    }

    /** Starts the engine's thread, which loads the model. */
    public BatchingEngine(Loader loader, EngineOptions options) {
        this(loader, options, System::nanoTime);
    }

    /** @param clockNanos the clock of timeouts */
    BatchingEngine(Loader loader, EngineOptions options, LongSupplier clockNanos) {
        this.loader = loader;
        this.options = options;
        this.clockNanos = clockNanos;
        this.lastTickNanos = clockNanos.getAsLong();
        this.watchdog = new Watchdog(options.stepTimeout(), clockNanos, this::hangs);
        this.thread = Thread.ofPlatform().name("weft-engine").daemon().start(this::run);
    }

    @Override
    public Multi<GenerationEvent> generate(GenerationRequest request) {
        return Multi.createFrom().emitter(emitter -> submit(request, emitter), BackPressureStrategy.BUFFER);
    }

    @Override
    public void afterEachStep(Runnable listener) {
        stepListeners.add(listener);
    }

    private void eventsEmitted() {
        stepListeners.forEach(Runnable::run);
    }

    private void submit(GenerationRequest request, MultiEmitter<? super GenerationEvent> emitter) {
        Optional<ActiveRequest> displaced = Optional.empty();
        Optional<Reason> refusal;
        lock.lock();
        try {
            refusal = refusal(request);
            if (refusal.isPresent() && refusal.get() instanceof Reason.QueueFull) {
                displaced = waiting.displacedBy(request.terms().client());
                displaced.ifPresent(waiting::remove);
                refusal = displaced.isPresent() ? Optional.empty() : refusal;
            }
            if (refusal.isEmpty()) {
                ActiveRequest active = new ActiveRequest(
                        request, model(), emitter, clockNanos.getAsLong(), drafters(), requestThreads);
                emitter.onTermination(() -> cancel(active));
                waiting.add(active);
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
        refusal.ifPresent(reason -> emitter.fail(new RequestRejectedException(reason)));
        displaced.ifPresent(other ->
                other.fail(new RequestRejectedException(new Reason.Displaced(options.queueLimit(), RETRY_AFTER))));
    }

    private Optional<Drafter.Source> drafters() {
        return switch (options.speculation()) {
            case Speculation.Off off -> Optional.empty();
            case Speculation.Drafting drafting -> Optional.of(drafting.drafters());
        };
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
        return phase instanceof Phase.Serving serving ? unservable(request, serving) : unavailable();
    }

    /** Why nothing is served now. */
    private Optional<Reason> unavailable() {
        return switch (phase) {
            case Phase.Loading loading -> Optional.of(new Reason.Unavailable("starting", RETRY_AFTER));
            case Phase.Draining draining -> Optional.of(new Reason.Unavailable("shutting down", RETRY_AFTER));
            case Phase.Stopped stopped -> Optional.of(new Reason.Unavailable("shutting down", RETRY_AFTER));
            case Phase.Failed failed -> Optional.of(new Reason.Unavailable("out of order", RETRY_AFTER));
            case Phase.Serving serving -> Optional.empty();
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
                        "logit_bias", request.sampling().logitBias().keySet(), model))
                .or(() -> unknownToken("stop_token_ids", request.stops().tokens(), model));
        if (unknown.isPresent()) {
            return unknown;
        }
        int priority = request.terms().priority();
        if (priority != 0 && options.scheduling() == EngineOptions.Scheduling.FAIR) {
            return Optional.of(new Reason.NoPriorities(priority));
        }
        return room(serving) > 0
                ? Optional.empty()
                : Optional.of(new Reason.QueueFull(options.queueLimit(), RETRY_AFTER));
    }

    /**
     * The number of requests that may still come: those that will wait, and those that will run after the current step.
     * A free seat does not count while the cache has no room for the next request.
     */
    private int room(Phase.Serving serving) {
        boolean cacheIsFull = waitsForMemory(serving.admission());
        int seated = running.size() + waiting.size() - waiting.newcomers();
        int free = cacheIsFull ? 0 : Math.max(0, serving.seats() - seated);
        return Math.max(0, options.queueLimit() + free - waiting.newcomers());
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
            Duration sinceLastTick = Duration.ofNanos(clockNanos.getAsLong() - lastTickNanos);
            return switch (phase) {
                case Phase.Loading(String what) -> new EngineStatus.Starting(what);
                case Phase.Serving serving ->
                    new EngineStatus.Serving(
                            running.size(),
                            waiting.size(),
                            serving.seats(),
                            options.queueLimit(),
                            room(serving),
                            sinceLastTick);
                case Phase.Draining draining ->
                    new EngineStatus.Draining(running.size() + waiting.size(), sinceLastTick);
                case Phase.Stopped stopped -> new EngineStatus.Draining(0, sinceLastTick);
                case Phase.Failed(String cause, EngineStatus.Fault fault) -> new EngineStatus.Failed(cause, fault);
            };
        } finally {
            lock.unlock();
        }
    }

    /** A question about the cache, and who gets the answer. */
    private record Question(
            Function<AdmissionControl, CompletableFuture<HeldTokens>> ask, UniEmitter<? super HeldTokens> answer) {
        void ask(AdmissionControl admission) {
            try {
                var _ = ask.apply(admission).whenComplete((tokens, failure) -> {
                    if (failure == null) {
                        answer.complete(tokens);
                    } else {
                        answer.fail(failure);
                    }
                });
            } catch (RuntimeException e) {
                answer.fail(e);
            }
        }

        void refuse(Reason reason) {
            answer.fail(new RequestRejectedException(reason));
        }
    }

    @Override
    public Uni<HeldTokens> held(String owner, Optional<String> salt) {
        return Uni.createFrom()
                .emitter(answer -> ask(new Question(
                        admission -> CompletableFuture.completedFuture(admission.held(owner, salt)), answer)));
    }

    @Override
    public Uni<HeldTokens> forget(String owner, Optional<String> salt) {
        return Uni.createFrom()
                .emitter(answer -> ask(new Question(admission -> admission.forget(owner, salt), answer)));
    }

    private void ask(Question question) {
        Optional<Reason> refusal;
        lock.lock();
        try {
            refusal = unavailable();
            if (refusal.isEmpty()) {
                questions.addLast(question);
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
        refusal.ifPresent(question::refuse);
    }

    private List<Question> takeQuestions() {
        lock.lock();
        try {
            List<Question> all = List.copyOf(questions);
            questions.clear();
            return all;
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
                case Phase.Failed failed -> throw new IllegalStateException(failed.cause());
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
            if (phase instanceof Phase.Failed failed) {
                throw new EngineFailedException(failed.cause(), null);
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

    /**
     * Stops after the current step, fails the remaining requests with 503 and frees all memory. If a step hangs, there
     * is nothing to wait for: its memory goes with the process.
     */
    @Override
    public void close() {
        boolean hangs;
        lock.lock();
        try {
            if (!(phase instanceof Phase.Failed)) {
                phase = new Phase.Stopped();
            }
            hangs = phase instanceof Phase.Failed failed && failed.fault() == EngineStatus.Fault.HANG;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        requestThreads.shutdown();
        if (hangs) {
            return;
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

    /**
     * Whether more memory for the cache helps more than the time that it takes: nothing runs, or a request waits for
     * it.
     */
    public boolean wantsMemory() {
        lock.lock();
        try {
            return running.isEmpty() || (phase instanceof Phase.Serving serving && waitsForMemory(serving.admission()));
        } finally {
            lock.unlock();
        }
    }

    private boolean waitsForMemory(AdmissionControl admission) {
        return admission.refusedLast().filter(waiting::contains).isPresent();
    }

    /** Tries requests again that wait for memory of the cache, of which there is more now, or never will be. */
    public void memoryChanged() {
        lock.lock();
        try {
            memoryChanges++;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void run() {
        try (EngineRuntime runtime = loader.load(this::loading)) {
            StepLimits limits = runtime.pipeline().limits();
            AdmissionControl admission = new AdmissionControl(runtime.cache(), runtime.planning(), limits.rows());
            runtime.cache().onDiskChange(this::memoryChanged);
            StepRunner steps = new StepRunner(
                    runtime.pipeline(),
                    runtime.planning(),
                    admission,
                    request -> suspend(request, admission),
                    options.speculation(),
                    runtime.observer(),
                    this::eventsEmitted,
                    watchdog,
                    clockNanos);
            Phase.Serving serving = new Phase.Serving(runtime.model(), limits.sequences(), limits.rows(), admission);
            if (enter(serving)) {
                serve(serving, steps);
            }
            failAll(new RequestRejectedException(new Reason.Unavailable("shutting down", RETRY_AFTER)));
        } catch (Exception | Error e) {
            // Whatever ends this thread, even a lack of memory, nobody may be left waiting for it.
            String cause = e.getMessage() == null ? e.toString() : e.getMessage();
            enter(new Phase.Failed(cause, fault()));
            failAll(new EngineFailedException(cause, e));
            if (e instanceof Error error) {
                // Not the device's fault: it is for those who handle what nobody catches.
                throw error;
            }
        } finally {
            watchdog.close();
        }
    }

    /** Whose fault it is that the engine's thread ends now. */
    private EngineStatus.Fault fault() {
        lock.lock();
        try {
            return phase instanceof Phase.Loading ? EngineStatus.Fault.START : EngineStatus.Fault.DEVICE;
        } finally {
            lock.unlock();
        }
    }

    /** Gives up a step that hangs, on the watchdog's thread; the engine's thread may never return from it. */
    private void hangs(String where) {
        String cause = "a step hangs: " + where;
        LOG.log(Level.ERROR, "{0}. The service cannot go on, and ends all requests.", cause);
        enter(new Phase.Failed(cause, EngineStatus.Fault.HANG));
        EngineFailedException failure = new EngineFailedException(cause, null);
        takeAll().forEach(request -> request.abandon(failure));
        takeQuestions().forEach(question -> question.refuse(new Reason.Unavailable("out of order", RETRY_AFTER)));
    }

    private void loading(String what) {
        enter(new Phase.Loading(what));
    }

    /** Changes the phase, unless the engine was stopped or given up meanwhile. */
    private boolean enter(Phase next) {
        lock.lock();
        try {
            boolean ended = phase instanceof Phase.Stopped || phase instanceof Phase.Failed;
            if (!ended) {
                phase = next;
                changed.signalAll();
            }
            return !ended;
        } finally {
            lock.unlock();
        }
    }

    private void failAll(Throwable cause) {
        takeAll().forEach(request -> request.fail(cause));
        takeQuestions().forEach(question -> question.refuse(new Reason.Unavailable("shutting down", RETRY_AFTER)));
    }

    private List<ActiveRequest> takeAll() {
        lock.lock();
        try {
            List<ActiveRequest> all = new ArrayList<>(running);
            all.addAll(waiting.all());
            running.forEach(waiting::end);
            waiting.all().forEach(waiting::remove);
            running.clear();
            changed.signalAll();
            return all;
        } finally {
            lock.unlock();
        }
    }

    private void serve(Phase.Serving serving, StepRunner steps) throws InterruptedException {
        while (prepare(serving)) {
            takeQuestions().forEach(question -> question.ask(serving.admission()));
            if (!running.isEmpty()) {
                steps.step(running);
            }
        }
    }

    /** Has a running request wait until its tokens fit again. */
    private void suspend(ActiveRequest request, AdmissionControl admission) {
        request.suspend();
        lock.lock();
        try {
            running.remove(request);
            waiting.suspend(request);
            admission.suspended(request);
            preemptions.incrementAndGet();
        } finally {
            lock.unlock();
        }
    }

    /** How often a running request has lost its place to an older one. */
    public long preemptions() {
        return preemptions.get();
    }

    /**
     * Drops requests that have ended, admits those that fit, and waits a while if there is nothing to do; false once
     * the engine is stopped.
     */
    private boolean prepare(Phase.Serving serving) throws InterruptedException {
        Map<ActiveRequest, Throwable> ended = new LinkedHashMap<>();
        lock.lock();
        try {
            lastTickNanos = clockNanos.getAsLong();
            waiting.count(running);
            dropEnded(ended);
            serving.admission().settleDisk(waiting::contains);
            admit(serving, ended);
            if (running.isEmpty() && ended.isEmpty()) {
                changed.signalAll();
                awaitWork();
            }
            return !(phase instanceof Phase.Stopped);
        } finally {
            lock.unlock();
            ended.forEach(ActiveRequest::fail);
        }
    }

    /**
     * Waits until a request comes or goes, at most until the next tick is due. A request that waits although nothing
     * runs does so for memory to come.
     */
    private void awaitWork() throws InterruptedException {
        int waitingBefore = waiting.size();
        long changesBefore = memoryChanges;
        long nanosLeft = IDLE_TICK.toNanos();
        while (waiting.size() == waitingBefore
                && memoryChanges == changesBefore
                && questions.isEmpty()
                && !(phase instanceof Phase.Stopped)
                && nanosLeft > 0) {
            nanosLeft = changed.awaitNanos(nanosLeft);
        }
    }

    /** @param ended collects requests whose time is over */
    private void dropEnded(Map<ActiveRequest, Throwable> ended) {
        for (ActiveRequest request : waiting.all()) {
            // A request may have been cancelled before it was queued.
            if (request.isCancelled()) {
                waiting.remove(request);
            } else {
                request.timedOut(lastTickNanos).ifPresent(reason -> {
                    waiting.remove(request);
                    ended.put(request, new RequestRejectedException(reason));
                });
            }
        }
        running.removeIf(request -> {
            if (request.isFinished()) {
                waiting.end(request);
                return true;
            }
            Optional<Reason> timedOut = request.timedOut(lastTickNanos);
            timedOut.ifPresent(reason -> ended.put(request, new RequestRejectedException(reason)));
            if (request.isCancelled() || timedOut.isPresent()) {
                request.free();
                waiting.end(request);
                return true;
            }
            return false;
        });
    }

    /**
     * Admits in turn, while there are seats and room. Who has lost a place is older than all who had none, and waits
     * for none of them.
     *
     * @param ended collects requests that cannot run
     */
    private void admit(Phase.Serving serving, Map<ActiveRequest, Throwable> ended) {
        AdmissionControl admission = serving.admission();
        while (running.size() < serving.seats()) {
            Prompts prompts = Prompts.of(running, serving.stepRows());
            Predicate<ActiveRequest> mayRun = request -> prompts.admit(request)
                    && !admission.isReading(request)
                    && !admission.awaitsBlocks(request, running);
            // Who waits for the disk has a seat. What waits for memory keeps its turn, else it might wait for ever.
            int seated = running.size() + admission.readingRequests();
            Optional<ActiveRequest> suspended = waiting.oldestSuspended();
            Optional<ActiveRequest> next = suspended
                    .or(admission::hasRead)
                    .or(() -> admission
                            .refusedLast()
                            .filter(request -> waiting.contains(request) && mayRun.test(request)))
                    .or(() -> seated < serving.seats() ? waiting.next(mayRun) : Optional.empty());
            if (next.isEmpty() || !admit(next.get(), suspended.isPresent(), admission, ended)) {
                return;
            }
        }
    }

    /**
     * Whether others may follow.
     *
     * @param isOldest whether it waits for nobody that has not run yet
     */
    private boolean admit(
            ActiveRequest request, boolean isOldest, AdmissionControl admission, Map<ActiveRequest, Throwable> ended) {
        try {
            switch (admission.decide(request, running)) {
                case Decision.Admitted admitted -> {
                    waiting.begin(request);
                    running.add(request);
                }
                case Decision.NeverFits(Reason.CacheTooSmall reason) -> {
                    waiting.remove(request);
                    ended.put(request, new RequestRejectedException(reason));
                }
                case Decision.Reads reads -> {
                    return !isOldest;
                }
                case Decision.Waits waits -> {
                    return isOldest && admission.giveUpReading();
                }
            }
        } catch (RuntimeException e) {
            waiting.remove(request);
            ended.put(request, e);
        }
        return true;
    }

    /**
     * The prompts that are on their way through the steps. Two long ones at most, so that seats are left for short
     * ones; short ones as long as they fit one step together.
     *
     * @param stepRows new tokens of a step
     * @param longOnes prompts of which more is left than half of a step
     * @param shortTokens tokens left of the others
     */
    private record Prompts(int stepRows, int longOnes, long shortTokens) {
        private static final int LONG_ONES_MOST = 2;

        static Prompts of(List<ActiveRequest> running, int stepRows) {
            int longOnes = 0;
            long shortTokens = 0;
            for (ActiveRequest request : running) {
                int left = request.isDecoding() ? 0 : request.tokensLeft();
                if (isLong(left, stepRows)) {
                    longOnes++;
                } else {
                    shortTokens += left;
                }
            }
            return new Prompts(stepRows, longOnes, shortTokens);
        }

        private static boolean isLong(int tokens, int stepRows) {
            return tokens > stepRows / 2;
        }

        boolean admit(ActiveRequest request) {
            return isLong(request.promptTokens(), stepRows)
                    ? longOnes < LONG_ONES_MOST
                    : shortTokens + request.promptTokens() <= stepRows;
        }
    }
}
