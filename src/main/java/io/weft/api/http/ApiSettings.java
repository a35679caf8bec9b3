package io.weft.api.http;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * Settings of the API.
 *
 * @param servedModelName name of the model, which requests must use if they name one
 * @param apiKey key that clients must send as {@code Authorization: Bearer}; empty for no key
 * @param defaultMaxTokens default completion tokens of a request; if empty, 16 for completions and the rest of the
 *     context for chats
 * @param defaultTemperature default temperature of a request; if empty, the model's
 * @param defaultSeed default seed of a request; if empty, a new one for each request
 * @param managementPort second port for probes and metrics; empty for none
 * @param page whether there is a page at {@code /}
 * @param streamBufferBytes bytes of a response that may wait for its reader when more comes
 * @param writeTimeout time without progress after which a reader is too slow
 * @param maxBodyBytes bytes of a request's body
 * @param maxChoices the most completions of one request: prompts times {@code n}
 */
public record ApiSettings(
        String servedModelName,
        Optional<String> apiKey,
        OptionalInt defaultMaxTokens,
        OptionalDouble defaultTemperature,
        OptionalLong defaultSeed,
        OptionalInt managementPort,
        boolean page,
        long streamBufferBytes,
        Duration writeTimeout,
        long maxBodyBytes,
        int maxChoices) {
    /** The default limit of bodies. */
    public static final long DEFAULT_MAX_BODY_BYTES = 16L << 20;

    /** The default limit of choices. */
    public static final int DEFAULT_MAX_CHOICES = 128;

    public ApiSettings {
        if (servedModelName.isBlank()) {
            throw new IllegalArgumentException("served model name is blank");
        }
        if (apiKey.isPresent() && apiKey.get().isBlank()) {
            throw new IllegalArgumentException("API key is blank");
        }
        if (streamBufferBytes < 0) {
            throw new IllegalArgumentException("stream buffer is " + streamBufferBytes + " bytes, must be at least 0");
        }
        if (!writeTimeout.isPositive()) {
            throw new IllegalArgumentException("write timeout is " + writeTimeout + ", must be above 0");
        }
        if (maxBodyBytes < 1) {
            throw new IllegalArgumentException("body limit is " + maxBodyBytes + " bytes, must be at least 1");
        }
        if (maxChoices < 1) {
            throw new IllegalArgumentException("choices are " + maxChoices + " at most, must be at least 1");
        }
    }
}
