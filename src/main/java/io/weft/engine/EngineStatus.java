package io.weft.engine;

import java.time.Duration;

/** The state of an engine. */
public sealed interface EngineStatus {
    /**
     * The engine loads the model, pins memory and measures the hardware.
     *
     * @param phase the current activity, for people
     */
    record Starting(String phase) implements EngineStatus {}

    /**
     * The engine serves requests.
     *
     * @param running requests in the batch
     * @param waiting requests in the queue
     * @param seats the most requests in the batch
     * @param queueLimit the most requests in the queue
     * @param room requests that would be accepted now
     * @param sinceLastTick time since the last tick of the step loop, which also ticks when idle
     */
    record Serving(int running, int waiting, int seats, int queueLimit, int room, Duration sinceLastTick)
            implements EngineStatus {}

    /** The engine finishes running requests and refuses new ones. */
    record Draining(int running, Duration sinceLastTick) implements EngineStatus {}

    /**
     * The engine cannot serve, and will not recover.
     *
     * @param cause one line
     * @param fault what went wrong
     */
    record Failed(String cause, Fault fault) implements EngineStatus {}

    /** What made an engine fail. */
    enum Fault {
        /** It did not start. */
        START,
        /** The device failed, or the memory of the process did not suffice. */
        DEVICE,
        /** A step hangs. */
        HANG
    }
}
