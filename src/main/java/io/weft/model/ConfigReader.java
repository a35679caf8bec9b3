package io.weft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

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
        return wholeNumber(value)
                .filter(number -> number >= 1)
                .orElseThrow(() -> wrong(field, "a whole number of at least 1"));
    }

    /** A positive whole number that divides the one of another field. */
    int divisor(String field, String ofField) {
        int whole = positive(ofField);
        int divisor = positive(field);
        if (whole % divisor != 0) {
            throw wrong(field, "a divisor of %s, %d".formatted(ofField, whole));
        }
        return divisor;
    }

    /** A whole number, which may be spelt {@code 64.0}. */
    static Optional<Integer> wholeNumber(JsonNode value) {
        double number = value.doubleValue();
        return value.isNumber() && (int) number == number ? Optional.of((int) number) : Optional.empty();
    }

    /** A whole number of at least {@code least}; empty if missing or null. */
    public OptionalInt whole(String field, int least) {
        if (!has(field)) {
            return OptionalInt.empty();
        }
        return OptionalInt.of(wholeNumber(json.path(field))
                .filter(number -> number >= least)
                .orElseThrow(() -> wrong(field, "a whole number of at least " + least)));
    }

    /** A number in a range; empty if missing or null. A least value of {@link Double#MIN_VALUE} means above 0. */
    public OptionalDouble within(String field, double least, double most) {
        if (!has(field)) {
            return OptionalDouble.empty();
        }
        double number = json.path(field).doubleValue();
        if (!json.path(field).isNumber() || !(number >= least && number <= most)) {
            String from = least == Double.MIN_VALUE ? "above 0" : "from " + plain(least);
            throw wrong(
                    field, most == Double.MAX_VALUE ? "a number " + from : "a number " + from + ", to " + plain(most));
        }
        return OptionalDouble.of(number);
    }

    private static String plain(double number) {
        return number == Math.rint(number) ? Long.toString((long) number) : Double.toString(number);
    }

    public int positive(String field, int fallback) {
        return has(field) ? positive(field) : fallback;
    }

    /** A finite number above 0, which must be there. */
    public double positiveNumber(String field) {
        if (!has(field)) {
            throw new ModelLoadException(file, "lacks " + field);
        }
        return within(field, Double.MIN_VALUE, Double.MAX_VALUE).getAsDouble();
    }

    /** A finite number above 0; {@code fallback} if missing or null. */
    public double positiveNumber(String field, double fallback) {
        return has(field) ? positiveNumber(field) : fallback;
    }

    /** Whether a field is set to true; false if it is missing or null. */
    public boolean flag(String field) {
        return flag(field, false);
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

    /** A list of texts; empty if missing or null. */
    public Optional<List<String>> texts(String field) {
        if (!has(field)) {
            return Optional.empty();
        }
        List<String> texts = new ArrayList<>();
        for (JsonNode element : list(field)) {
            if (!element.isTextual()) {
                throw wrong(field, "a list of texts");
            }
            texts.add(element.textValue());
        }
        return Optional.of(texts);
    }

    /** A list of whole numbers of at least 0; empty if missing or null. */
    public Optional<List<Integer>> wholes(String field) {
        if (!has(field)) {
            return Optional.empty();
        }
        List<Integer> numbers = new ArrayList<>();
        for (JsonNode element : list(field)) {
            numbers.add(wholeNumber(element)
                    .filter(number -> number >= 0)
                    .orElseThrow(() -> wrong(field, "a list of whole numbers of at least 0")));
        }
        return Optional.of(numbers);
    }

    /** A list of {@code count} finite numbers above 0, which must be there. */
    public List<Double> positiveNumbers(String field, int count) {
        if (!has(field)) {
            throw new ModelLoadException(file, "lacks " + field);
        }
        List<Double> numbers = new ArrayList<>();
        for (JsonNode element : list(field)) {
            double number = element.doubleValue();
            if (!element.isNumber() || !(number > 0 && number <= Double.MAX_VALUE)) {
                throw wrong(field, "a list of numbers above 0");
            }
            numbers.add(number);
        }
        if (numbers.size() != count) {
            throw wrong(field, "a list of " + count + " numbers");
        }
        return numbers;
    }

    private JsonNode list(String field) {
        if (!json.path(field).isArray()) {
            throw wrong(field, "a list");
        }
        return json.path(field);
    }

    /** Whether a field is there and not null. */
    public boolean has(String field) {
        return !json.path(field).isMissingNode() && !json.path(field).isNull();
    }

    /** Refuses a flag that asks for something that the family cannot do. */
    public void requireFlag(String field, boolean wanted) {
        if (flag(field, wanted) != wanted) {
            throw wrong(field, String.valueOf(wanted));
        }
    }

    /** The error for a field with a value that is not {@code allowed}. */
    public ModelLoadException wrong(String field, String allowed) {
        return new ModelLoadException(file, "%s is %s, must be %s".formatted(field, json.path(field), allowed));
    }
}
