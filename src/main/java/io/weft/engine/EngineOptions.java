package io.weft.engine;

import java.time.Duration;

/**
 * Limits and order of an engine's requests.
 *
 * @param queueLimit the most requests that may wait, in addition to those that run
 * @param scheduling which request runs next
 * @param stepTimeout a step hangs if it takes longer than this, and than {@value Watchdog#FACTOR} times its prediction
 * @param speculation whether steps check drafts
 */
public record EngineOptions(int queueLimit, Scheduling scheduling, Duration stepTimeout, Speculation speculation) {
    /** Which of the waiting requests runs next. */
    public enum Scheduling {
        /** The clients take turns by what they have used; priorities are refused. */
        FAIR,
        /** The lowest priority first; the clients take turns among requests of equal priority. */
        PRIORITY
    }

    /** The usual time after which a step may count as hung. */
    public static final Duration STEP_TIMEOUT_USUAL = Duration.ofSeconds(60);

    public EngineOptions {
        if (queueLimit < 1) {
            throw new IllegalArgumentException("queue limit is " + queueLimit + ", must be at least 1");
        }
        if (!stepTimeout.isPositive()) {
            throw new IllegalArgumentException("step timeout is " + stepTimeout + ", must be above 0");
        }
    }

    /** Options without drafts. */
    public EngineOptions(int queueLimit, Scheduling scheduling, Duration stepTimeout) {
        this(queueLimit, scheduling, stepTimeout, new Speculation.Off());
    }

    /** The usual options, without drafts, with a limit of the queue. */
    public static EngineOptions queueing(int queueLimit) {
        return new EngineOptions(queueLimit, Scheduling.FAIR, STEP_TIMEOUT_USUAL);
    }

    /** The same with drafts, or without. */
    public EngineOptions with(Speculation other) {
        return new EngineOptions(queueLimit, scheduling, stepTimeout, other);
    }
}
