package io.weft.engine;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Notices a step that hangs: one that takes longer than a least time and than {@value #FACTOR} times its prediction. So
 * a long step of a healthy device is none, however long its prompt.
 *
 * <p>The engine's thread is stuck then, perhaps inside the driver, so a thread of its own watches. Either of the two
 * decides how a step ended: after {@link #ended} has succeeded the step is the engine's, and once the watchdog has
 * given it up it never is.
 */
final class Watchdog implements AutoCloseable {
    /** How many times its prediction a step may take. */
    static final int FACTOR = 20;

    /** How many times the watchdog looks within the least time. */
    private static final int LOOKS = 10;

    /** How long a query may take that tells where a step hangs; it needs the driver. */
    private static final Duration QUERY = Duration.ofSeconds(2);

    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(1);

    private static final State IDLE = new State.Idle();

    private final Duration least;
    private final LongSupplier clockNanos;
    private final Consumer<String> onHang;
    private final AtomicReference<State> state = new AtomicReference<>(IDLE);
    private final Thread thread;
    private volatile boolean closing;

    private sealed interface State {
        record Idle() implements State {}

        /**
         * @param sinceNanos start of the step
         * @param predicted asked only after the least time
         * @param standing tells where the step stands
         */
        record Watching(long sinceNanos, Supplier<Duration> predicted, Supplier<String> standing) implements State {}

        record GivenUp() implements State {}
    }

    /**
     * Starts the thread.
     *
     * @param least no step hangs before this time
     * @param clockNanos the clock
     * @param onHang told once, on the watchdog's thread, where a step hangs
     */
    Watchdog(Duration least, LongSupplier clockNanos, Consumer<String> onHang) {
        this.least = least;
        this.clockNanos = clockNanos;
        this.onHang = onHang;
        this.thread = Thread.ofPlatform().name("weft-watchdog").daemon().start(this::watch);
    }

    /**
     * A step begins.
     *
     * @param predicted the step's predicted time; zero if nothing predicts it
     * @param standing tells where the step stands, for people; called on another thread
     */
    void begins(Supplier<Duration> predicted, Supplier<String> standing) {
        state.compareAndSet(IDLE, new State.Watching(clockNanos.getAsLong(), predicted, standing));
    }

    /**
     * The step has ended, with or without success.
     *
     * @throws EngineFailedException if the watchdog has given it up
     */
    void ended() {
        State last = state.get();
        if (last instanceof State.GivenUp || !state.compareAndSet(last, IDLE)) {
            throw new EngineFailedException("a step has ended after it was given up", null);
        }
    }

    private void watch() {
        long pauseNanos = Math.clamp(least.dividedBy(LOOKS).toNanos(), 1, LONGEST_PAUSE.toNanos());
        while (!closing) {
            LockSupport.parkNanos(this, pauseNanos);
            if (state.get() instanceof State.Watching step && hangs(step)) {
                String where = where(step);
                if (state.compareAndSet(step, new State.GivenUp())) {
                    onHang.accept(where);
                    return;
                }
            }
        }
    }

    private boolean hangs(State.Watching step) {
        long nanos = clockNanos.getAsLong() - step.sinceNanos();
        return nanos > least.toNanos() && nanos / FACTOR > predictedNanos(step);
    }

    private static long predictedNanos(State.Watching step) {
        try {
            return step.predicted().get().toNanos();
        } catch (RuntimeException e) {
            return 0;
        }
    }

    /** The query may hang as the step does. */
    private static String where(State.Watching step) {
        CompletableFuture<String> asked = new CompletableFuture<>();
        Thread.ofPlatform().name("weft-watchdog-query").daemon().start(() -> {
            try {
                asked.complete(step.standing().get());
            } catch (RuntimeException | Error e) {
                asked.completeExceptionally(e);
            }
        });
        try {
            return asked.get(QUERY.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException e) {
            return "the device does not tell which stage";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "the device was not asked which stage";
        }
    }

    @Override
    public void close() {
        closing = true;
        LockSupport.unpark(thread);
    }
}
