package io.weft.api.http;

import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * Settings of the API.
 *
 * @param servedModelNames names of the model, of which requests must use one if they name one; answers have the first
 * @param apiKeys keys of which clients must send one as {@code Authorization: Bearer}; empty for no key
 * @param defaultMaxTokens default completion tokens of a request; if empty, 16 for completions and the rest of the
 *     context for chats
 * @param defaultTemperature default temperature of a request; if empty, the model's
 * @param defaultSeed default seed of a request; if empty, a new one for each request
 * @param managementPort second port for probes and metrics; empty for none
 * @param page whether there is a page at {@code /}
 * @param maxChoices the most completions of one request: prompts times {@code n}
 * @param corsOrigins origins whose pages may use the API in a browser; {@code *} for all
 * @param cacheIsolation who shares cached blocks
 */
public record ApiSettings(
        List<String> servedModelNames,
        List<String> apiKeys,
        OptionalInt defaultMaxTokens,
        OptionalDouble defaultTemperature,
        OptionalLong defaultSeed,
        OptionalInt managementPort,
        boolean page,
        int maxChoices,
        List<String> corsOrigins,
        CacheIsolation cacheIsolation) {
    /** The default limit of choices. */
    public static final int DEFAULT_MAX_CHOICES = 128;

    /** Who shares cached blocks, as far as requests give no salt. */
    public enum CacheIsolation {
        /** All clients. */
        NONE,
        /** Those with the same API key. */
        API_KEY
    }

    public ApiSettings {
        servedModelNames = List.copyOf(servedModelNames);
        if (servedModelNames.isEmpty() || servedModelNames.stream().anyMatch(String::isBlank)) {
            throw new IllegalArgumentException("a served model name is blank, or there is none");
        }
        corsOrigins = List.copyOf(corsOrigins);
        apiKeys = List.copyOf(apiKeys);
        if (apiKeys.stream().anyMatch(String::isBlank)) {
            throw new IllegalArgumentException("an API key is blank");
        }
        if (maxChoices < 1) {
            throw new IllegalArgumentException("choices are " + maxChoices + " at most, must be at least 1");
        }
    }

    /** The name of the model in answers. */
    public String servedModelName() {
        return servedModelNames.getFirst();
    }
}
