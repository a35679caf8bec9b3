package io.weft.engine;

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

        /** The queue is full. */
        record QueueFull(int limit, Duration retryAfter) implements Reason {
            @Override
            public String message() {
                return "The queue is full (%d requests); try again later.".formatted(limit);
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
