package io.weft.engine;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;

/** A request cannot be served. The message names field, value and limit. */
public final class RequestRejectedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient Reason reason;

    public RequestRejectedException(Reason reason) {
        super(reason.message());
        this.reason = reason;
    }

    /** Why, for a switch. */
    public Reason reason() {
        return reason;
    }

    /** Why a request is rejected. */
    public sealed interface Reason {
        /** For people. */
        String message();

        /** Prompt and completion do not fit the context. */
        record ContextTooLong(int promptTokens, long maxNewTokens, int contextTokens) implements Reason {
            @Override
            public String message() {
                return "This model's context is %d tokens, but %d were asked for: %d in the prompt and %d for the completion (max_tokens)."
                        .formatted(
                                contextTokens,
                                BigInteger.valueOf(maxNewTokens).add(BigInteger.valueOf(promptTokens)),
                                promptTokens,
                                maxNewTokens);
            }
        }

        /** The request would never fit the cache, even alone. */
        record CacheTooSmall(long neededBytes, long cacheBytes, String setting) implements Reason {
            @Override
            public String message() {
                return "The request needs %,d bytes of cache, but there are %,d: raise %s or ask for fewer tokens."
                        .formatted(neededBytes, cacheBytes, setting);
            }
        }

        /** A token id outside the vocabulary, in field {@code field}. */
        record UnknownToken(String field, int token, int vocabularySize) implements Reason {
            @Override
            public String message() {
                return "%s has token id %d, must be from 0 to %d.".formatted(field, token, vocabularySize - 1);
            }
        }

        /** The queue is full, and no other client has more requests in it. */
        record QueueFull(int limit, Duration retryAfter) implements Reason {
            @Override
            public String message() {
                return "The queue is full (%d requests); try again later.".formatted(limit);
            }
        }

        /** The queue was full when another client came, which has fewer requests in it. */
        record Displaced(int limit, Duration retryAfter) implements Reason {
            @Override
            public String message() {
                return "The queue is full (%d requests), and most of them are yours; try again later.".formatted(limit);
            }
        }

        /** The request's own time is over. */
        record TimedOut(Duration timeout, int completionTokens) implements Reason {
            @Override
            public String message() {
                return "The request's timeout of %s s is over, after %d tokens."
                        .formatted(
                                BigDecimal.valueOf(timeout.toMillis(), 3)
                                        .stripTrailingZeros()
                                        .toPlainString(),
                                completionTokens);
            }
        }

        /** A priority where there is none. */
        record NoPriorities(int priority) implements Reason {
            @Override
            public String message() {
                return "priority is %d, must be left out or 0: the service runs requests in turns of their clients (weft.scheduling)."
                        .formatted(priority);
            }
        }

        /** The engine is starting, draining or has failed. */
        record Unavailable(String state, Duration retryAfter) implements Reason {
            @Override
            public String message() {
                return "The service is " + state + "; try again later.";
            }
        }
    }
}
