package io.weft.engine;

import java.time.Duration;

/** What an engine is doing. */
public sealed interface EngineStatus {
    /**
     * The model loads, memory is pinned, the hardware is measured.
     *
     * @param phase what is being done, for people
     */
    record Starting(String phase) implements EngineStatus {}

    /**
     * Requests are served.
     *
     * @param running requests in the batch
     * @param waiting requests in the queue
     * @param seats requests that may be in the batch
     * @param queueLimit requests the queue takes beside them
     * @param room requests that would be taken now
     * @param sinceLastTick time since the step loop last went round; it also ticks when idle
     */
    record Serving(int running, int waiting, int seats, int queueLimit, int room, Duration sinceLastTick)
            implements EngineStatus {}

    /** Running requests are finished, new ones are refused. */
    record Draining(int running, Duration sinceLastTick) implements EngineStatus {}

    /**
     * The engine cannot serve, and will not recover.
     *
     * @param cause one line
     */
    record Failed(String cause) implements EngineStatus {}
}
