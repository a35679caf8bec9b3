package io.weft.api.http;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * Settings of the API.
 *
 * @param servedModelName name of the model that requests must give, if they give one
 * @param apiKey key that clients must send as {@code Authorization: Bearer}; none is asked for if empty
 * @param livenessStall time without a tick of the step loop after which the service is dead
 * @param defaultMaxTokens completion tokens of a request that does not say; if empty 16 for completions and the rest of
 *     the context for chats
 * @param defaultTemperature of a request that does not say; the model's if empty
 * @param defaultSeed of a request that does not say; a new one for each request if empty
 * @param managementPort second port for probes and metrics; none if empty
 * @param maxBodyBytes bytes of a request's body
 * @param maxChoices completions that one request may ask for: prompts times {@code n}
 */
public record ApiSettings(
        String servedModelName,
        Optional<String> apiKey,
        Duration livenessStall,
        OptionalInt defaultMaxTokens,
        OptionalDouble defaultTemperature,
        OptionalLong defaultSeed,
        OptionalInt managementPort,
        long maxBodyBytes,
        int maxChoices) {
    /** Limit of bodies unless set. */
    public static final long DEFAULT_MAX_BODY_BYTES = 16L << 20;

    /** Limit of choices unless set. */
    public static final int DEFAULT_MAX_CHOICES = 128;

    public ApiSettings {
        if (servedModelName.isBlank()) {
            throw new IllegalArgumentException("served model name is blank");
        }
        if (apiKey.isPresent() && apiKey.get().isBlank()) {
            throw new IllegalArgumentException("API key is blank");
        }
        if (!livenessStall.isPositive()) {
            throw new IllegalArgumentException("liveness stall is " + livenessStall + ", must be above 0");
        }
        if (maxBodyBytes < 1) {
            throw new IllegalArgumentException("body limit is " + maxBodyBytes + " bytes, must be at least 1");
        }
        if (maxChoices < 1) {
            throw new IllegalArgumentException("choices are " + maxChoices + " at most, must be at least 1");
        }
    }
}
