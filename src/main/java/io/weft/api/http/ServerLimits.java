package io.weft.api.http;

import java.time.Duration;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What clients may take of the server's connections, time and memory.
 *
 * @param maxConnections open connections of the API's port; empty for as many as the process may have open files
 * @param maxStreams requests at once on one connection
 * @param headerTimeout how long the head of a request may take
 * @param bodyTimeout how long the body of a request may take
 * @param bodyBytes memory of all bodies that arrive or wait to be read; empty for a share of the heap
 * @param maxBodyBytes bytes of one body
 * @param idleTimeout how long a connection may stay open without a request
 * @param streamBufferBytes bytes of a stream that may wait for its reader when more comes
 * @param writeTimeout how long a client may take to accept anything
 */
public record ServerLimits(
        OptionalInt maxConnections,
        int maxStreams,
        Duration headerTimeout,
        Duration bodyTimeout,
        OptionalLong bodyBytes,
        long maxBodyBytes,
        Duration idleTimeout,
        long streamBufferBytes,
        Duration writeTimeout) {
    /** The default limit of one body: a text of more than a million tokens. */
    public static final long DEFAULT_MAX_BODY_BYTES = 8L << 20;

    private static final int HEAP_SHARE = 8;

    public ServerLimits {
        requireAtLeastOne("connections", maxConnections.orElse(1));
        requireAtLeastOne("streams", maxStreams);
        requireAtLeastOne("bytes of bodies", bodyBytes.orElse(1));
        requireAtLeastOne("bytes of a body", maxBodyBytes);
        if (streamBufferBytes < 0) {
            throw new IllegalArgumentException("stream buffer is " + streamBufferBytes + " bytes, must be at least 0");
        }
        for (Duration time : new Duration[] {headerTimeout, bodyTimeout, idleTimeout, writeTimeout}) {
            if (!time.isPositive()) {
                throw new IllegalArgumentException("a time limit is " + time + ", must be above 0");
            }
        }
    }

    private static void requireAtLeastOne(String what, long value) {
        if (value < 1) {
            throw new IllegalArgumentException(what + " are " + value + " at most, must be at least 1");
        }
    }

    /** Memory of all bodies, at least one of the largest. */
    long allBodiesBytes() {
        return Math.max(maxBodyBytes, bodyBytes.orElse(Runtime.getRuntime().maxMemory() / HEAP_SHARE));
    }
}
