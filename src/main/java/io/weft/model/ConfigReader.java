package io.weft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Reads fields of a {@code config.json}, with errors that name file, field and value.
 *
 * @param file for messages
 * @param json its contents
 */
public record ConfigReader(Path file, JsonNode json) {
    /** A positive whole number. */
    public int positive(String field) {
        JsonNode value = json.path(field);
        if (value.isMissingNode() || value.isNull()) {
            throw new ModelLoadException(file, "lacks " + field);
        }
        if (!value.isInt() || value.intValue() < 1) {
            throw wrong(field, "a whole number of at least 1");
        }
        return value.intValue();
    }

    public int positive(String field, int fallback) {
        return has(field) ? positive(field) : fallback;
    }

    public double number(String field, double fallback) {
        if (!has(field)) {
            return fallback;
        }
        if (!json.path(field).isNumber()) {
            throw wrong(field, "a number");
        }
        return json.path(field).doubleValue();
    }

    /** Whether a field is set to true. */
    public boolean flag(String field, boolean fallback) {
        if (!has(field)) {
            return fallback;
        }
        if (!json.path(field).isBoolean()) {
            throw wrong(field, "true or false");
        }
        return json.path(field).booleanValue();
    }

    public Optional<String> text(String field) {
        return has(field) ? Optional.of(json.path(field).asText()) : Optional.empty();
    }

    /** An object inside; empty if missing or null. */
    public Optional<ConfigReader> object(String field) {
        return json.path(field).isObject() ? Optional.of(new ConfigReader(file, json.path(field))) : Optional.empty();
    }

    /** Whether a field is there and not null. */
    public boolean has(String field) {
        return !json.path(field).isMissingNode() && !json.path(field).isNull();
    }

    /** Refuses a flag that asks for something that the family cannot do. */
    public void requireFlag(String field, boolean wanted, boolean fallback) {
        if (flag(field, fallback) != wanted) {
            throw wrong(field, String.valueOf(wanted));
        }
    }

    /** The error for a field with a value that is not {@code allowed}. */
    public ModelLoadException wrong(String field, String allowed) {
        return new ModelLoadException(file, "%s is %s, must be %s".formatted(field, json.path(field), allowed));
    }
}
