package io.weft.app;

import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.eclipse.microprofile.config.Config;

/** Reads single settings, with errors that a person can act on. */
public final class SettingReader {
    private static final Pattern SIZE = Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*([kmgt]?)(i?)b?");
    /** What a size must look like. */
    public static final String SIZE_ALLOWED = "a size such as 24GB, 512MiB or a number of bytes";

    private static final Pattern SECONDS = Pattern.compile("(\\d+)\\s*s?");

    private final Config config;

    SettingReader(Config config) {
        this.config = config;
    }

    Optional<String> text(String key) {
        return config.getOptionalValue(key, String.class).map(String::strip).filter(value -> !value.isEmpty());
    }

    /**
     * A secret that protects something: nobody means none by an empty one.
     *
     * @throws SettingException if it is set, but blank
     */
    Optional<String> secret(String key) {
        Optional<String> value = text(key);
        String set = config.getConfigValue(key).getValue();
        if (value.isEmpty() && set != null) {
            throw new SettingException(key, set, "more than blanks, or not be set at all");
        }
        return value;
    }

    String text(String key, String fallback) {
        return text(key).orElse(fallback);
    }

    int integer(String key, int fallback, int least, int most) {
        Optional<String> value = text(key);
        if (value.isEmpty()) {
            return fallback;
        }
        String allowed = "a whole number from " + least + " to " + most;
        try {
            int number = Integer.parseInt(value.get());
            if (number >= least && number <= most) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw new SettingException(key, value.get(), allowed);
        }
        throw new SettingException(key, value.get(), allowed);
    }

    /** Whether a bound itself is allowed. */
    enum Bound {
        INCLUSIVE,
        EXCLUSIVE
    }

    OptionalDouble decimal(String key, Bound bound, double least, double most) {
        Optional<String> value = text(key);
        if (value.isEmpty()) {
            return OptionalDouble.empty();
        }
        String allowed = switch (bound) {
            case INCLUSIVE -> "a number from " + least + " to " + most;
            case EXCLUSIVE -> "a number above " + least + ", at most " + most;
        };
        try {
            double number = Double.parseDouble(value.get());
            if (number <= most && (number > least || (bound == Bound.INCLUSIVE && number == least))) {
                return OptionalDouble.of(number);
            }
        } catch (NumberFormatException e) {
            throw new SettingException(key, value.get(), allowed);
        }
        throw new SettingException(key, value.get(), allowed);
    }

    OptionalLong whole(String key) {
        Optional<String> value = text(key);
        if (value.isEmpty()) {
            return OptionalLong.empty();
        }
        try {
            return OptionalLong.of(Long.parseLong(value.get()));
        } catch (NumberFormatException e) {
            throw new SettingException(key, value.get(), "a whole number");
        }
    }

    /** Bytes: 24GB is 24·10⁹, 24GiB is 24·2³⁰, a plain number is bytes. */
    OptionalLong bytes(String key) {
        Optional<String> value = text(key);
        if (value.isEmpty()) {
            return OptionalLong.empty();
        }
        OptionalLong bytes = size(value.get());
        if (bytes.isEmpty()) {
            throw new SettingException(key, value.get(), SIZE_ALLOWED);
        }
        if (bytes.getAsLong() > 1L << 60) {
            throw new SettingException(key, value.get(), "at most 1 EiB");
        }
        return bytes;
    }

    /** Bytes, as {@link #bytes} reads them; empty if it is no size. */
    public static OptionalLong size(String text) {
        Matcher size = SIZE.matcher(text.strip().toLowerCase(Locale.ROOT));
        if (!size.matches()) {
            return OptionalLong.empty();
        }
        int power = "kmgt".indexOf(size.group(2)) + (size.group(2).isEmpty() ? 0 : 1);
        double unit = Math.pow(size.group(3).isEmpty() ? 1000 : 1024, power);
        return OptionalLong.of((long) (Double.parseDouble(size.group(1)) * unit));
    }

    Duration duration(String key, Duration fallback) {
        Optional<String> value = text(key);
        if (value.isEmpty()) {
            return fallback;
        }
        Matcher seconds = SECONDS.matcher(value.get());
        if (seconds.matches()) {
            return Duration.ofSeconds(Long.parseLong(seconds.group(1)));
        }
        try {
            return Duration.parse(value.get());
        } catch (DateTimeParseException e) {
            throw new SettingException(key, value.get(), "a duration such as 30s or PT1M");
        }
    }

    /** One of an enum's constants, by label. */
    <T extends Enum<T>> T choice(String key, T fallback, Class<T> type, Function<T, String> label) {
        Optional<String> value = text(key);
        if (value.isEmpty()) {
            return fallback;
        }
        return Arrays.stream(type.getEnumConstants())
                .filter(constant -> label.apply(constant).equals(value.get()))
                .findFirst()
                .orElseThrow(() -> new SettingException(
                        key,
                        value.get(),
                        "one of "
                                + Arrays.stream(type.getEnumConstants())
                                        .map(label)
                                        .collect(Collectors.joining(", "))));
    }
}
